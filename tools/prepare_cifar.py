"""Unpack the subset of CIFAR-10 in the folder of test data: a folder of JPEG files for each class.

    python tools/prepare_cifar.py DATA/cifar10 OUTPUT

`OUTPUT/train` and `OUTPUT/test` are what `data.folder` and `valid.folder` of the recipe
maxvit-cifar take. The files are those of the archives, byte for byte.
"""

import argparse
from pathlib import Path

import numpy as np

CLASSES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip


def unpack(archive: Path, folder: Path) -> int:
    """Write the pictures of an archive below the folders of their classes; returns their number."""
    with np.load(archive) as parts:
        jpeg, offsets, labels = parts["jpeg"], parts["offsets"], parts["labels"]
    for number, label in enumerate(labels):
        path = folder / CLASSES[label] / f"{archive.stem}_{number:05d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(jpeg[offsets[number] : offsets[number + 1]].tobytes())
    return len(labels)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="the folder with train_*.npz and test.npz")
    parser.add_argument("output", type=Path)
    options = parser.parse_args()
    for name in ("train", "test"):
        archives = sorted(options.data.glob(f"{name}*.npz"))
        count = sum(unpack(archive, options.output / name) for archive in archives)
        print(f"{options.output / name}: {count} pictures")


if __name__ == "__main__":
    main()
