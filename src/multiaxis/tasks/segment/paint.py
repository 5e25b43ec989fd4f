"""Labels as pictures: numbers with a palette, or colours over the photograph."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from multiaxis.tasks.segment.classes import Classes

_OVERLAY_QUALITY = 92


@dataclass(frozen=True)
class Share:
    """How much of a picture a class has.

    Attributes
    ----------
    number : int
        Of the class.
    name, colour : str
        The colour as ``#rrggbb``.
    share : float
        Of the pixels, in (0, 1].
    """

    number: int
    name: str
    colour: str
    share: float


@dataclass(frozen=True)
class Segments:
    """What a picture shows, pixel by pixel.

    Attributes
    ----------
    labels : array of uint8 (of uint16 beyond 256 classes), shape (height, width)
        Numbers of classes.
    classes : Classes
    """

    labels: NDArray[np.unsignedinteger]
    classes: Classes

    def shares(self) -> list[Share]:
        """List the classes that the picture shows, the largest first."""
        counts = np.bincount(self.labels.reshape(-1), minlength=len(self.classes))
        found = [
            Share(k, name, "#{:02x}{:02x}{:02x}".format(*colour), float(count) / self.labels.size)
            for k, (name, colour, count) in enumerate(
                zip(self.classes.names, self.classes.colours, counts, strict=True)
            )
            if count
        ]
        return sorted(found, key=lambda one: -one.share)

    def painted(self) -> NDArray[np.uint8]:
        """Give each pixel its class's colour: (height, width, 3)."""
        return np.array(self.classes.colours, np.uint8)[self.labels]

    def overlay(self, picture: NDArray[np.uint8], strength: float = 0.5) -> NDArray[np.uint8]:
        """Put the colours over the picture: (height, width, 3).

        Parameters
        ----------
        picture : array of uint8, shape (height, width, 3)
        strength : float
            0 leaves the picture, 1 the colours.
        """
        mixed = np.empty_like(picture)
        rows = max(1, (1 << 20) // picture.shape[1])
        for top in range(0, len(picture), rows):
            part = slice(top, top + rows)
            colours = np.array(self.classes.colours, np.float32)[self.labels[part]]
            shown = picture[part] * np.float32(1 - strength) + colours * np.float32(strength)
            mixed[part] = np.rint(shown)
        return mixed

    def as_png(self) -> bytes:
        """Write the numbers as a PNG file, with the colours as its palette.

        Beyond 256 classes, which no palette holds, it is grey of 16 bits.
        """
        stream = io.BytesIO()
        image = Image.fromarray(self.labels)
        if self.labels.dtype == np.uint8:
            image.putpalette([value for colour in self.classes.colours for value in colour])
        image.save(stream, "png")
        return stream.getvalue()


def as_jpeg(picture: NDArray[np.uint8]) -> bytes:
    """Write a picture as a JPEG file."""
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "jpeg", quality=_OVERLAY_QUALITY, subsampling=0)
    return stream.getvalue()
