"""Look for seams: the steps that a restoration added, where pieces may meet and elsewhere.

    python benchmarks/seams.py BEFORE AFTER [--period 16]

The change (after minus before) is compared across each pair of neighbouring rows, and of columns.
Pieces meet only at multiples of 8; if they left seams, steps there would be larger than elsewhere.
Printed: the largest and the mean of the lines' mean steps, in levels of 255.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from multiaxis.images import read_picture, to_unit


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("--period", type=int, default=8)
    options = parser.parse_args()
    before, after = (to_unit(read_picture(path).pixels) for path in (options.before, options.after))
    change = (after - before).mean(axis=-1) * 255
    print("| lines | largest step at borders | elsewhere | mean at borders | elsewhere |")
    print("| --- | --- | --- | --- | --- |")
    for name, axis in (("rows", 0), ("columns", 1)):
        signed = np.diff(change, axis=axis).mean(axis=1 - axis)  # a seam is a step of one sign
        steps = np.abs(signed)
        at = np.arange(1, len(steps) + 1) % options.period == 0
        cells = [steps[at].max(), steps[~at].max(), steps[at].mean(), steps[~at].mean()]
        print(f"| {name} | " + " | ".join(f"{cell:.3f}" for cell in cells) + " |")


if __name__ == "__main__":
    main()
