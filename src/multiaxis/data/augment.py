"""Changes to pictures that keep their class: RandAugment and erasing."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageOps

GREY = (128, 128, 128)  # what comes in from outside, as in RandAugment's reference code
_LEVELS = 10.0  # magnitude at which an operation does most


def rand_augment(
    picture: Image.Image, layers: int, magnitude: int, rng: np.random.Generator
) -> Image.Image:
    """Apply `layers` operations, each chosen at random, with one magnitude.

    Source: Cubuk et al., RandAugment (2019); operations and their scales are those of its
    reference code. Magnitudes above 10, as MaxViT's 15, go on past the usual scales.
    """
    for _ in range(layers):
        name = _NAMES[int(rng.integers(len(_NAMES)))]
        picture = _operate(picture, name, magnitude / _LEVELS, rng)
    return picture


_NAMES = (
    "autocontrast", "equalize", "invert", "rotate", "posterize", "solarize", "solarize_add",
    "color", "contrast", "brightness", "sharpness", "shear_x", "shear_y", "translate_x",
    "translate_y", "cutout",
)  # fmt: skip


def _operate(
    picture: Image.Image, name: str, level: float, rng: np.random.Generator
) -> Image.Image:
    sign = 1 if rng.random() < 0.5 else -1
    if name in _SIMPLE:
        return _SIMPLE[name](picture)
    if name in _ENHANCERS:
        return _ENHANCERS[name](picture).enhance(1.8 * level + 0.1)
    if name in _TONES:
        return _TONES[name](picture, level)
    if name == "cutout":
        return _cutout(picture, round(40 * level * min(picture.size) / 224), rng)
    return _move(picture, name, sign * level)


def _posterize(picture: Image.Image, level: float) -> Image.Image:
    return ImageOps.posterize(picture, min(max(round(4 * level), 1), 8))


def _solarize(picture: Image.Image, level: float) -> Image.Image:
    return ImageOps.solarize(picture, min(round(256 * level), 256))


def _solarize_add(picture: Image.Image, level: float) -> Image.Image:
    values = np.asarray(picture).astype(np.int16)
    lifted = np.clip(values + round(110 * level), 0, 255)
    return Image.fromarray(np.where(values < 128, lifted, values).astype(np.uint8))


_SIMPLE: dict[str, Any] = {
    "autocontrast": ImageOps.autocontrast,
    "equalize": ImageOps.equalize,
    "invert": ImageOps.invert,
}
_ENHANCERS: dict[str, Any] = {
    "color": ImageEnhance.Color,
    "contrast": ImageEnhance.Contrast,
    "brightness": ImageEnhance.Brightness,
    "sharpness": ImageEnhance.Sharpness,
}


_TONES: dict[str, Any] = {
    "posterize": _posterize,
    "solarize": _solarize,
    "solarize_add": _solarize_add,
}


def _move(picture: Image.Image, name: str, level: float) -> Image.Image:
    if name == "rotate":
        return picture.rotate(30 * level, fillcolor=GREY)
    shear, shift = 0.3 * level, 100 / 224 * level
    width, height = picture.size
    matrix = {
        "shear_x": (1, shear, 0, 0, 1, 0),
        "shear_y": (1, 0, 0, shear, 1, 0),
        "translate_x": (1, 0, shift * width, 0, 1, 0),
        "translate_y": (1, 0, 0, 0, 1, shift * height),
    }[name]
    return picture.transform(picture.size, Image.Transform.AFFINE, matrix, fillcolor=GREY)


def _cutout(picture: Image.Image, half: int, rng: np.random.Generator) -> Image.Image:
    width, height = picture.size
    x, y = int(rng.integers(width)), int(rng.integers(height))
    changed = picture.copy()
    box = (max(x - half, 0), max(y - half, 0), min(x + half, width), min(y + half, height))
    changed.paste(GREY, box)
    return changed


def erase(picture: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Fill a random rectangle of 2 to 33 % of the area with noise (Zhong et al., 2017)."""
    height, width = picture.shape[:2]
    area = height * width * rng.uniform(0.02, 0.33)
    aspect = np.exp(rng.uniform(np.log(0.3), np.log(1 / 0.3)))
    h = min(max(round(np.sqrt(area / aspect)), 1), height)
    w = min(max(round(np.sqrt(area * aspect)), 1), width)
    top, left = int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1))
    erased = picture.copy()
    erased[top : top + h, left : left + w] = rng.integers(0, 256, (h, w, 3), np.uint8)
    return erased
