"""Plot what benchmarks/maxim.py --json wrote: cost of a pixel, and memory, against size.

python benchmarks/plot_speed.py ROWS.json PICTURE.png [--variant maxim_s2]
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt

KINDS = {"plain": "plain", "pieces": "in pieces", "narrow": "in pieces, bfloat16 maps"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--variant", default="maxim_s2")
    options = parser.parse_args()
    rows = [json.loads(line) for line in options.rows.read_text().splitlines()]
    rows = sorted((r for r in rows if r["name"] == options.variant), key=lambda r: r["pixels"])
    figure, (cost, memory) = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
    for kind, label in KINDS.items():
        found = [row for row in rows if kind in row]
        side = [row["pixels"] ** 0.5 for row in found]
        cost.plot(side, [r[kind]["seconds"] / r["pixels"] * 1e6 for r in found], "o-", label=label)
        large = [row for row in found if row["pixels"] >= 1 << 16]
        memory.plot(
            [row["pixels"] / 1e6 for row in large],
            [row[kind]["memory"] / 1e9 for row in large],
            "o-",
            label=label,
        )
    cost.set(xlabel="side of a square picture, pixels", ylabel="microseconds a pixel", xscale="log")
    cost.set_ylim(bottom=0)
    ticks = [row["pixels"] ** 0.5 for row in rows]
    cost.set_xticks(ticks, [f"{tick:.0f}" for tick in ticks])
    cost.minorticks_off()
    memory.set(xlabel="megapixels", ylabel="peak above the loaded process, GB", xscale="log")
    memory.set(yscale="log")
    for axes in (cost, memory):
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    figure.suptitle(f"{options.variant}, float32, two threads")
    figure.savefig(options.picture, dpi=110)


if __name__ == "__main__":
    main()
