"""Plot the logs of trainings: loss, and the score of held-out samples.

python tools/plot_training.py docs/nano.png nano=runs/nano-denoise/log.jsonl [NAME=LOG ...]
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("logs", nargs="+", help="NAME=FILE")
    parser.add_argument("--score", default="PSNR of held-out crops, dB")
    parser.add_argument("--start", type=float, help="the score before the first step")
    options = parser.parse_args()
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
    for word in options.logs:
        name, _, file = word.partition("=")
        rows: list[dict[str, Any]] = [
            json.loads(line) for line in Path(file).read_text().splitlines()
        ]
        steps = [row for row in rows if row["score"] is None]
        scored = [row for row in rows if row["score"] is not None]
        left.plot([r["step"] for r in steps], [r["loss"] for r in steps], label=name, linewidth=0.8)
        points = [(r["step"], r["score"]) for r in scored]
        if options.start is not None:
            points.insert(0, (0, options.start))
        right.plot(*zip(*points, strict=True), "o-", label=name, markersize=3)
    left.set(xlabel="step", ylabel="loss", yscale="log")
    right.set(xlabel="step", ylabel=options.score)
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(options.output, dpi=110)


if __name__ == "__main__":
    main()
