"""Decoding: from a header to samples."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from multiaxis.images.codecs.extras import Stored
from multiaxis.images.codecs.header import Header
from multiaxis.images.codecs.libvips import FAILURES, refusal
from multiaxis.images.convert import divide_alpha


def decode(header: Header) -> NDArray[Any]:
    """Decode all samples.

    Returns
    -------
    array, shape (height, width, bands)
        uint8, uint16 or float32, as stored.

    Raises
    ------
    CodecError
        If the data are damaged or end early.
    """
    image = header.image
    try:
        samples: NDArray[Any] = image.decode() if isinstance(image, Stored) else image.numpy()
    except FAILURES as error:
        raise refusal() from error
    samples = samples.reshape(header.height, header.width, header.bands)
    if samples.dtype == np.uint16 and 8 < header.bits < 16:
        # Codecs shift 10 and 12 bits up; their highest bits again below make white 65535.
        samples = samples | samples >> header.bits
    beyond = len(header.extra) or header.bands in (2, 4)
    colours = 1 if header.bands - beyond < 3 else 3
    return divide_alpha(samples, colours) if header.premultiplied else samples


def float_range(header: Header, bands: int) -> tuple[float, float]:
    """Find the least and largest of a picture's floats, row by row; NaN comes through.

    Parameters
    ----------
    header : Header
        Of floats; its samples cannot be decoded after this.
    bands : int
        How many to look at.

    Raises
    ------
    CodecError
        If the data are damaged or end early.
    """
    image = header.image
    if isinstance(image, Stored):
        samples = image.decode()[..., :bands]
        return float(samples.min()), float(samples.max())
    try:
        colours = image.extract_band(0, n=bands)
        # What is no number is not equal to itself, and would hide among the others.
        told = colours.relational(colours, "equal").ifthenelse(colours, np.inf)
        found = told.stats().numpy()
    except FAILURES as error:
        raise refusal() from error
    return float(found[0, 0]), float(found[0, 1])
