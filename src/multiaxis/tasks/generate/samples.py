"""Squares of pictures, without labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from multiaxis.data.limits import check_limits
from multiaxis.data.pictures import find_pictures, read_levels, tell_others
from multiaxis.data.source import Arrays, Data, Source

FIELDS = ("picture",)


@dataclass(frozen=True, kw_only=True)
class PictureFolder(Data):
    """The pictures of a folder and of the folders inside it, each shown as its middle square.

    Attributes
    ----------
    folder : str
    size : int
        Side of the squares, pixels; the generator's.
    flip : bool
        Half of the pictures mirrored.
    keep : bool
        Keep the squares in memory, at 3 bytes a pixel.
    """

    fields: ClassVar[tuple[str, ...]] = FIELDS
    folder: str
    size: int = 128
    flip: bool = True
    keep: bool = False

    def __post_init__(self) -> None:
        check_limits("data", self, {"size": (4, 4096)})

    def open(self) -> PictureSource:
        """Find the pictures.

        Raises
        ------
        DataError
            If there are none.
        """
        found = find_pictures(self.folder)
        return PictureSource(self, found.paths, tell_others(found))

    def held_out(self) -> PictureFolder:
        """Give the same squares of another folder, never mirrored."""
        return replace(self, folder="", flip=False)

    def made_up(self, config: Mapping[str, Any]) -> MadeUpSquares:
        """Give noise of the same size."""
        del config
        return MadeUpSquares(size=self.size)


@dataclass(frozen=True, kw_only=True)
class MadeUpSquares(Data):
    """Noise, for rehearsals.

    Attributes
    ----------
    size : int
        Side of the squares, pixels.
    """

    fields: ClassVar[tuple[str, ...]] = FIELDS
    size: int

    def open(self) -> MadeUpSource:
        """Give the source."""
        return MadeUpSource(self.size)


class PictureSource(Source):
    """Opened `PictureFolder`: a `multiaxis.data.source.Source`."""

    def __init__(self, about: PictureFolder, paths: list[Path], left_out: tuple[str, ...]) -> None:
        self.about, self.paths, self.left_out = about, paths, left_out
        self.size, self.is_fixed = about.size, not about.flip
        self._kept: dict[int, NDArray[np.uint8]] = {}

    def __len__(self) -> int:
        return len(self.paths)

    def name(self, index: int) -> str:
        """Name the picture."""
        return str(self.paths[index])

    def sample(self, index: int, rng: np.random.Generator) -> Arrays:
        """Cut a square; values in [-1, 1]."""
        square = self._square(index)
        if self.about.flip and rng.random() < 0.5:
            square = square[:, ::-1]
        return {"picture": square.astype(np.float32) / np.float32(127.5) - 1}

    def _square(self, index: int) -> NDArray[np.uint8]:
        if index in self._kept:
            return self._kept[index]
        square = middle_square(read_levels(self.paths[index]), self.about.size)
        if self.about.keep:
            self._kept[index] = square
        return square


class MadeUpSource(Source):
    """Opened `MadeUpSquares`."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __len__(self) -> int:
        return 1000

    def name(self, index: int) -> str:
        """Say that it is noise."""
        return f"noise {index}"

    def sample(self, index: int, rng: np.random.Generator) -> Arrays:  # noqa: ARG002 (all alike)
        """Give a picture of noise."""
        return {"picture": rng.uniform(-1, 1, (self.size, self.size, 3)).astype(np.float32)}


def middle_square(picture: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Cut the greatest square in the middle, and resize it (Lanczos; smaller ones are enlarged).

    Parameters
    ----------
    picture : array of uint8, shape (height, width, 3)
    size : int
        Side of the result, pixels.
    """
    height, width = picture.shape[:2]
    side = min(height, width)
    left, top = (width - side) / 2, (height - side) / 2
    box = (left, top, left + side, top + side)
    image = Image.fromarray(picture).resize((size, size), Image.Resampling.LANCZOS, box=box)
    return np.asarray(image)
