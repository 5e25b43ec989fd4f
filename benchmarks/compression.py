"""Compressed photographs: people's choices, and what metrics say of them.

    python benchmarks/compression.py CROPS ANSWERS ELO OUTPUT

CROPS has originals/NAME.webp and METHOD/NAME.jpg; ANSWERS is a table methodA, methodB,
originalName, answerValue (which names the worse one), split; ELO is a table method,elo,... A metric
of ours learns from the choices on some originals and is tested on those on others: five parts, and
the split of the table. Intervals are of 2,000 resamples of originals. Results go into OUTPUT.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections import defaultdict
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torchmetrics.functional.image import multiscale_structural_similarity_index_measure as ms_ssim

from multiaxis import Rater, psnr, ssim
from multiaxis.data.pictures import read_levels
from multiaxis.score.preferences import fit_strengths
from multiaxis.tasks.rate.fit import PENALTIES, Layer, fit_closeness
from multiaxis.tasks.rate.folds import deal, parts
from multiaxis.tasks.rate.network import ClosenessNet
from multiaxis.tasks.rate.views import differences

RESAMPLES = 2000
MIXTURES = (0.0, 0.1, 0.3, 0.5, 0.8, 1.0)
SEEDS = (0, 1, 2)


def measure(crops: Path, pictures: list[tuple[str, str]], output: Path) -> dict[str, NDArray]:
    """Describe every (original, method) once; what was measured before is kept."""
    place = output / "measured.npz"
    if place.is_file():
        with np.load(place) as file:
            return dict(file)
    model = cast("ClosenessNet", Rater.for_comparing(device="cpu").model)
    found: dict[str, list] = defaultdict(list)
    for name, method in pictures:
        paths = crops / "originals" / f"{name}.webp", crops / method / f"{name}.jpg"
        a, b = (read_levels(path) for path in paths)
        x, y = (torch.from_numpy(v.copy()).permute(2, 0, 1)[None].float() for v in (a, b))
        vector = differences(model, a, b)
        found["features"].append(vector.numpy())
        with torch.inference_mode():
            found["ladder"].append(-float(model.answer(vector[None])[0]))
        found["psnr"].append(psnr(b, a, data_range=255))
        found["ssim"].append(ssim(b, a, data_range=255))
        found["ms-ssim"].append(float(ms_ssim(y, x, data_range=255.0)))
        found["small file"].append(-float(paths[1].stat().st_size))
    arrays = {key: np.array(value) for key, value in found.items()}
    np.savez(place, **arrays)
    return arrays


class Choices:
    """People's choices as arrays."""

    def __init__(self, rows: list[dict[str, str]]) -> None:
        self.pictures = sorted(
            {(row["originalName"], row[side]) for row in rows for side in ("methodA", "methodB")}
        )
        number = {pair: k for k, pair in enumerate(self.pictures)}
        names = sorted({row["originalName"] for row in rows})
        methods = sorted({method for _, method in self.pictures})
        self.originals = np.array([names.index(row["originalName"]) for row in rows])
        sides = ("methodA", "methodB")
        self.pairs = np.array(
            [[number[row["originalName"], row[s]] for s in sides] for row in rows]
        )
        self.methods = np.array([[methods.index(row[s]) for s in sides] for row in rows])
        self.first = np.array([row["answerValue"] == "B" for row in rows], float)
        self.test = np.array([row["split"] == "test" for row in rows])
        self.count = len(methods)

    def right(self, difference: NDArray[np.float64]) -> NDArray[np.float64]:
        """Tell how right each choice is predicted, by scores of the first less the second."""
        return np.where(difference > 0, self.first, np.where(difference < 0, 1 - self.first, 0.5))

    def interval(self, right: NDArray[np.float64], rows: NDArray[np.bool_]) -> list[float]:
        """Resample originals."""
        rng = np.random.default_rng(0)
        groups = [right[rows & (self.originals == k)] for k in np.unique(self.originals[rows])]
        sums = np.array([[g.sum(), len(g)] for g in groups])
        drawn = rng.integers(len(sums), size=(RESAMPLES, len(sums)))
        totals = sums[drawn].sum(axis=1)
        return np.percentile(totals[:, 0] / totals[:, 1], [2.5, 97.5]).round(4).tolist()


