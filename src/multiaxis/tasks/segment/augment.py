"""Changes to a picture and its labels alike: another scale, a part of it, mirrored; colours."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

Pair = tuple[NDArray[np.uint8], NDArray[np.int32]]
FILL, VOID = 128, -1  # what comes in from outside: grey, and labels that do not count


def rescaled_part(
    picture: NDArray[np.uint8],
    labels: NDArray[np.int32],
    factor: float,
    crop: tuple[int, int],
    rng: np.random.Generator,
) -> Pair:
    """Resize both by a factor and cut the same random part out.

    Parameters
    ----------
    picture : array of uint8, shape (height, width, 3)
    labels : array of int32, shape (height, width)
    factor : float
        The new sides over the old ones.
    crop : (int, int)
        Rows and columns of the part. Where the resized picture is smaller, it lies in the corner at
        the top left, and what is beside it does not count.
    rng : Generator
    """
    size = [max(1, round(side * factor)) for side in labels.shape]
    ratios = [old / new for old, new in zip(labels.shape, size, strict=True)]
    taken = [min(n, side) for n, side in zip(crop, size, strict=True)]
    starts = [int(rng.integers(side - n + 1)) for side, n in zip(size, taken, strict=True)]
    (top, left), (rows, columns) = starts, taken
    box = (
        left * ratios[1],
        top * ratios[0],
        (left + columns) * ratios[1],
        (top + rows) * ratios[0],
    )
    part = Image.fromarray(picture).resize((columns, rows), Image.Resampling.BILINEAR, box=box)
    y, x = (
        np.minimum(((np.arange(n) + start + 0.5) * ratio).astype(np.intp), side - 1)
        for n, start, ratio, side in zip(taken, starts, ratios, labels.shape, strict=True)
    )
    seen = np.full((*crop, 3), FILL, np.uint8)
    truth = np.full(crop, VOID, np.int32)
    seen[:rows, :columns], truth[:rows, :columns] = np.asarray(part), labels[y][:, x]
    return seen, truth


def mirrored(picture: NDArray[np.uint8], labels: NDArray[np.int32]) -> Pair:
    """Exchange left and right of both."""
    return picture[:, ::-1], labels[:, ::-1]


def recoloured(
    picture: NDArray[np.uint8], strength: float, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Change brightness, contrast and saturation by random factors of 1 - strength to 1 + it."""
    image = Image.fromarray(picture)
    for kind in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        image = kind(image).enhance(rng.uniform(1 - strength, 1 + strength))
    return np.asarray(image)
