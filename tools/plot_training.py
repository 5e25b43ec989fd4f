"""Plot the logs of trainings: loss, and the score of held-out samples.

    python tools/plot_training.py docs/nano.png nano=runs/nano-denoise/log.jsonl [NAME=LOG ...]

--seconds adds the score by CPU seconds, from the curve.jsonl that benchmarks/cifar.py puts beside
each log.
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
    parser.add_argument("--seconds", action="store_true")
    options = parser.parse_args()
    panels = 3 if options.seconds else 2
    figure, axes = plt.subplots(1, panels, figsize=(4.5 * panels, 3.2), layout="constrained")
    left, right = axes[:2]
    for word in options.logs:
        name, _, file = word.partition("=")
        rows = _read(Path(file))
        steps = [row for row in rows if row["score"] is None]
        scored = [row for row in rows if row["score"] is not None]
        left.plot([r["step"] for r in steps], [r["loss"] for r in steps], label=name, linewidth=0.8)
        points = [(r["step"], r["score"]) for r in scored]
        if options.start is not None:
            points.insert(0, (0, options.start))
        right.plot(*zip(*points, strict=True), "o-", label=name, markersize=3)
        if options.seconds:
            curve = _read(Path(file).with_name("curve.jsonl"))
            points = [(r["seconds"], r["score"]) for r in curve]
            axes[2].plot(*zip(*points, strict=True), "o-", label=name, markersize=3)
            axes[2].set(xlabel="CPU seconds of one core", ylabel=options.score)
    left.set(xlabel="step", ylabel="loss", yscale="log")
    right.set(xlabel="step", ylabel=options.score)
    for form in (left.yaxis.set_major_formatter, left.yaxis.set_minor_formatter):
        form("{x:g}")
    for panel in axes:
        panel.locator_params(axis="x", nbins=6)
        panel.grid(alpha=0.3)
        panel.legend()
    figure.savefig(options.output, dpi=110)


def _read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


if __name__ == "__main__":
    main()
