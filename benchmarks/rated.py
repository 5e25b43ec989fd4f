"""Ratings of single pictures: what a head on several descriptions predicts of held-out pictures.

    python benchmarks/rated.py SILHOUETTES CROPS ELO OUTPUT [--count 240] [--resnet FILE]

SILHOUETTES has images/ and BASS_data.csv (mean valence of two groups of raters). CROPS has
METHOD/NAME.jpg; ELO says how strong people found each method. All descriptions get the same head,
penalty and folds, three seeds; crops of one original are held out together. A ResNet-18 and a
MaxViT-pico with random weights stand beside the small backbone of the package: no ImageNet weights
could be had where this was run. FILE has the weights of a ResNet-18 that learnt what our backbone
did (tools/learn_quality_backbone.py --peer), and --backbone those of ours in equal time.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import timm
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file

from multiaxis import create_model
from multiaxis.data.pictures import read_levels
from multiaxis.score.correlation import rank_correlation, rank_interval
from multiaxis.tasks.rate.learn import learn_votes
from multiaxis.tasks.rate.scale import Scale
from multiaxis.tasks.rate.statistics import STATISTICS, measure
from multiaxis.tasks.rate.views import sharpest, whole

SEEDS = (0, 1, 2)
SIDE = 224

Features = NDArray[np.float32]


def pooled(maps: list[torch.Tensor]) -> Features:
    parts = [part for x in maps for part in (x.mean((2, 3)), x.std((2, 3), correction=0))]
    return torch.cat(parts, dim=1)[0].numpy()


def describer(network: torch.nn.Module) -> Callable[[NDArray[np.uint8]], Features]:
    network.eval()

    def describe(pixels: NDArray[np.uint8]) -> Features:
        found = []
        for shown in ([whole(pixels, SIDE)], sharpest(pixels, SIDE)):
            x = [torch.tensor(np.array(v, np.float32)).permute(2, 0, 1)[None] for v in shown]
            with torch.inference_mode():
                found.append(np.mean([pooled(network(v / 127.5 - 1)) for v in x], axis=0))
        return np.concatenate(found)

    return describe


def open_resnet(path: Path | None) -> torch.nn.Module:
    """Build timm's ResNet-18 for its maps, with random weights without a path."""
    torch.manual_seed(0)
    network = timm.create_model("resnet18", pretrained=False, features_only=True)
    if path is not None:
        learnt = {k: v for k, v in load_file(path).items() if not k.startswith("fc.")}
        network.load_state_dict(learnt)
    return network.eval()


def describers(
    backbone: str, resnet: Path | None
) -> dict[str, Callable[[NDArray[np.uint8]], Features]]:
    torch.manual_seed(0)
    pico = create_model("maxvit_pico", features_only=True, start="scaled")
    ours = create_model("maxvit", weights=backbone, features_only=True)
    learnt = {} if resnet is None else {"resnet18, learnt": describer(open_resnet(resnet))}
    return {
        "statistics": measure,
        "resnet18, random": describer(open_resnet(None)),
        "maxvit_pico, random": describer(pico),
        "rate-backbone": describer(ours),
        **learnt,
    }


def silhouettes(folder: Path, count: int) -> tuple[list[Path], NDArray, list[int], float]:
    with (folder / "BASS_data.csv").open(encoding="utf-8-sig") as stream:
        rows = list(csv.DictReader(stream))
    rng = np.random.default_rng(0)
    chosen = [rows[k] for k in sorted(rng.permutation(len(rows))[:count])]
    here, there = (
        np.array([float(row[f"val_mean_{group}"]) for row in chosen]) for group in ("us", "ch")
    )
    paths = [folder / "images" / row["file_name"] for row in chosen]
    return paths, here, list(range(len(paths))), rank_correlation(there, here)


def crops(folder: Path, elo: Path, count: int) -> tuple[list[Path], NDArray, list[int], float]:
    with elo.open() as stream:
        strength = {row["method"]: float(row["elo"]) for row in csv.DictReader(stream)}
    paths = sorted(path for method in strength for path in (folder / method).glob("*.jpg"))
    rng = np.random.default_rng(0)
    chosen = [paths[k] for k in sorted(rng.permutation(len(paths))[:count])]
    names = sorted({path.stem for path in chosen})
    scores = np.array([strength[path.parent.name] for path in chosen])
    return chosen, scores, [names.index(path.stem) for path in chosen], float("nan")


def score(
    name: str, views: list[Features], truth: NDArray, groups: list[int], output: list[dict]
) -> None:
    features, widths = np.concatenate(views, axis=1), [view.shape[1] for view in views]
    scale = Scale(tuple(np.linspace(truth.min(), truth.max(), 10).tolist()))
    shares = np.stack([scale.shares(value) for value in truth])
    for seed in SEEDS:
        _, report = learn_votes(features, shares, scale, groups, seed, widths)
        output.append({
            "description": name, "seed": seed, "srcc": round(report.correlation, 4),
            "interval": [round(v, 4) for v in report.interval],
            "error": round(report.error, 4), "guess": round(report.guess, 4),
        })  # fmt: skip
        print(json.dumps(output[-1]), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("silhouettes", "crops", "elo", "output"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--count", type=int, default=240)
    parser.add_argument("--backbone", default="rate-backbone")
    parser.add_argument("--resnet", type=Path)
    words = parser.parse_args()
    words.output.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    sets = {
        "compressed crops": crops(words.crops, words.elo, words.count),
        "silhouettes": silhouettes(words.silhouettes, words.count),
    }
    results: dict[str, object] = {}
    for name, (paths, truth, groups, other) in sets.items():
        rows: list[dict] = [{"pictures": len(paths), "another group of raters": other}]
        print(name, rows[0], flush=True)
        pixels = [read_levels(path) for path in paths]
        found: dict[str, Features] = {}
        for key, describe in describers(words.backbone, words.resnet).items():
            found[key] = np.stack([describe(x) for x in pixels])
            if key == "statistics":
                for one in ("sharpness", "colourfulness", "brightness"):
                    value = found[key][:, STATISTICS.index(one)]
                    interval = rank_interval(value, truth, groups=groups)
                    srcc = rank_correlation(value, truth)
                    rows.append({"description": one, "srcc": srcc, "interval": interval})
                    print(json.dumps(rows[-1]), flush=True)
            score(key, [found[key]], truth, groups, rows)
        both = [found["statistics"], found["rate-backbone"]]  # each counts alike
        score("statistics and rate-backbone", both, truth, groups, rows)
        results[name] = rows
        (words.output / "rated.json").write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
