"""What libvips leaves unread in EXIF. Nothing here may stop a picture: damage reads as silence."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Callable
from typing import TypeVar

from PIL import Image

_INNER = (0x8769, 0x8825)  # the EXIF and the GPS directory
# Description, maker, model, software, date, artist, copyright. The other tags of a TIFF's main
# directory say how its samples lie, and would be wrong in any other file.
_OUTER = (0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x8298)
_ACROSS, _DOWN, _UNIT = 0x011A, 0x011B, 0x0128
_MILLIMETRES = {2: 25.4, 3: 10.0}  # inch, centimetre
_BROKEN = (OSError, SyntaxError, LookupError, ValueError, TypeError, ArithmeticError, struct.error)

Found = TypeVar("Found")


def tiff_exif(data: bytes) -> bytes | None:
    """Collect what a whole TIFF file says about how it was taken.

    Returns
    -------
    bytes or None
        A block as other formats hold it; None if there is nothing, or in a BigTIFF.
    """
    return _patiently(_collected, data)


def exif_resolution(exif: bytes) -> tuple[float, float] | None:
    """Read horizontal and vertical pixels per millimetre from an EXIF block, if it has them."""
    return _patiently(_resolution, exif)


def _collected(stored: Image.Exif) -> bytes | None:
    block = Image.Exif()
    for tag in _OUTER:
        if tag in stored:
            block[tag] = stored[tag]
    for tag in _INNER:
        if inner := stored.get_ifd(tag):
            block[tag] = inner
    return block.tobytes() if len(block) else None


def _resolution(tags: Image.Exif) -> tuple[float, float] | None:
    unit = _MILLIMETRES[tags.get(_UNIT, 2)]
    across, down = float(tags[_ACROSS]) / unit, float(tags[_DOWN]) / unit
    return (across, down) if across > 0 and down > 0 else None


def _patiently(question: Callable[[Image.Exif], Found], data: bytes) -> Found | None:
    """Ask a block; whatever Pillow warns of or trips over means no answer."""
    tags = Image.Exif()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tags.load(data)
            return question(tags)
    except _BROKEN:
        return None
