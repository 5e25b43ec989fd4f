"""What reading, writing and converting share of libvips; the rest of the room imports no pyvips."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pyvips  # pyright: ignore[reportMissingTypeStubs] (it has none)
from numpy.typing import NDArray

from multiaxis.images.codecs.extras import ExtraCodecError

vips: Any = pyvips
# libvips' own remarks on damaged files would reach stderr beside our one sentence.
logging.getLogger("pyvips").addHandler(logging.NullHandler())

BLOBS = {"icc": "icc-profile-data", "exif": "exif-data", "xmp": "xmp-data", "iptc": "iptc-data"}
"""What libvips calls the fields of `Metadata`."""

SAMPLES = {"uint8": "uchar", "uint16": "ushort", "float32": "float"}
"""What libvips calls the dtypes of samples."""

DEFAULT_DENSITY = 72 / 25.4
"""Pixels per mm, where a format insists on a number."""

# pyvips cannot say errors that hold a file's own bytes where these are no UTF-8.
FAILURES = (vips.Error, UnicodeDecodeError, ExtraCodecError)


class CodecError(Exception):
    """Libvips could not decode or encode; its own text is the cause, not the message."""


def refusal() -> CodecError:
    """Make the error that takes the place of one of `FAILURES`."""
    vips.vips_lib.vips_error_clear()  # what could not be said would spoil the next error
    return CodecError()


def new_image(samples: NDArray[Any], interpretation: str, **fields: Any) -> Any:
    """Give samples of shape (height, width, bands) to libvips, which does not copy them."""
    height, width, bands = samples.shape
    plain = vips.Image.new_from_memory(
        np.ascontiguousarray(samples).data, width, height, bands, SAMPLES[samples.dtype.name]
    )
    return plain.copy(interpretation=interpretation, **fields)


def get_field(image: Any, key: str) -> Any:
    """Give a field of an image; None where it has none."""
    return image.get(key) if image.get_typeof(key) else None


def set_blob(image: Any, key: str, blob: bytes) -> None:
    """Set a field of an image to bytes."""
    image.set_type(vips.GValue.blob_type, key, blob)
