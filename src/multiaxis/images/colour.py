"""What a network may see of a picture: sRGB without hidden colour; and the way back."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from multiaxis.images.codecs import CodecError, from_srgb, to_srgb
from multiaxis.images.convert import check_unit, from_unit, to_unit
from multiaxis.images.picture import Picture
from multiaxis.images.profile import deciding_profile, grey_as_rgb, profile_space

_LEVEL = 65535 / 255  # one of 8 bits, in 16


def seen_by_model(picture: Picture) -> NDArray[np.float32]:
    """Give the colours that a network trained on sRGB photographs should see.

    Parameters
    ----------
    picture : Picture

    Returns
    -------
    array of float32, shape (height, width, 1 or 3), in [0, 1]
        In sRGB where the picture states a colour space that differs from it; otherwise, and where
        it is HDR, the samples as they are, divided by their peak. What lies hidden under alpha 0
        is replaced by the colours around it, or it would bleed into what is visible.

    Raises
    ------
    ImageError
        If floats are no numbers, or lie outside [0, 1].
    """
    values = to_unit(picture.pixels)
    if picture.depth == "float32":
        check_unit(values)
    way = _way(picture)
    if way is not None:
        values = way.to_srgb(values)
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
        In the colour space of the source. There, the *change* is added to the source's own samples:
        colours that sRGB cannot hold survive where the network left them alone, and a network that
        changes nothing gives back every bit. Colour under alpha 0 is the source's, and so are
        metadata and remarks.
    """
    values, way = restored, _way(picture)
    if way is not None:
        values = to_unit(picture.pixels)
        change = way.from_srgb(restored) - way.from_srgb(way.to_srgb(values))
        values = values + change
    if picture.alpha is not None and not picture.alpha.all():
        hidden = picture.alpha[..., None] == 0
        values = np.where(hidden, to_unit(picture.pixels), values)
    wanted = np.dtype(depth or picture.depth)
    beside = [
        band if band is None or band.dtype == wanted else from_unit(to_unit(band), wanted)
        for band in (picture.alpha, picture.extra)
    ]
    pixels = from_unit(values, wanted)
    return Picture(pixels, beside[0], picture.metadata, beside[1], picture.remarks)


def colour_remark(picture: Picture) -> str:
    """Say what of a picture's colour space is not understood; empty as a rule."""
    colour, icc = picture.metadata.colour, picture.metadata.icc
    if colour is not None and colour.hdr:
        return f"it is HDR ({colour.hdr}), and networks know only SDR photographs: check the result"
    if colour is not None and not colour.is_known:
        primaries, transfer, _, full = colour.cicp or (0, 0, 0, 0)
        return (
            f"its colour space (primaries {primaries}, transfer {transfer}, range {full} of "
            "H.273) is unknown: it is read as sRGB"
        )
    decides = colour is None or colour.cicp is None
    if icc and decides and not _is_usable(icc, picture.pixels.shape[2]):
        kind = f"is for {profile_space(icc)} samples" if profile_space(icc) else "is damaged"
        return f"its colour profile {kind} and cannot be used: it is read as sRGB"
    return ""


@dataclass(frozen=True)
class _Way:
    """From a colour space to sRGB and back."""

    icc: bytes
    curve: NDArray[np.float32] | None = None
    """For grey: sRGB of 65536 equal steps."""

    def to_srgb(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        samples = from_unit(values, np.uint16)
        return to_unit(to_srgb(samples, self.icc)) if self.curve is None else self.curve[samples]

    def from_srgb(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        if self.curve is None:
            return to_unit(from_srgb(from_unit(values, np.uint16), self.icc))
        steps = np.linspace(0, 1, len(self.curve), dtype=np.float32)
        return np.interp(values, self.curve, steps).astype(np.float32)


def _way(picture: Picture) -> _Way | None:
    """Find the way that a picture's colours take; None where they are sRGB or not understood."""
    icc = deciding_profile(picture.metadata)
    return _cached_way(icc, picture.pixels.shape[2]) if icc else None


@lru_cache(maxsize=16)
def _cached_way(icc: bytes, channels: int) -> _Way | None:
    """Leave alone a profile that cannot be used, and one that hardly differs from sRGB."""
    try:
        return _found_way(icc, channels)
    except CodecError:
        return None


@lru_cache(maxsize=16)
def _is_usable(icc: bytes, channels: int) -> bool:
    try:
        _found_way(icc, channels)
    except CodecError:
        return False
    return True


def _found_way(icc: bytes, channels: int) -> _Way | None:
    usable = (grey_as_rgb(icc) or icc) if channels == 1 else icc
    if profile_space(usable) != "RGB":
        raise CodecError
    if channels == 1:
        ramp = np.arange(65536, dtype=np.uint16).reshape(256, 256, 1)
        curve = to_srgb(np.repeat(ramp, 3, axis=-1), usable)[..., 1].ravel().astype(np.int32)
        if curve[-1] - curve[0] < _LEVEL:
            raise CodecError
        gap = np.abs(curve - ramp.ravel()).mean()
        rising = to_unit(np.maximum.accumulate(curve).astype(np.uint16))
        return _Way(usable, rising) if gap > _LEVEL else None
    steps = np.linspace(0, 65535, 6).astype(np.uint16)
    cube = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(1, -1, 3)
    gap = np.abs(to_srgb(cube, usable).astype(np.int32) - cube).mean()
    from_srgb(cube, usable)
    return _Way(usable) if gap > _LEVEL else None


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
