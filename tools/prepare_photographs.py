"""Shrink photographs of many megapixels in linear light, for training: PNG files.

    python tools/prepare_photographs.py IN... OUT [--factor 3]

Means over squares average the grain and the compression of the originals away.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

GAMMA = 2.2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("inputs", nargs="+", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--factor", type=int, default=3)
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    for path in options.inputs:
        picture = np.asarray(Image.open(path).convert("RGB"), np.float32) / 255
        k = options.factor
        height, width = (n // k for n in picture.shape[:2])
        light = picture[: height * k, : width * k] ** GAMMA
        means = light.reshape(height, k, width, k, 3).mean(axis=(1, 3)) ** (1 / GAMMA)
        target = options.output / f"{path.stem}.png"
        Image.fromarray(np.rint(means * 255).astype(np.uint8)).save(target)
        print(target, f"{width}x{height}")


if __name__ == "__main__":
    main()
