"""Pictures to what a classifier takes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from multiaxis.errors import ShapeError
from multiaxis.tasks.classify.bicubic import resize_bicubic
from multiaxis.tasks.classify.rules import Preprocessing

_MOST_OBLONG = 100  # times as long as wide: beyond it a resized picture would fill the memory


def preprocess(pixels: NDArray[Any], rules: Preprocessing) -> NDArray[np.float32]:
    """Crop, resize and normalise one picture.

    Parameters
    ----------
    pixels : array of uint8, shape (height, width, 3)
        RGB, upright.
    rules : Preprocessing

    Returns
    -------
    array of float32, shape (*rules.size, 3)

    Raises
    ------
    ShapeError
        If shape or dtype are others, or one side is more than 100 times the other.

    Examples
    --------
    >>> from multiaxis.tasks.classify.rules import find_preprocessing
    >>> preprocess(np.zeros((250, 300, 3), np.uint8), find_preprocessing("authors")).shape
    (224, 224, 3)
    """
    shape = pixels.shape
    if len(shape) != 3 or shape[2] != 3 or 0 in shape or pixels.dtype != np.uint8:
        raise ShapeError(
            f"received {pixels.dtype} of shape {shape}: accepted is uint8 of shape (height, width, "
            "3), so convert the picture to 8-bit RGB"
        )
    if max(shape[:2]) > _MOST_OBLONG * min(shape[:2]):
        raise ShapeError(
            f"received a picture of {shape[1]}x{shape[0]}: accepted are sides that differ by "
            f"{_MOST_OBLONG} times at most, so cut the part out that matters"
        )
    ways = {"authors": _as_authors, "pillow": _as_pillow, "middle": _middle}
    resized = ways[rules.style](pixels, rules)
    # In the scale of the pixels, as the authors do; the other order differs by rounding only.
    mean, std = np.array([rules.mean, rules.std], np.float32) * np.float32(255)
    return np.divide(resized - mean, std, dtype=np.float32)


def _as_authors(pixels: NDArray[np.uint8], rules: Preprocessing) -> NDArray[np.float32]:
    height, width = _part(pixels, rules)
    share = np.float32(rules.crop)  # as TensorFlow computes it: at the edge, rounding decides
    height, width = (max(1, int(share * np.float32(side))) for side in (height, width))
    top, left = (pixels.shape[0] - height + 1) // 2, (pixels.shape[1] - width + 1) // 2
    return resize_bicubic(pixels[top : top + height, left : left + width], rules.size)


def _middle(pixels: NDArray[np.uint8], rules: Preprocessing) -> NDArray[np.float32]:
    height, width = (max(1, int(rules.crop * side)) for side in _part(pixels, rules))
    top, left = (pixels.shape[0] - height) // 2, (pixels.shape[1] - width) // 2
    box = (left, top, left + width, top + height)
    rows, columns = rules.size
    # Not cropped before: the filter reaches over the edge of the box, as it did in training.
    image = Image.fromarray(pixels).resize((columns, rows), Image.Resampling.BICUBIC, box=box)
    return np.asarray(image, np.float32)


def _part(pixels: NDArray[np.uint8], rules: Preprocessing) -> tuple[float, float]:
    """Sides of the largest rectangle of the wanted shape; of the whole where it is squashed."""
    height, width = pixels.shape[:2]
    rows, columns = rules.size
    if rules.squash:
        return height, width
    return min(height, width * rows / columns), min(width, height * columns / rows)


def _as_pillow(pixels: NDArray[np.uint8], rules: Preprocessing) -> NDArray[np.float32]:
    target = [math.floor(side / rules.crop) for side in rules.size]
    height, width = target if rules.squash else _covering(pixels.shape[:2], target)
    image = Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC)
    top, left = round((height - rules.size[0]) / 2), round((width - rules.size[1]) / 2)
    box = (left, top, left + rules.size[1], top + rules.size[0])
    return np.asarray(image.crop(box), np.float32)


def _covering(size: tuple[int, ...], target: list[int]) -> tuple[int, int]:
    """Scale (height, width) so that it just covers the target."""
    (height, width), (rows, columns) = size, target
    # Square targets come from torchvision's resizing, others from timm's.
    to_whole = int if rows == columns else round
    if height * columns <= width * rows:
        return rows, to_whole(rows * width / height)
    return to_whole(columns * height / width), columns
