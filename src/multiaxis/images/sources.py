"""Whatever holds a picture, to a `Picture`."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from multiaxis.errors import ShapeError
from multiaxis.images.picture import Picture
from multiaxis.images.pillow import from_pillow
from multiaxis.images.read import read_picture

Source = str | os.PathLike[str] | Image.Image | Picture | NDArray[Any]
"""A path, a Pillow image, a `Picture`, or an array of shape (height, width[, channels])."""


def to_picture(source: Source) -> Picture:
    """Give a picture, upright, whatever holds it.

    Parameters
    ----------
    source : path, PIL.Image.Image, Picture or ndarray
        Arrays: (height, width) or (height, width, 1 to 4 channels), uint8, uint16 or floats in
        [0, 1]; a second or fourth channel, alpha, is left out.

    Raises
    ------
    ImageError
        If a file or a Pillow image cannot be read.
    ShapeError
        If an array is no picture.
    """
    if isinstance(source, str | os.PathLike):
        return read_picture(source)
    if isinstance(source, Image.Image):
        return from_pillow(source)
    return source if isinstance(source, Picture) else _from_array(source)


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
