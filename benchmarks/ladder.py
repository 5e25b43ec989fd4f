"""Rate held-out photographs on ladders of blur, noise and JPEG, and see whether steps are in order.

    python benchmarks/ladder.py PHOTOGRAPHS OUTPUT [--size 112] [--backbone FILE] [--resnet FILE]

A head learns the steps of crops of some clean photographs (5 is clean) on descriptions that stay as
they are, as `multiaxis rate learn` does, and rates those of the others. Three seeds of crops. SRCC
is over the crops of all photographs; within a photograph, it is the mean over single ladders.
FILEs are what tools/learn_quality_backbone.py writes: our backbone, and a ResNet-18's weights.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rated import open_resnet, pooled
from torch import nn

from multiaxis.score.correlation import rank_correlation, rank_interval
from multiaxis.tasks.rate.config import HeadConfig, RaterConfig, pooled_levels
from multiaxis.tasks.rate.fit import PENALTIES, fit_votes, sketch_votes
from multiaxis.tasks.rate.folds import deal, parts
from multiaxis.tasks.rate.ladder import Ladder, LadderSource
from multiaxis.tasks.rate.learning import open_backbone
from multiaxis.tasks.rate.network import RatingNet
from multiaxis.tasks.rate.scale import STARS
from multiaxis.tasks.rate.statistics import measure

VALUES = np.asarray(STARS.values)


def describe(
    source: LadderSource, net: RatingNet, resnet: nn.Module | None, seed: int
) -> dict[str, NDArray]:
    rng = np.random.default_rng(seed)
    found: dict[str, list] = {"network": [], "statistics": []}
    if resnet is not None:
        found["resnet18"] = []
    for k in range(len(source)):
        picture = source.sample(k, rng)["picture"]
        x = torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)))[None].float()
        with torch.inference_mode():
            found["network"].append(net.features(x)[0].numpy())
            if resnet is not None:
                found["resnet18"].append(pooled(resnet(x)))
        levels = np.rint(np.clip(picture * 127.5 + 127.5, 0, 255)).astype(np.uint8)
        found["statistics"].append(measure(levels))
    arrays = {name: np.stack(rows) for name, rows in found.items()}
    both = [arrays["network"], arrays["statistics"]]
    return {**arrays, "both": np.concatenate(both, axis=1)}


def choose(features: NDArray, shares: NDArray, groups: list[int], views: list[int]) -> float:
    errors = np.zeros(len(PENALTIES))
    truth = shares @ VALUES
    for learnt, held in parts(deal(groups, truth, 0)):
        layers = sketch_votes(features[learnt], shares[learnt], VALUES, PENALTIES, views)
        errors += [((x(features[held])[:, 0] - truth[held]) ** 2).sum() for x in layers]
    return PENALTIES[int(errors.argmin())]


def within(ladders: NDArray) -> float:
    """Give the mean SRCC of single ladders, from 5 down to 1."""
    return float(np.mean([rank_correlation(one, VALUES[::-1]) for one in ladders]))


def softmax(logits: NDArray) -> NDArray:
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photographs", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--size", type=int, default=112, help="side of the crops, pixels")
    parser.add_argument("--backbone", default="rate-backbone")
    parser.add_argument("--resnet", type=Path)
    words = parser.parse_args()
    words.output.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    trunk, _, normal = open_backbone(words.backbone)
    head = HeadConfig(pool="levels", dropout=0.0, scale=STARS, **normal)
    net = RatingNet(RaterConfig(backbone=pooled_levels(trunk.config, head), head=head)).eval()
    net.backbone.load_state_dict(trunk.state_dict())
    resnet = None if words.resnet is None else open_resnet(words.resnet)
    data = Ladder(folder=str(words.photographs), size=words.size)
    train, held = data.open(), data.held_out().open()
    steps = [held.steps[k % len(held.steps)] for k in range(len(held))]
    truth = np.array([rating for _, rating in steps], float)
    photograph = np.arange(len(held)) // len(held.steps)
    tested = describe(held, net, resnet, 0)
    rows = []
    for seed in (0, 1, 2):
        learnt = describe(train, net, resnet, seed)
        groups = [k // len(train.steps) for k in range(len(train))]
        ratings = [train.steps[k % len(train.steps)][1] for k in range(len(train))]
        shares = np.stack([STARS.shares(rating) for rating in ratings])
        for name, features in learnt.items():
            parts_of_both = [learnt[view].shape[1] for view in ("network", "statistics")]
            views = parts_of_both if name == "both" else []  # each counts alike
            penalty = choose(features, shares, groups, views)
            layer = fit_votes(features, shares, penalty, views)
            found = softmax(layer(tested[name])) @ VALUES
            row: dict[str, object] = {
                "description": name, "seed": seed, "photographs": int(photograph.max()) + 1,
                "srcc": rank_correlation(found, truth),
                "interval": rank_interval(found, truth, groups=list(photograph)),
            }  # fmt: skip
            for kind in dict.fromkeys(kind for kind, _ in steps):
                mine = np.array([k for k, (one, _) in enumerate(steps) if one == kind])
                ladders = found[mine].reshape(-1, 5)
                row[kind] = {
                    "srcc": rank_correlation(found[mine], truth[mine]),
                    "within a photograph": within(ladders),
                    "means": ladders.mean(axis=0).round(3).tolist(),
                    "steps in order": float((np.diff(ladders, axis=1) < 0).mean()),
                }
            rows.append(row)
            print(json.dumps(row), flush=True)
    (words.output / "ladder.json").write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
