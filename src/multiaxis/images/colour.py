"""What a network may see of a picture: sRGB without hidden colour; and the way back."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from multiaxis.images.convert import from_unit, to_unit
from multiaxis.images.picture import Picture
from multiaxis.images.vips import CodecError, from_srgb, to_srgb

_LEVEL = 65535 / 255  # one of 8 bits, in 16


def seen_by_model(picture: Picture) -> NDArray[np.float32]:
    """Give the colours that a network trained on sRGB photographs should see.

    Parameters
    ----------
    picture : Picture

    Returns
    -------
    array of float32, shape (height, width, 1 or 3)
        In sRGB where the picture has whole numbers in an RGB profile that differs from it;
        otherwise the samples as they are, divided by their peak. What lies hidden under alpha 0
        is replaced by the colours around it, or it would bleed into what is visible.
    """
    values = to_unit(picture.pixels)
    if _is_converted(picture):
        values = _as_srgb(picture)
    if picture.alpha is not None and not picture.alpha.all():
        values = _fill(values, picture.alpha > 0)
    return values


def as_file_has_it(
    picture: Picture, restored: NDArray[np.float32], depth: str | None = None
) -> Picture:
    """Carry a restoration over to the picture it came from.

    Parameters
    ----------
    picture : Picture
        The source.
    restored : array of float32, same height, width and channels
        What a network made of `seen_by_model(picture)`.
    depth : str, optional
        Another dtype for the result: ``"uint8"``, ``"uint16"`` or ``"float32"``.

    Returns
    -------
    Picture
        In the profile of the source. There, the *change* is added to the source's own samples:
        colours that sRGB cannot hold survive where the network left them alone, and a network that
        changes nothing gives back every bit. Colour under alpha 0 is the source's.
    """
    values = restored
    if _is_converted(picture):
        icc = picture.metadata.icc or b""
        change = _from_srgb(restored, icc) - _from_srgb(_as_srgb(picture), icc)
        values = to_unit(picture.pixels) + change
    if picture.alpha is not None and not picture.alpha.all():
        hidden = picture.alpha[..., None] == 0
        values = np.where(hidden, to_unit(picture.pixels), values)
    wanted = np.dtype(depth or picture.depth)
    pixels = from_unit(values, wanted)
    alpha = picture.alpha
    if alpha is not None and wanted != alpha.dtype:
        alpha = from_unit(to_unit(alpha), wanted)
    return Picture(pixels, alpha, picture.metadata)


def _is_converted(picture: Picture) -> bool:
    icc = picture.metadata.icc
    is_rgb = icc is not None and icc[16:20] == b"RGB " and picture.pixels.shape[2] == 3
    return is_rgb and picture.depth != "float32" and _differs_from_srgb(icc or b"")


@lru_cache(maxsize=16)
def _differs_from_srgb(icc: bytes) -> bool:
    """Compare on a cube of colours; a profile that cannot be used is left alone."""
    steps = np.linspace(0, 65535, 6).astype(np.uint16)
    cube = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(1, -1, 3)
    try:
        there = to_srgb(cube, icc).astype(np.int32)
        from_srgb(cube, icc)
    except CodecError:
        return False
    return float(np.abs(there - cube).mean()) > _LEVEL


def _as_srgb(picture: Picture) -> NDArray[np.float32]:
    samples = from_unit(to_unit(picture.pixels), np.uint16)
    return to_unit(to_srgb(samples, picture.metadata.icc or b""))


def _from_srgb(values: NDArray[np.float32], icc: bytes) -> NDArray[np.float32]:
    return to_unit(from_srgb(from_unit(values, np.uint16), icc))


def _fill(values: NDArray[np.float32], visible: NDArray[Any]) -> NDArray[np.float32]:
    """Replace what is not visible by averages of what is near it, from ever coarser copies."""
    if not visible.any():
        return values
    weight = visible[..., None].astype(np.float32)
    means = [(values * weight, weight)]
    while max(means[-1][1].shape[:2]) > 1:
        means.append((_halve(means[-1][0]), _halve(means[-1][1])))
    filled = means[-1][0] / means[-1][1]
    for total, share in reversed(means[:-1]):
        height, width = share.shape[:2]
        coarse = filled.repeat(2, axis=0).repeat(2, axis=1)[:height, :width]
        filled = np.where(share > 0, total / np.maximum(share, 1e-6), coarse)
    return np.where(visible[..., None], values, filled).astype(np.float32)


def _halve(values: NDArray[np.float32]) -> NDArray[np.float32]:
    height, width = values.shape[:2]
    even = np.pad(values, ((0, height % 2), (0, width % 2), (0, 0)))
    quarters = even[::2, ::2] + even[1::2, ::2] + even[::2, 1::2] + even[1::2, 1::2]
    return quarters * np.float32(0.25)
