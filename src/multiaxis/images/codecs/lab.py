"""TIFF files of 8-bit Lab colours, which libvips does not open; Pillow and its ImageCms do."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from multiaxis.images.codecs.extras import ExtraCodecError, Stored
from multiaxis.images.contents.photoshop import PHOTOSHOP
from multiaxis.images.exif import tiff_exif
from multiaxis.images.picture import Metadata
from multiaxis.images.structure import read_directories

_XMP, _PHOTOSHOP_TAG, _INCHES = 700, 34377, 25.4
_MOST_DENSE = 1e5  # pixels per mm: what says more is damaged


def open_lab(data: bytes) -> Stored:
    """Open a TIFF of 8-bit Lab (white point D50): its samples come as sRGB of 8 bits, upright.

    Raises
    ------
    ExtraCodecError
        If it is no such file, or damaged.
    """
    try:
        image = Image.open(io.BytesIO(data), formats=["TIFF"])
        width, height = image.size
        density = tuple(float(value) / _INCHES for value in image.info.get("dpi", ()))
        pages = int(getattr(image, "n_frames", 1))
    except Exception as error:
        raise ExtraCodecError from error
    if image.mode != "LAB":
        raise ExtraCodecError

    def decode() -> NDArray[Any]:
        try:
            # A file without white point and profile means D50, as the profile made here does.
            source, target = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
            made = ImageCms.profileToProfile(image, source, target, outputMode="RGB")
        except Exception as error:
            raise ExtraCodecError from error
        if made is None:
            raise ExtraCodecError
        return np.asarray(made)

    sound = len(density) == 2 and all(0 < value < _MOST_DENSE for value in density)
    xmp, photoshop = (_bytes(data, tag) for tag in (_XMP, _PHOTOSHOP_TAG))
    return Stored(
        width=width,
        height=height,
        bands=3,
        depth="uint8",
        pages=pages,
        metadata=Metadata(
            exif=tiff_exif(data),
            xmp=xmp or None,
            iptc=PHOTOSHOP + photoshop if photoshop else None,
            resolution=(density[0], density[1]) if sound else None,
        ),
        decode=decode,
    )


def _bytes(data: bytes, tag: int) -> bytes:
    """Give a tag of the first page, whatever type a careless writer gave it."""
    entries = (directory.get(tag) for directory in read_directories(data)[:1])
    return next((entry.body for entry in entries if entry), b"")
