"""Pictures as any browser shows them."""

from __future__ import annotations

from pathlib import PurePath

import numpy as np

from multiaxis.images.colour import seen_by_model
from multiaxis.images.convert import from_unit, to_unit
from multiaxis.images.picture import Picture
from multiaxis.images.write import encode_picture


def viewable(picture: Picture) -> bytes:
    """Encode a picture as a PNG file of 8 bits in sRGB, whatever it was.

    Raises
    ------
    ImageError
        If floats are no numbers, or lie outside [0, 1].
    """
    pixels = from_unit(seen_by_model(picture), np.uint8)
    alpha = None if picture.alpha is None else from_unit(to_unit(picture.alpha), np.uint8)
    data, _ = encode_picture(PurePath("view.png"), Picture(pixels, alpha))
    return data
