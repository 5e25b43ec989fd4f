"""What libvips leaves unread in EXIF. Nothing here may stop a picture: damage reads as silence."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Callable
from typing import Any, TypeVar

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


def collect_exif(exif: bytes) -> dict[int, Any]:
    """List what a block says about how a picture was taken.

    Returns
    -------
    dict of int to str or dict
        Texts of the main directory by tag; the EXIF and GPS directories as dictionaries. Empty
        where the block is damaged.
    """
    return _patiently(_tags, exif) or {}


def exif_resolution(exif: bytes) -> tuple[float, float] | None:
    """Read horizontal and vertical pixels per millimetre from an EXIF block, if it has them."""
    return _patiently(_resolution, exif)


def _collected(stored: Image.Exif) -> bytes | None:
    block = Image.Exif()
    for tag, value in _tags(stored).items():
        block[tag] = value
    return block.tobytes() if len(block) else None


def _tags(stored: Image.Exif) -> dict[int, Any]:
    outer = {tag: stored[tag] for tag in _OUTER if tag in stored}
    inner = {tag: stored.get_ifd(tag) for tag in _INNER}
    return {**outer, **{tag: values for tag, values in inner.items() if values}}


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
