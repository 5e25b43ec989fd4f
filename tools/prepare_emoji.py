"""Unpack the emoji in the folder of test data: a PNG file each, below the folder of its kind.

    python tools/prepare_emoji.py DATA/emoji OUTPUT

`OUTPUT/train` and `OUTPUT/test` (every eighth emoji) are what `data.folder` and `valid.folder` of
the recipe generate-small take.
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

_HELD_OUT = 8  # one of so many


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="the folder with noto_emoji48.npz")
    parser.add_argument("output", type=Path)
    options = parser.parse_args()
    with np.load(options.data / "noto_emoji48.npz") as parts:
        images, kinds = parts["images"], parts["category"]
    for number, (image, kind) in enumerate(zip(images, kinds, strict=True)):
        part = "test" if number % _HELD_OUT == 0 else "train"
        path = options.output / part / str(kind).split(" ")[0].lower() / f"{number:04d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    print(f"{len(images)} pictures in {options.output}")


if __name__ == "__main__":
    main()
