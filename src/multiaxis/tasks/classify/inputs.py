"""Whatever holds a picture, to the 8-bit RGB that preprocessing takes."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from multiaxis.errors import ShapeError
from multiaxis.images import Picture, from_pillow, from_unit, grey_to_rgb, read_picture, to_unit

Source = str | os.PathLike[str] | Image.Image | Picture | NDArray[Any]
"""A path, a Pillow image, a `Picture`, or an array of shape (height, width[, channels])."""


def rgb_pixels(source: Source) -> NDArray[np.uint8]:
    """Give the pixels of a picture, upright, shape (height, width, 3).

    Grey becomes three equal channels, other depths are rounded to 8 bits, alpha is left out.

    Raises
    ------
    ImageError
        If a file or a Pillow image cannot be read.
    ShapeError
        If an array is no picture.
    """
    if isinstance(source, str | os.PathLike):
        picture = read_picture(source)
    elif isinstance(source, Image.Image):
        picture = from_pillow(source)
    else:
        picture = source if isinstance(source, Picture) else _from_array(source)
    pixels = grey_to_rgb(picture.pixels)
    return pixels if pixels.dtype == np.uint8 else from_unit(to_unit(pixels), np.uint8)


def _from_array(array: object) -> Picture:
    if not isinstance(array, np.ndarray):
        raise ShapeError(
            f"received a {type(array).__name__}: accepted are paths, Pillow images and arrays of "
            "shape (height, width) or (height, width, channels)"
        )
    pixels = array[..., None] if array.ndim == 2 else array
    if pixels.ndim == 3 and pixels.shape[2] in (2, 4):
        pixels = pixels[..., :-1]
    if pixels.dtype.kind == "f":
        pixels = pixels.astype(np.float32)
        # Another scale would be clipped to white without a word.
        if not (pixels.size and pixels.min() >= 0 and pixels.max() <= 1):
            raise ShapeError("received floats beyond 0 to 1: scale them to that range first")
    return Picture(pixels)
