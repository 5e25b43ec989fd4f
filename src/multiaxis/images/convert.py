"""Samples of any depth to [0, 1] and back, grey to RGB and back: arrays only."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from multiaxis.errors import ImageError, ShapeError

_PEAKS = {"uint8": 255, "uint16": 65535}
FLOAT_TOLERANCE = 1e-3
"""How far floats may lie outside [0, 1]: rounding, not another scale."""

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601


def to_unit(pixels: NDArray[Any]) -> NDArray[np.float32]:
    """Scale samples to [0, 1].

    Parameters
    ----------
    pixels : array, any shape
        uint8, uint16 or float32.

    Returns
    -------
    array of float32, same shape
        Integers divided by their peak; floats as they are, in whatever range they have.

    Examples
    --------
    >>> to_unit(np.array([0, 51, 255], np.uint8)).tolist()
    [0.0, 0.20000000298023224, 1.0]
    """
    if pixels.dtype == np.float32:
        return pixels
    return np.divide(pixels, np.float32(_peak(pixels.dtype)), dtype=np.float32)


def from_unit(values: NDArray[Any], dtype: DTypeLike) -> NDArray[Any]:
    """Scale [0, 1] back to a depth: clip, multiply by the peak, round half to even.

    Parameters
    ----------
    values : array of floats, any shape
    dtype : dtype
        uint8, uint16 or float32; float32 is clipped only.

    Raises
    ------
    ShapeError
        If a value is not a number, or the dtype is another one.

    Examples
    --------
    >>> from_unit(np.array([-0.1, 0.5, 1.0], np.float32), np.uint8).tolist()
    [0, 128, 255]
    """
    if np.isnan(values).any():
        raise ShapeError("values contain NaN: wanted numbers in [0, 1]")
    clipped = np.clip(values, 0, 1, dtype=np.float32)
    wanted = np.dtype(dtype)
    if wanted == np.float32:
        return clipped
    clipped *= np.float32(_peak(wanted))
    return np.rint(clipped, out=clipped).astype(wanted)


def check_unit(values: NDArray[np.float32]) -> None:
    """Refuse floats that are no numbers, or on another scale than [0, 1].

    Raises
    ------
    ImageError
        Says what was found.
    """
    check_range(float(values.min()), float(values.max()))  # NaN and infinities come through


def check_range(low: float, high: float) -> None:
    """Refuse a least and a largest value, as `check_unit` does."""
    if not np.isfinite([low, high]).all():
        raise ImageError("its floats hold NaN or infinite values: replace them first")
    if low < -FLOAT_TOLERANCE or high > 1 + FLOAT_TOLERANCE:
        raise ImageError(
            f"its floats lie between {low:g} and {high:g}; accepted is the range 0 to 1, "
            "0 as black and 1 as white, so scale or clip them first"
        )


def divide_alpha(samples: NDArray[Any], colours: int) -> NDArray[Any]:
    """Undo a multiplication by alpha.

    Parameters
    ----------
    samples : array, shape (height, width, bands)
        uint8, uint16 or float32.
    colours : int
        How many bands are colours; the next one is alpha, and what follows stays as it is.

    Returns
    -------
    array, same shape and dtype
        Whole numbers rounded and at most their peak; multiplied and rounded again they are what
        they were. Under alpha 0 nothing is divided.
    """
    if samples.shape[2] <= colours:
        return samples
    colour, alpha = samples[..., :colours], samples[..., colours : colours + 1]
    covered = np.where(alpha == 0, 1, alpha).astype(np.float64)
    if samples.dtype == np.float32:
        divided = np.where(alpha == 0, colour, colour / covered)
    else:
        peak = _peak(samples.dtype)
        divided = np.where(
            alpha == 0, colour, np.minimum(np.rint(colour * np.float64(peak) / covered), peak)
        )
    return np.concatenate([divided.astype(samples.dtype), samples[..., colours:]], axis=-1)


def grey_to_rgb(pixels: NDArray[Any]) -> NDArray[Any]:
    """Repeat the one channel of (..., 1) three times; (..., 3) comes back as it is."""
    if pixels.shape[-1] == 3:
        return pixels
    if pixels.shape[-1] != 1:
        raise ShapeError(f"pixels of shape {pixels.shape}: wanted 1 or 3 channels last")
    return np.repeat(pixels, 3, axis=-1)


def rgb_to_grey(pixels: NDArray[Any]) -> NDArray[Any]:
    """Weigh (..., 3) to BT.601 luma of shape (..., 1), same dtype; (..., 1) comes back as it is.

    The weights act on the stored values, as all grey conversions of the benchmarks do. Three
    equal channels give exactly that channel.
    """
    if pixels.shape[-1] == 1:
        return pixels
    if pixels.shape[-1] != 3:
        raise ShapeError(f"pixels of shape {pixels.shape}: wanted 1 or 3 channels last")
    luma = pixels @ np.array(LUMA)  # float64
    if np.issubdtype(pixels.dtype, np.integer):
        luma = np.rint(luma)
    return luma[..., None].astype(pixels.dtype)


def _peak(dtype: np.dtype[Any]) -> int:
    try:
        return _PEAKS[dtype.name]
    except KeyError:
        raise ShapeError(f"samples of dtype {dtype}: wanted uint8, uint16 or float32") from None
