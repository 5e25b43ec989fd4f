"""The recipes that published weights were evaluated with, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from multiaxis.errors import unknown
from multiaxis.models.fields import FieldChecks

Triple = tuple[float, float, float]

RULES = ("authors", "timm", "torchvision")
"""Ways of preprocessing, for any size."""

_CHECKS = FieldChecks("preprocessing:")

_STATISTICS: dict[str, tuple[Triple, Triple]] = {
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "half": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
}


@dataclass(frozen=True)
class Preprocessing:
    """How a picture is cropped, resized and normalised.

    Attributes
    ----------
    style : {"authors", "pillow", "middle"}
        ``authors`` crops first and resizes with old TensorFlow's bicubic filter, to floats.
        ``pillow`` resizes first, with Pillow's antialiased bicubic filter, to whole numbers, and
        crops then. ``middle`` crops first and resizes with that filter: how trainings here see
        what they are validated on.
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

    style: Literal["authors", "pillow", "middle"]
    size: tuple[int, int]
    crop: float
    squash: bool
    mean: Triple
    std: Triple

    def __post_init__(self) -> None:
        for name in ("size", "mean", "std"):  # lists, where they come from JSON
            object.__setattr__(self, name, tuple(getattr(self, name)))
        styles = ("authors", "pillow", "middle")
        _CHECKS.require(self.style in styles, "style", self.style, "authors, pillow or middle")
        is_size = len(self.size) == 2 and min(self.size) > 0
        _CHECKS.require(is_size, "size", self.size, "rows and columns, from 1 on")
        _CHECKS.require(0 < self.crop <= 1, "crop", self.crop, "a share above 0, up to 1")
        _CHECKS.require(len(self.mean) == 3, "mean", self.mean, "three numbers")
        is_std = len(self.std) == 3 and min(self.std) > 0
        _CHECKS.require(is_std, "std", self.std, "three numbers above 0")


def _rules(recipe: str, size: tuple[int, int], statistics: str) -> Preprocessing:
    is_at_224, side = size == (224, 224), min(size)
    crops = {  # share of the side, and whether the picture is squashed instead
        "authors": (side / (side + 32), False),
        "timm": (0.95, False) if is_at_224 else (1.0, True),
        "torchvision": (1.0, False),
    }
    style = "authors" if recipe == "authors" else "pillow"
    return Preprocessing(style, size, *crops[recipe], *_STATISTICS[statistics])


PREPROCESSINGS: dict[str, Preprocessing] = {
    **{
        f"{recipe}-{side}-{statistics}": _rules(recipe, (side, side), statistics)
        for recipe in ("authors", "timm")
        for side, statistics in [(224, "imagenet"), (224, "half"), (384, "half"), (512, "half")]
    },
    "torchvision-224": _rules("torchvision", (224, 224), "imagenet"),
}
"""Those of the published checkpoints, by the names that their cards use."""


def find_preprocessing(
    name: str, size: tuple[int, int] = (224, 224), *, num_classes: int = 1000
) -> Preprocessing:
    """Give a published preprocessing, or one of the same recipe for another size.

    Parameters
    ----------
    name : str
        A key of `PREPROCESSINGS`, whatever `size` is; or a recipe. ``"authors"``: a centre crop of
        size / (size + 32) of the shorter side, and old TensorFlow's filter. ``"timm"``: a 95 %
        centre crop at 224, squashed without a crop at other sizes. ``"torchvision"``: the
        shorter side to the size, then the centre.
    size : tuple of int
        Rows and columns that the model takes.
    num_classes : int
        Of the model. For ``"authors"`` and ``"timm"``, those trained on ImageNet-21k and those
        tuned for more than 224 pixels are normalised by halves, the others by the statistics of
        ImageNet.

    Raises
    ------
    ConfigError
        If the name is unknown.

    Notes
    -----
    Source of the normalisation: ``legacy_preprocess`` in the authors' configurations and
    notebook; timm's agrees.

    Examples
    --------
    >>> find_preprocessing("authors", (384, 384)).mean
    (0.5, 0.5, 0.5)
    >>> find_preprocessing("torchvision-224").crop
    1.0
    """
    if name in PREPROCESSINGS:
        return PREPROCESSINGS[name]
    if name not in RULES:
        raise unknown("preprocessing", name, [*RULES, *PREPROCESSINGS])
    is_first_training = size == (224, 224) and num_classes <= 1000
    is_imagenet = is_first_training or name == "torchvision"
    return _rules(name, size, "imagenet" if is_imagenet else "half")
