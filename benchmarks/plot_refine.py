"""Plot PSNR against the distance from clean photographs: what steps and means of answers do.

    python benchmarks/refine.py PHOTOGRAPHS REFINER ... > noise.txt
    python benchmarks/plot_refine.py PICTURE.png noise=noise.txt blur=blur.txt

A panel for each table; a file may hold the tables of several runs.
"""

from __future__ import annotations

import argparse
import re
from collections import defaultdict
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("picture", type=Path)
    parser.add_argument("tables", nargs="+", help="TITLE=FILE, what benchmarks/refine.py printed")
    words = parser.parse_args()
    count = len(words.tables)
    figure, panels = plt.subplots(1, count, figsize=(5 * count, 4), layout="constrained")
    for panel, table in zip(panels if count > 1 else [panels], words.tables, strict=True):
        title, _, file = table.partition("=")
        draw(panel, title, Path(file).read_text())
    figure.savefig(words.picture, dpi=110)


def draw(panel: Axes, title: str, text: str) -> None:
    lines: dict[int, dict[int, tuple[float, float]]] = defaultdict(dict)
    for name, decibels, _, distance in re.findall(
        r"^\| (.+?) \| (.+?) \| (.+?) \| (.+?) \|", text, re.MULTILINE
    ):
        drawn = re.fullmatch(r"(?:one|mean of (\d+)), (\d+) steps", name)
        if drawn:
            lines[int(drawn[1] or 1)][int(drawn[2])] = float(decibels), float(distance)
        elif name == "prediction":
            lines[0][0] = float(decibels), float(distance)
    panel.plot(*lines.pop(0)[0], "k*", markersize=12, label="prediction")
    for count, points in sorted(lines.items()):
        steps = sorted(points)
        label = f"mean of {count}" if count > 1 else "one answer"
        panel.plot(*zip(*(points[n] for n in steps), strict=True), "o-", label=label)
        for n in steps:
            panel.annotate(str(n), points[n], xytext=(4, 4), textcoords="offset points", fontsize=8)
    panel.set(title=title, xlabel="PSNR, dB (right: nearer to the truth)")
    panel.set_ylabel("distance (down: nearer to clean photographs)")
    panel.set_ylim(bottom=0)
    panel.grid(alpha=0.3)
    panel.legend(frameon=False)


if __name__ == "__main__":
    main()
