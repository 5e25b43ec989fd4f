"""Lay out the scored sets of the folder of test data as plain folders of pairs.

Every set becomes ``OUTPUT/<set>/input`` and ``OUTPUT/<set>/target`` with equal stems. Pictures
that need a crop are written as PNG, which loses nothing; all others are copied byte for byte.

    python tools/prepare_sets.py DATA OUTPUT
"""

import argparse
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

Box = tuple[int, int, int, int]  # left, upper, right, lower, as Pillow crops


@dataclass(frozen=True)
class Item:
    """One pair, under the stem that both files get; `box` crops the target."""

    stem: str
    input: Path
    target: Path
    box: Box | None = None


def same_names(inputs: Path, targets: Path) -> Iterator[Item]:
    """Yield the pairs of two folders whose pictures have equal names."""
    for path in sorted(inputs.iterdir()):
        yield Item(path.stem, path, targets / path.name)


def rain100(data: Path, name: str) -> Iterator[Item]:
    """Yield Rain100H or Rain100L; the photograph is one row and one column larger."""
    mapping = json.loads((data / "photos" / "bsds500_map.json").read_text(encoding="utf-8"))
    for rainy, clean in sorted(mapping["pairs"].items()):
        if rainy.startswith(f"{name}/"):
            path = data / "derain" / rainy
            with Image.open(path) as picture:
                box = (0, 0, *picture.size)
            yield Item(path.stem, path, data / "photos" / clean, box)


def polyu(data: Path) -> Iterator[Item]:
    """Yield PolyU: each noisy shot with the mean of many."""
    for path in sorted((data / "denoise" / "PolyU").glob("*_real.JPG")):
        stem = path.stem.removesuffix("_real")
        yield Item(stem, path, path.with_name(f"{stem}_mean.JPG"))


def sots(data: Path, name: str, border: int) -> Iterator[Item]:
    """Yield SOTS: many hazy pictures of one target, which may have a border to drop."""
    for path in sorted((data / "dehaze" / name / "hazy").iterdir()):
        target = data / "dehaze" / name / "gt" / f"{path.stem.split('_')[0]}.png"
        with Image.open(target) as picture:
            width, height = picture.size
        box = (border, border, width - border, height - border) if border else None
        yield Item(path.stem, path, target, box)


SETS: dict[str, Callable[[Path], Iterator[Item]]] = {
    "rain100h": lambda data: rain100(data, "Rain100H"),
    "rain100l": lambda data: rain100(data, "Rain100L"),
    "lol": lambda data: same_names(
        data / "enhance" / "LOL_eval15" / "low", data / "enhance" / "LOL_eval15" / "high"
    ),
    "polyu": polyu,
    "sots-indoor": lambda data: sots(data, "SOTS_indoor", 10),
    "sots-outdoor": lambda data: sots(data, "SOTS_outdoor", 0),
    "deblur": lambda data: same_names(data / "deblur" / "blur", data / "deblur" / "sharp"),
}


def lay_out(item: Item, folder: Path) -> None:
    """Write one pair below the folder of its set."""
    # not with_suffix: stems such as 0001_0.8_0.2 have dots of their own
    shutil.copyfile(item.input, folder / "input" / f"{item.stem}{item.input.suffix.lower()}")
    if item.box is None:
        shutil.copyfile(item.target, folder / "target" / f"{item.stem}{item.target.suffix.lower()}")
        return
    with Image.open(item.target) as picture:
        picture.convert("RGB").crop(item.box).save(folder / "target" / f"{item.stem}.png")


def main() -> None:
    parser = argparse.ArgumentParser(description="Lay out the scored sets as folders of pairs.")
    parser.add_argument("data", type=Path, help="the folder of test data")
    parser.add_argument("output", type=Path, help="where the sets go")
    arguments = parser.parse_args()
    for name, items in SETS.items():
        folder: Path = arguments.output / name
        for role in ("input", "target"):
            (folder / role).mkdir(parents=True, exist_ok=True)
        count = 0
        for item in items(arguments.data):
            lay_out(item, folder)
            count += 1
        print(f"{name}: {count} pairs in {folder}")


if __name__ == "__main__":
    main()
