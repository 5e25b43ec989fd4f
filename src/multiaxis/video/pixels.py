"""Frames as RGB by their own matrix and range, and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from multiaxis.video.av import load

RGB, BT709, UNSPECIFIED = 0, 1, 2  # matrices of ITU-T H.273
LIMITED, FULL = 1, 2  # FFmpeg's numbers for ranges
_HD = 720  # rows from which untagged video is BT.709
_CONVERTED = {RGB, BT709, UNSPECIFIED, 4, 5, 6, 7, 9}  # matrices that FFmpeg converts by


@dataclass(frozen=True)
class Colour:
    """What a frame's numbers mean: code points of ITU-T H.273, and FFmpeg's range."""

    matrix: int
    range: int
    primaries: int
    transfer: int

    @classmethod
    def of(cls, frame: Any) -> Colour:
        """Read a frame's tags."""
        full = frame.format.name.startswith("yuvj")
        return cls(
            int(frame.colorspace),
            FULL if full else int(frame.color_range),
            int(frame.color_primaries),
            int(frame.color_trc),
        )

    @property
    def is_converted(self) -> bool:
        """Whether FFmpeg converts by this matrix."""
        return self.matrix in _CONVERTED


def as_rgb(frame: Any, *, deep: bool, alpha: bool = False) -> Any:
    """Turn a frame into one of RGB, which keeps its time, fields and side data.

    Parameters
    ----------
    frame : av.VideoFrame
    deep : bool
        Whether 16 bits are wanted instead of 8.
    alpha : bool
        Whether alpha is wanted, too.

    Returns
    -------
    av.VideoFrame
        Of kind rgb24, rgb48le, rgba or rgba64le.
    """
    kind = ("rgba64le" if deep else "rgba") if alpha else ("rgb48le" if deep else "rgb24")
    return _convert(frame, kind, src_colorspace=BT709 if _is_untagged_hd(frame) else None)


def to_rgb(frame: Any, *, deep: bool, alpha: bool = False) -> NDArray[Any]:
    """Turn a frame into an array of RGB, or of RGBA.

    Parameters
    ----------
    frame : av.VideoFrame
    deep, alpha : bool
        As for `as_rgb`.

    Returns
    -------
    array of uint8 or uint16, shape (height, width, 3 or 4)
    """
    return as_rgb(frame, deep=deep, alpha=alpha).to_ndarray()


def from_rgb(pixels: NDArray[Any], carrier: Any, pixel_format: str, colour: Colour) -> Any:
    """Turn RGB into a frame to encode.

    Parameters
    ----------
    pixels : array of uint8 or uint16, shape (height, width, 3 or 4)
    carrier : av.VideoFrame
        What `as_rgb` gave. Its pixels are overwritten; the rest goes into the new frame.
    pixel_format : str
    colour : Colour
        By whose matrix and range the numbers are made.
    """
    carrier.make_writable()
    plane = carrier.planes[0]
    rows = np.frombuffer(plane, pixels.dtype).reshape(carrier.height, -1)
    rows[:, : pixels.shape[1] * pixels.shape[2]] = pixels.reshape(len(pixels), -1)
    # What an RGB frame is tagged with is what it is converted to.
    hd = colour.matrix == UNSPECIFIED and carrier.height >= _HD
    carrier.colorspace, carrier.color_range = BT709 if hd else colour.matrix, colour.range
    made = _convert(carrier, pixel_format)
    made.colorspace, made.color_range = colour.matrix, colour.range
    made.color_primaries, made.color_trc = colour.primaries, colour.transfer
    made.pict_type = 0  # the encoder would repeat the source's key frames
    return made


def _convert(frame: Any, kind: str, **more: Any) -> Any:
    how = load().video.reformatter.Interpolation
    # Without these, chroma is off by up to 3 levels where nothing was changed.
    exact = how.BICUBIC | how.ACCURATE_RND | how.FULL_CHR_H_INT | how.FULL_CHR_H_INP
    return frame.reformat(format=kind, interpolation=exact, **more)


def _is_untagged_hd(frame: Any) -> bool:
    """Tell large frames that name no matrix: they are BT.709, and FFmpeg would take BT.601."""
    return int(frame.colorspace) == UNSPECIFIED and frame.height >= _HD


def has_alpha(pixel_format: str) -> bool:
    """Tell whether a pixel format has alpha; palettes do not tell."""
    kind = load().VideoFormat(pixel_format, 16, 16)
    return any(part.is_alpha for part in kind.components) and not kind.has_palette


def turn(pixels: NDArray[Any], matrix: tuple[int, ...] | None) -> NDArray[Any]:
    """Turn and mirror pixels as players do by a display matrix of quarter turns.

    Parameters
    ----------
    pixels : array, shape (height, width, channels)
    matrix : tuple of 9 int, or None
        FFmpeg's: (x, y) is shown at (a x + c y, b x + d y), where a, b, _, c, d begin it.
    """
    swapped, rows, columns = _turning(matrix)
    return (pixels.swapaxes(0, 1) if swapped else pixels)[::rows, ::columns]


def turn_back(pixels: NDArray[Any], matrix: tuple[int, ...] | None) -> NDArray[Any]:
    """Undo `turn`."""
    swapped, rows, columns = _turning(matrix)
    back = pixels[::rows, ::columns]
    return back.swapaxes(0, 1) if swapped else back


def _turning(matrix: tuple[int, ...] | None) -> tuple[bool, int, int]:
    """Tell whether axes are swapped, and then the directions of rows and columns."""
    if matrix is None:
        return False, 1, 1
    a, b, _, c, d = matrix[:5]
    swapped = abs(b) + abs(c) > abs(a) + abs(d)
    x, y = (c, b) if swapped else (a, d)
    return swapped, -1 if y < 0 else 1, -1 if x < 0 else 1