def by_rank(c: Choices, learnt: NDArray[np.intp]) -> NDArray[np.float64]:
    """Tell what strengths of methods, fitted to some choices, say of all."""
    used, places = np.unique(c.methods[learnt], return_inverse=True)
    wins = np.stack([c.first[learnt], 1 - c.first[learnt]], axis=1)
    found = fit_strengths(places.reshape(-1, 2), wins, len(used), prior=0.5).values
    strength = np.zeros(c.count)
    strength[used] = found
    apart = strength[c.methods[:, 0]] - strength[c.methods[:, 1]]
    return 1 / (1 + np.exp(-apart))


def learn(
    features: NDArray, c: Choices, learnt: NDArray[np.intp], mixture: float, seed: int
) -> Layer:
    """Fit weights of channels; the penalty is chosen on originals that are held out inside."""
    both = features[c.pairs]
    target = (1 - mixture) * c.first + mixture * (by_rank(c, learnt) if mixture else 0)
    wins = np.stack([target, 1 - target], axis=1)
    names, place = np.unique(c.originals[learnt], return_inverse=True)
    inner = deal(list(range(len(names))), np.zeros(len(names)), seed + 1, 3)[place]
    costs = []
    for penalty in PENALTIES[::2]:
        total = 0.0
        for some, held in parts(inner):
            layer = fit_closeness(both[learnt[some]], wins[learnt[some]], penalty)
            d = apart(layer, both[learnt[held]])
            t = c.first[learnt[held]]
            total += (t * np.logaddexp(0, -d) + (1 - t) * np.logaddexp(0, d)).sum()
        costs.append(total)
    return fit_closeness(both[learnt], wins[learnt], PENALTIES[::2][int(np.argmin(costs))])


def apart(layer: Layer, both: NDArray) -> NDArray[np.float64]:
    distance = np.exp(layer.bias[0]) * np.sqrt(both.astype(np.float64) @ layer.weight[0])
    return distance[:, 1] - distance[:, 0]


def cross_validated(features: NDArray, c: Choices, mixture: float, seed: int) -> NDArray:
    names, place = np.unique(c.originals, return_inverse=True)
    folds = deal(list(range(len(names))), np.zeros(len(names)), seed)[place]
    found = np.empty(len(c.first))
    for learnt, held in parts(folds):
        layer = learn(features, c, learnt, mixture, seed)
        found[held] = apart(layer, features[c.pairs[held]])
    return found


def ceiling(c: Choices) -> dict[str, float]:
    """Bound what any metric can reach by how often two people agree on the same two pictures."""
    votes: dict[tuple[int, int], list[float]] = defaultdict(list)
    for (a, b), first in zip(c.pairs, c.first, strict=True):
        votes[min(a, b), max(a, b)].append(first if a < b else 1 - first)
    twice = [v for v in votes.values() if len(v) > 1]
    agree = float(np.mean([v[0] == v[1] for v in twice]))
    return {
        "judged twice": len(twice),
        "agree": agree,
        "bound": (1 + max(2 * agree - 1, 0) ** 0.5) / 2,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("crops", "answers", "elo", "output"):
        parser.add_argument(name, type=Path)
    words = parser.parse_args()
    words.output.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    with words.answers.open() as stream:
        c = Choices(list(csv.DictReader(stream)))
    with words.elo.open() as stream:
        elo = {row["method"]: float(row["elo"]) for row in csv.DictReader(stream)}
    measured = measure(words.crops, c.pictures, words.output)
    measured["elo"] = np.array([elo[method] for _, method in c.pictures])
    rows: list[dict] = [{"ceiling": ceiling(c)}]
    every = np.ones(len(c.first), bool)

    def tell(name: str, difference: NDArray[np.float64], **more: object) -> None:
        right = c.right(difference)
        rows.append({
            "metric": name, **more,
            "all": round(float(right.mean()), 4), "all_interval": c.interval(right, every),
            "test": round(float(right[c.test].mean()), 4),
            "test_interval": c.interval(right, c.test),
        })  # fmt: skip
        print(json.dumps(rows[-1]), flush=True)

    for name in ("small file", "psnr", "ssim", "ms-ssim", "elo", "ladder"):
        scores = measured[name]
        tell(name, scores[c.pairs[:, 0]] - scores[c.pairs[:, 1]])
    features = measured["features"]
    split = apart(learn(features, c, np.flatnonzero(~c.test), 0.0, 0), features[c.pairs])
    tell("ours, learnt on the table's training rows", split, note="all includes what was learnt")
    for mixture in MIXTURES:
        for seed in SEEDS if mixture in (0.0, 0.3, 1.0) else SEEDS[:1]:
            found = cross_validated(features, c, mixture, seed)
            tell("ours, five parts", found, mixture=mixture, seed=seed)
    (words.output / "compression.json").write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
