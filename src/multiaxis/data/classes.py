"""Labelled pictures: one folder for each class."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from multiaxis.data.augment import erase, rand_augment
from multiaxis.data.limits import check_limits
from multiaxis.data.pictures import Pictures, find_pictures, tell_others
from multiaxis.errors import DataError
from multiaxis.images import READABLE_SUFFIXES

AREA, ASPECT = (0.08, 1.0), (3 / 4, 4 / 3)  # of Inception's crop, which the authors' code uses


@dataclass(frozen=True, kw_only=True)
class ClassFolders:
    """A folder with a folder of pictures for each class; classes are in the order of their names.

    Folders inside a class's folder belong to the class.

    Attributes
    ----------
    folder : str
    size : int
        Side of the squares that the model sees, pixels.
    train : bool
        Random crops and the augmentations below; otherwise the whole picture's middle.
    crop : str
        ``inception``: a random part of random area and aspect; ``pad``: a square of the same size
        from the picture with a border of an eighth, for pictures that are small already.
    flip : bool
        Half of the pictures mirrored.
    layers, magnitude : int
        RandAugment's.
    erase : float
        Probability of filling a random part with noise.
    keep : bool
        Keep decoded pictures in memory.
    """

    folder: str
    size: int = 224
    train: bool = True
    crop: Literal["inception", "pad"] = "inception"
    flip: bool = True
    layers: int = 0
    magnitude: int = 0
    erase: float = 0.0
    keep: bool = False

    def __post_init__(self) -> None:
        limits = {"size": (8, 65536), "layers": (0, 16), "magnitude": (0, 30), "erase": (0, 1)}
        check_limits("data", self, limits)

    def open(self) -> ClassSource:
        """Find classes and pictures.

        Raises
        ------
        DataError
            If there are no classes, or one has no picture.
        """
        root = Path(self.folder).expanduser()
        if not root.is_dir():
            raise DataError(f"{root} is no folder: name one with a folder for each class")
        try:
            inside = sorted(p for p in root.iterdir() if not p.name.startswith("."))
        except OSError as error:
            raise DataError(f"cannot list {root}: {error.strerror}") from error
        classes = [path for path in inside if path.is_dir()]
        if not classes:
            raise DataError(f"{root} holds no folders: wanted is one for each class")
        found = [find_pictures(path) for path in classes]
        items = [(path, k) for k, of_class in enumerate(found) for path in of_class.paths]
        left_out = tell_others(*found)
        stray = [p for p in inside if p.suffix.lower() in READABLE_SUFFIXES and not p.is_dir()]
        if stray:
            left_out += (f"{len(stray)} pictures beside the classes' folders, such as {stray[0]}",)
        return ClassSource(self, [c.name for c in classes], items, left_out)


class ClassSource:
    """Opened `ClassFolders`: a `multiaxis.data.source.Source`.

    Attributes
    ----------
    classes : list of str
    """

    def __init__(
        self,
        about: ClassFolders,
        classes: list[str],
        items: list[tuple[Path, int]],
        left_out: tuple[str, ...] = (),
    ) -> None:
        self.about, self.classes, self.left_out = about, classes, left_out
        self._pictures = Pictures([path for path, _ in items], keep=about.keep)
        self._labels = [label for _, label in items]

    def __len__(self) -> int:
        return len(self._labels)

    def name(self, index: int) -> str:
        """Name the file."""
        return str(self._pictures.paths[index])

    def sample(
        self, index: int, rng: np.random.Generator
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Cut and change a picture; values in [-1, 1], as MaxViT takes them."""
        picture = Image.fromarray(self._pictures.read(index))
        return look(picture, self.about, rng), np.asarray(self._labels[index], np.int64)


def look(
    picture: Image.Image, about: ClassFolders, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Cut and change a picture as the settings say: (size, size, 3), values in [-1, 1]."""
    if not about.train:
        shown = np.asarray(_middle(picture, about.size))
    else:
        cut = _inception if about.crop == "inception" else _padded
        part = cut(picture, about.size, rng)
        if about.flip and rng.random() < 0.5:
            part = part.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        shown = np.asarray(rand_augment(part, about.layers, about.magnitude, rng))
        if rng.random() < about.erase:
            shown = erase(shown, rng)
    return shown.astype(np.float32) / np.float32(127.5) - 1


def _middle(picture: Image.Image, size: int) -> Image.Image:
    width, height = picture.size
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    box = (left, top, left + side, top + side)
    return picture.resize((size, size), Image.Resampling.BICUBIC, box=box)


def _inception(picture: Image.Image, size: int, rng: np.random.Generator) -> Image.Image:
    width, height = picture.size
    for _ in range(10):
        area = width * height * rng.uniform(*AREA)
        aspect = np.exp(rng.uniform(*np.log(ASPECT)))
        w, h = round(np.sqrt(area * aspect)), round(np.sqrt(area / aspect))
        if 0 < w <= width and 0 < h <= height:
            left, top = rng.integers(width - w + 1), rng.integers(height - h + 1)
            box = (int(left), int(top), int(left) + w, int(top) + h)
            return picture.resize((size, size), Image.Resampling.BICUBIC, box=box)
    return _middle(picture, size)


def _padded(picture: Image.Image, size: int, rng: np.random.Generator) -> Image.Image:
    border = size // 8
    small = np.asarray(_middle(picture, size))
    wide = np.pad(small, [(border, border), (border, border), (0, 0)], mode="reflect")
    top, left = rng.integers(2 * border + 1, size=2)
    return Image.fromarray(wide[top : top + size, left : left + size])
