"""Classical numbers of a picture: how light, colourful, contrasted and sharp it is."""

from __future__ import annotations

from functools import cache
from math import lgamma

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]
Floats = NDArray[np.floating]
_SIDE = 384  # pixels: the area of a square of this side is looked at
_SHAPES = np.arange(0.2, 10, 0.001)

STATISTICS = (
    "brightness", "contrast", "dark", "light", "saturation", "colourfulness",
    "warmth", "greenness", "middle_brightness", "middle_saturation", "middle_sharpness",
    "sharpness", "sharpness_at_half", "sharpness_at_quarter", "log_area", "aspect",
    "mscn_shape", "mscn_spread", "mscn_shape_at_half", "mscn_spread_at_half",
    "across_shape", "across_skew", "down_shape", "down_skew",
)  # fmt: skip
"""Their names, in order."""


def sharpness(grey: Floats) -> float:
    """Give the logarithm of the variance of the Laplacian."""
    inner = grey[1:-1, 1:-1]
    ring = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]
    return float(np.log(1e-8 + (ring - 4 * inner).var()))


def colourfulness(rgb: Floats) -> float:
    """Give Hasler and Süsstrunk's measure (2003) of sRGB in [0, 1]."""
    across = rgb[..., 0] - rgb[..., 1]
    down = (rgb[..., 0] + rgb[..., 1]) / 2 - rgb[..., 2]
    spread = np.hypot(across.std(), down.std())
    return float(spread + 0.3 * np.hypot(across.mean(), down.mean()))


def measure(pixels: Pixels) -> NDArray[np.float32]:
    """Describe a picture by classical numbers, in the order of `STATISTICS`.

    Parameters
    ----------
    pixels : array of uint8, shape (height, width, 3)
        sRGB, upright.

    Notes
    -----
    Shapes are those of generalised Gaussians that fit luminance divided by its local contrast, and
    products of neighbours, as in BRISQUE (Mittal et al., 2012).
    """
    height, width = pixels.shape[:2]
    image = Image.fromarray(pixels)
    factor = min(1.0, _SIDE / (height * width) ** 0.5)
    size = max(16, round(width * factor)), max(16, round(height * factor))
    rgb = np.asarray(image.resize(size, Image.Resampling.BOX), np.float32) / 255
    grey = rgb @ np.array([0.299, 0.587, 0.114], np.float32)
    spread = rgb.max(axis=2) - rgb.min(axis=2)
    rows, columns = grey.shape
    middle = slice(rows // 4, rows - rows // 4), slice(columns // 4, columns - columns // 4)
    halves = [_halved(grey), _halved(_halved(grey))]
    fine, coarse = _divided(grey), _divided(halves[0])
    products = fine[:, 1:] * fine[:, :-1], fine[1:] * fine[:-1]
    values = [
        *(grey.mean(), grey.std(), (grey < 0.05).mean(), (grey > 0.95).mean(), spread.mean()),
        *(colourfulness(rgb), (rgb[..., 0] - rgb[..., 2]).mean()),
        *((rgb[..., 1] - (rgb[..., 0] + rgb[..., 2]) / 2).mean(), grey[middle].mean()),
        *(spread[middle].mean(), sharpness(grey[middle]), sharpness(grey)),
        *(sharpness(halves[0]), sharpness(halves[1])),
        *(np.log(height * width), np.log(width / height)),
        *(*_fit(fine), *_fit(coarse)),
        *(value for one in products for value in (_fit(one)[0], one.mean())),
    ]
    return np.asarray(values, np.float32)


def _halved(grey: Floats) -> Floats:
    rows, columns = (side // 2 * 2 for side in grey.shape)
    parts = grey[:rows, :columns].reshape(rows // 2, 2, columns // 2, 2)
    return parts.mean(axis=(1, 3))


def _divided(grey: Floats) -> Floats:
    """Subtract the local mean, and divide by the local contrast, on the scale of 8 bits."""
    values = grey * np.float32(255)
    mean = _blurred(values)
    spread = np.sqrt(np.maximum(_blurred(values**2) - mean**2, 0))
    return (values - mean) / (spread + 1)


def _blurred(values: Floats) -> Floats:
    weights = np.exp(-(np.arange(-3, 4) ** 2) / (2 * (7 / 6) ** 2)).astype(np.float32)
    weights /= weights.sum()
    for axis in (0, 1):
        padded = np.pad(values, [(3, 3) if k == axis else (0, 0) for k in (0, 1)], "edge")
        views = np.lib.stride_tricks.sliding_window_view(padded, 7, axis=axis)
        values = views @ weights
    return values


def _fit(values: Floats) -> tuple[float, float]:
    """Give shape and standard deviation of the generalised Gaussian of the same moments."""
    square, size = float((values**2).mean()), float(np.abs(values).mean())
    wanted = square / max(size, 1e-6) ** 2
    return float(_SHAPES[np.abs(_ratios() - wanted).argmin()]), square**0.5


@cache
def _ratios() -> NDArray[np.float64]:
    found = [lgamma(1 / b) + lgamma(3 / b) - 2 * lgamma(2 / b) for b in _SHAPES]
    return np.exp(found)
