"""A picture in memory: samples, alpha and what the file says about them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from multiaxis.errors import ShapeError
from multiaxis.images.contents.content import Content
from multiaxis.images.space import Colour

DEPTHS = ("uint8", "uint16", "float32")


@dataclass(frozen=True)
class Metadata:
    """What travels beside the samples, as the bytes found in the file.

    Attributes
    ----------
    icc : bytes or None
        Colour profile.
    exif : bytes or None
        EXIF block; its orientation is 1, its thumbnail is taken out.
    xmp : bytes or None
        XMP packet.
    iptc : bytes or None
        IPTC inside a Photoshop block, in the form JPEG files hold it.
    colour : Colour or None
        Colour space that the file states without a profile, or before it.
    resolution : tuple of float or None
        Horizontal and vertical pixels per millimetre.
    unit : str
        ``"inch"`` or ``"cm"``: what files count pixels by.
    aspect : tuple of int or None
        Horizontal and vertical pixels per length, where the length is not known.
    xmp_extension : bytes or None
        Second part of XMP that JPEG files hold in segments of their own.
    contents : tuple of Content
        Everything else that the file holds: texts, private chunks, films.
    """

    icc: bytes | None = field(default=None, repr=False)
    exif: bytes | None = field(default=None, repr=False)
    xmp: bytes | None = field(default=None, repr=False)
    iptc: bytes | None = field(default=None, repr=False)
    colour: Colour | None = field(default=None, repr=False)
    resolution: tuple[float, float] | None = None
    unit: str = field(default="inch", repr=False)
    aspect: tuple[int, int] | None = field(default=None, repr=False)
    xmp_extension: bytes | None = field(default=None, repr=False)
    contents: tuple[Content, ...] = field(default=(), repr=False)


@dataclass(frozen=True, eq=False)
class Picture:
    """One upright picture.

    Attributes
    ----------
    pixels : array, shape (height, width, channels)
        1 channel (grey) or 3 (RGB); uint8 in [0, 255], uint16 in [0, 65535], or float32 with
        1 as white.
    alpha : array, shape (height, width), or None
        Opacity in the dtype and range of `pixels`; the colour is not multiplied by it.
    metadata : Metadata
        Profile, EXIF and the like.
    extra : array, shape (height, width, bands), or None
        Bands of a TIFF file that are neither colour nor alpha, in the dtype of `pixels`.
    remarks : tuple of str
        What a user should know of how the file was read, without its name; empty as a rule.

    Raises
    ------
    ShapeError
        If shapes or dtypes are not as above.
    """

    pixels: NDArray[Any]
    alpha: NDArray[Any] | None = None
    metadata: Metadata = field(default_factory=Metadata)
    extra: NDArray[Any] | None = None
    remarks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        shape, dtype = self.pixels.shape, self.pixels.dtype
        if len(shape) != 3 or shape[2] not in (1, 3) or 0 in shape:
            raise ShapeError(f"pixels of shape {shape}: wanted (height, width, 1 or 3)")
        if dtype.name not in DEPTHS:
            raise ShapeError(f"pixels of dtype {dtype}: wanted {', '.join(DEPTHS)}")
        if self.alpha is not None and (self.alpha.shape, self.alpha.dtype) != (shape[:2], dtype):
            raise ShapeError(
                f"alpha of shape {self.alpha.shape} and dtype {self.alpha.dtype}: "
                f"wanted {shape[:2]} and {dtype}, as the pixels have"
            )
        if self.extra is not None and (self.extra.shape[:2], self.extra.dtype) != (
            shape[:2],
            dtype,
        ):
            raise ShapeError(
                f"extra bands of shape {self.extra.shape} and dtype {self.extra.dtype}: wanted "
                f"{shape[:2]} and {dtype}, as the pixels have"
            )

    def __repr__(self) -> str:
        kind = ("grey" if self.pixels.shape[2] == 1 else "RGB") + ("A" if self.has_alpha else "")
        return f"Picture({self.width}x{self.height} {kind} {self.depth}, {self.metadata})"

    @property
    def has_alpha(self) -> bool:
        """Whether there is transparency."""
        return self.alpha is not None

    @property
    def height(self) -> int:
        """Rows."""
        return self.pixels.shape[0]

    @property
    def width(self) -> int:
        """Columns."""
        return self.pixels.shape[1]

    @property
    def depth(self) -> str:
        """Name of the dtype: ``"uint8"``, ``"uint16"`` or ``"float32"``."""
        return self.pixels.dtype.name

    def with_pixels(self, pixels: NDArray[Any]) -> Picture:
        """Return the same picture with other samples of the same size and dtype.

        Examples
        --------
        >>> grey = Picture(np.zeros((4, 6, 1), np.uint8))
        >>> grey.with_pixels(grey.pixels + 1).pixels.max()
        np.uint8(1)
        """
        if pixels.shape[:2] != self.pixels.shape[:2] or pixels.dtype != self.pixels.dtype:
            raise ShapeError(
                f"new pixels of shape {pixels.shape} and dtype {pixels.dtype} for a picture of "
                f"{self.width}x{self.height} and {self.depth}: size and dtype must stay"
            )
        return replace(self, pixels=np.ascontiguousarray(pixels))
