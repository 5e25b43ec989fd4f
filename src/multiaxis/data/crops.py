"""Cutting, turning and mixing of pictures that belong together."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from multiaxis.errors import DataError

MIXUP_BETA = 1.2  # parameter of the Beta distribution; MPRNet's, the paper names none


def cut(
    pictures: list[NDArray[Any]], size: int, rng: np.random.Generator, *, margin: int = 0
) -> list[NDArray[Any]]:
    """Cut the same random square out of pictures of equal size.

    Parameters
    ----------
    pictures : list of array, each (height, width, channels)
    size : int
        Pixels of a side.
    rng : Generator
    margin : int
        Pixels more at each side, mirrored where the picture has none; see `trim`.

    Raises
    ------
    DataError
        If a picture is smaller than the square.
    """
    height, width = pictures[0].shape[:2]
    if min(height, width) < size:
        raise DataError(
            f"it has {width} x {height} pixels, less than the crop of {size}: leave it out, or "
            "train with smaller crops (--set data.crop=...)"
        )
    rows, columns = (
        _places(n, size, margin, int(rng.integers(n - size + 1))) for n in (height, width)
    )
    return [p[rows][:, columns] for p in pictures]


def _places(length: int, size: int, margin: int, first: int) -> slice | NDArray[np.intp]:
    start, end = first - margin, first + size + margin
    if start >= 0 and end <= length:
        return slice(start, end)
    places = np.arange(start, end) % (2 * length)
    return np.minimum(places, 2 * length - 1 - places)


def trim(picture: NDArray[Any], size: int) -> NDArray[Any]:
    """Cut the middle square out."""
    top, left = ((n - size) // 2 for n in picture.shape[:2])
    return picture[top : top + size, left : left + size]


def turn(pictures: list[NDArray[Any]], rng: np.random.Generator) -> list[NDArray[Any]]:
    """Flip and turn all alike, to one of the eight ways that a square can lie."""
    way = int(rng.integers(8))
    turned = [np.rot90(p, way % 4) for p in pictures]
    return [p[:, ::-1] for p in turned] if way >= 4 else turned


def mix(
    one: tuple[NDArray[Any], NDArray[Any]],
    other: tuple[NDArray[Any], NDArray[Any]],
    rng: np.random.Generator,
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Average two pairs of pictures with one random weight (MixUp for restoration)."""
    share = np.float32(rng.beta(MIXUP_BETA, MIXUP_BETA))
    first, second = (share * a + (1 - share) * b for a, b in zip(one, other, strict=True))
    return first, second
