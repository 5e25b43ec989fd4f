"""Whatever holds a picture, to the 8-bit RGB that preprocessing takes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from multiaxis.images import from_unit, grey_to_rgb, to_unit
from multiaxis.images.sources import Source, to_picture


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
    pixels = grey_to_rgb(to_picture(source).pixels)
    return pixels if pixels.dtype == np.uint8 else from_unit(to_unit(pixels), np.uint8)
