"""A crop of a picture, restored as a picture of its own: what the whole may look like, in seconds.

A MAXIM sees its whole input, so the crop of a restoration and the restoration of a crop differ.
This gives the second.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from multiaxis.batch.verb import File, Header
from multiaxis.errors import ConfigError, ImageError
from multiaxis.images import Picture
from multiaxis.progress import OnProgress
from multiaxis.tasks.restore.pictures import PictureWork
from multiaxis.tasks.restore.verb import Restore, RestoreRunner


@dataclass(frozen=True)
class Box:
    """A part of an upright picture, in pixels.

    Raises
    ------
    ConfigError
        If it is empty or begins outside of every picture.
    """

    left: int
    top: int
    width: int
    height: int

    def __post_init__(self) -> None:
        if self.left < 0 or self.top < 0 or self.width < 1 or self.height < 1:
            raise ConfigError(
                f"the crop is {self}: accepted is LEFT,TOP,WIDTH,HEIGHT with a width and a height "
                "of 1 pixel or more"
            )

    def __str__(self) -> str:
        return f"{self.left},{self.top},{self.width},{self.height}"

    @classmethod
    def read(cls, words: str) -> Box:
        """Read ``"LEFT,TOP,WIDTH,HEIGHT"``.

        Raises
        ------
        ConfigError
            If it is something else.
        """
        try:
            left, top, width, height = map(int, words.split(","))
        except ValueError as error:
            raise ConfigError(
                f"the crop is {words!r}: accepted are four whole numbers, LEFT,TOP,WIDTH,HEIGHT"
            ) from error
        return cls(left, top, width, height)

    def check(self, width: int, height: int) -> None:
        """Refuse a picture that does not hold it.

        Raises
        ------
        ImageError
        """
        if self.left + self.width > width or self.top + self.height > height:
            raise ImageError(
                f"the crop {self} leaves the picture, which has {width}x{height} pixels: choose "
                "one inside"
            )


def cut(picture: Picture, box: Box) -> Picture:
    """Cut a part out of a picture.

    Raises
    ------
    ImageError
        If the picture does not hold it.
    """
    box.check(picture.width, picture.height)
    rows = slice(box.top, box.top + box.height)
    columns = slice(box.left, box.left + box.width)

    def part(values: NDArray[Any] | None) -> NDArray[Any] | None:
        return None if values is None else np.ascontiguousarray(values[rows, columns])

    pixels = np.ascontiguousarray(picture.pixels[rows, columns])
    return replace(picture, pixels=pixels, alpha=part(picture.alpha), extra=part(picture.extra))


@dataclass(frozen=True)
class RestoreCrop(Restore):
    """Restoring a crop as a picture of its own, as a verb of batches.

    Attributes
    ----------
    box : Box
    """

    box: Box = Box(0, 0, 1, 1)

    def settings(self, name: str) -> Mapping[str, Any]:
        """List what decides an output."""
        return {**super().settings(name), "crop": str(self.box)}

    def check(self, file: File) -> Header:
        """Look at the file; the work is that of the crop."""
        header = super().check(file)
        self.box.check(header.facts["width"], header.facts["height"])
        return replace(header, amount=self.box.width * self.box.height / 1e6)

    def load(self, on_progress: OnProgress | None = None) -> RestoreRunner:
        """Load the models."""
        return _CropRunner(self, super().load(on_progress).restorer)


class _CropRunner(RestoreRunner):
    def read(self, file: File) -> PictureWork:
        work = PictureWork.read(file, self.verb.output, self.verb.max_megapixels)
        if work.picture is None:
            raise ImageError(
                f"{file.name} holds several pictures, of which no crop is shown: restore it whole"
            )
        if isinstance(self.verb, RestoreCrop):
            work.picture = cut(work.picture, self.verb.box)
        return work
