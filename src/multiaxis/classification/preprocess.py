"""Pictures to what a classifier takes: the recipes that published weights were evaluated with."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from multiaxis.classification.bicubic import resize_bicubic
from multiaxis.errors import ConfigError, ShapeError, unknown

Triple = tuple[float, float, float]

RECIPES = ("authors", "timm", "torchvision")
"""Names that `find_preprocessing` knows."""

_IMAGENET: tuple[Triple, Triple] = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_HALVES: tuple[Triple, Triple] = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
_MOST_OBLONG = 100  # times as long as wide: beyond it a resized picture would fill the memory


@dataclass(frozen=True)
class Preprocessing:
    """How a picture is cropped, resized and normalised.

    Attributes
    ----------
    style : {"authors", "pillow"}
        ``authors`` crops first and resizes with old TensorFlow's bicubic filter, to floats.
        ``pillow`` resizes first, with Pillow's antialiased bicubic filter, to whole numbers, and
        crops then.
    size : tuple of int
        Rows and columns of the result.
    crop : float
        Share of the side that the crop keeps, in (0, 1].
    squash : bool
        Whether the picture is stretched to the shape of `size` instead of cropped to it.
    mean, std : tuple of float
        What the channels, scaled to [0, 1], are normalised by.

    Raises
    ------
    ConfigError
        If a value cannot work.
    """

    style: Literal["authors", "pillow"]
    size: tuple[int, int]
    crop: float
    squash: bool
    mean: Triple
    std: Triple

    def __post_init__(self) -> None:
        for name in ("size", "mean", "std"):  # lists, where they come from JSON
            object.__setattr__(self, name, tuple(getattr(self, name)))
        _require(self.style in ("authors", "pillow"), "style", self.style, "authors or pillow")
        is_size = len(self.size) == 2 and min(self.size) > 0
        _require(is_size, "size", self.size, "rows and columns, from 1 on")
        _require(0 < self.crop <= 1, "crop", self.crop, "a share above 0, up to 1")
        _require(len(self.mean) == 3, "mean", self.mean, "three numbers")
        is_std = len(self.std) == 3 and min(self.std) > 0
        _require(is_std, "std", self.std, "three numbers above 0")


def find_preprocessing(
    recipe: str, size: tuple[int, int] = (224, 224), *, num_classes: int = 1000
) -> Preprocessing:
    """Give the published preprocessing of MaxViT.

    Parameters
    ----------
    recipe : str
        ``"authors"``: a crop of all but 32 of size + 32 pixels, and old TensorFlow's filter.
        ``"timm"``: 95 % centre crop at 224, squashed without a crop at other sizes.
        ``"torchvision"``: shorter side to the size, then the centre.
    size : tuple of int
        Rows and columns that the model takes.
    num_classes : int
        Of the model: those trained on ImageNet-21k, and those fine-tuned at more than 224 pixels,
        are normalised by halves, the others by the statistics of ImageNet.

    Raises
    ------
    ConfigError
        If the recipe is unknown.

    Notes
    -----
    Source of the normalisation: ``legacy_preprocess`` in the authors' configurations and
    notebook; timm's agrees.

    Examples
    --------
    >>> find_preprocessing("authors", (384, 384)).mean
    (0.5, 0.5, 0.5)
    >>> find_preprocessing("torchvision").crop
    1.0
    """
    is_first_training = size == (224, 224) and num_classes <= 1000
    mean, std = _IMAGENET if is_first_training else _HALVES
    if recipe == "authors":
        side = min(size)
        return Preprocessing("authors", size, side / (side + 32), False, mean, std)  # noqa: FBT003
    if recipe == "timm":
        is_cropped = size == (224, 224)
        crop = 0.95 if is_cropped else 1.0
        return Preprocessing("pillow", size, crop, not is_cropped, mean, std)
    if recipe == "torchvision":
        return Preprocessing("pillow", size, 1.0, False, *_IMAGENET)  # noqa: FBT003
    raise unknown("preprocessing", recipe, RECIPES)


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
    resized = _as_authors(pixels, rules) if rules.style == "authors" else _as_pillow(pixels, rules)
    # In the scale of the pixels, as the authors do; the other order differs by rounding only.
    mean, std = np.array([rules.mean, rules.std], np.float32) * np.float32(255)
    return np.divide(resized - mean, std, dtype=np.float32)


def _as_authors(pixels: NDArray[np.uint8], rules: Preprocessing) -> NDArray[np.float32]:
    height, width = pixels.shape[:2]
    rows, columns = rules.size
    if not rules.squash:  # the largest rectangle of the wanted shape
        height, width = min(height, width * rows / columns), min(width, height * columns / rows)
    share = np.float32(rules.crop)  # as TensorFlow computes it: at the edge, rounding decides
    height, width = (max(1, int(share * np.float32(side))) for side in (height, width))
    top, left = (pixels.shape[0] - height + 1) // 2, (pixels.shape[1] - width + 1) // 2
    return resize_bicubic(pixels[top : top + height, left : left + width], rules.size)


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


def _require(holds: bool, name: str, value: object, accepted: str) -> None:  # noqa: FBT001 (the claim)
    if not holds:
        raise ConfigError(f"preprocessing: {name} is {value!r}; accepted is {accepted}")
