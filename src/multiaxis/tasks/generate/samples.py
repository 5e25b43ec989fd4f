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
from multiaxis.data.shards import Raw, Shards, read_shard_picture
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

    def in_shards(self, config: Mapping[str, Any]) -> PictureShards:
        """Give the same squares out of shards."""
        del config
        return PictureShards(urls="", size=self.size, flip=self.flip)

    def held_out(self) -> PictureFolder:
        """Give the same squares of another folder, never mirrored."""
        return replace(self, folder="", flip=False)

    def made_up(self, config: Mapping[str, Any]) -> MadeUpSquares:
        """Give noise of the same size."""
        del config
        return MadeUpSquares(size=self.size)


@dataclass(frozen=True, kw_only=True)
class PictureShards(Data):
    """Tar files with ``NAME.jpg`` (or png, tif, ...); what else is in them stays out.

    Attributes
    ----------
    urls : str
        Files or addresses, with braces for ranges: ``train-{000..099}.tar``.
    size, flip
        As in `PictureFolder`.
    shuffle : int
        Samples that wait for their turn, out of order; their files stay in memory undecoded.
    """

    fields: ClassVar[tuple[str, ...]] = FIELDS
    is_stream: ClassVar[bool] = True
    urls: str
    size: int = 128
    flip: bool = True
    shuffle: int = 2048

    def __post_init__(self) -> None:
        check_limits("data", self, {"size": (4, 4096), "shuffle": (1, 10**6)})

    def open(self) -> SquareShards:
        """Expand the names."""
        return SquareShards(self)

    def held_out(self) -> PictureFolder:
        """Give folders, which can be read in any order."""
        return PictureFolder(folder="", size=self.size, flip=False)

    def made_up(self, config: Mapping[str, Any]) -> MadeUpSquares:
        """Give noise of the same size."""
        del config
        return MadeUpSquares(size=self.size)

    def decode(self, raw: Raw, rng: np.random.Generator) -> Arrays:
        """Make a square out of a file."""
        square = middle_square(read_shard_picture(raw, ""), self.size)
        return _sample(square, rng, flip=self.flip)


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
        return _sample(self._square(index), rng, flip=self.about.flip)

    def _square(self, index: int) -> NDArray[np.uint8]:
        if index in self._kept:
            return self._kept[index]
        square = middle_square(read_levels(self.paths[index]), self.about.size)
        if self.about.keep:
            self._kept[index] = square
        return square


class SquareShards(Shards):
    """Opened `PictureShards`: a `multiaxis.data.source.Stream`."""

    def __init__(self, about: PictureShards) -> None:
        super().__init__(about.urls, about.decode, shuffle=about.shuffle)
        self.size = about.size


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


def _sample(square: NDArray[np.uint8], rng: np.random.Generator, *, flip: bool) -> Arrays:
    if flip and rng.random() < 0.5:
        square = square[:, ::-1]
    return {"picture": square.astype(np.float32) / np.float32(127.5) - 1}


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
