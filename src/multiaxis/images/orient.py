"""Turning pictures upright, exactly once."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

_ORIENTATION = 0x0112
_INNER = 0x8769  # the EXIF directory
_WIDTH, _HEIGHT = 0xA002, 0xA003
_XMP_ORIENTATION = re.compile(rb"(tiff:Orientation\s*(?:=\s*[\"']|>)\s*)([1-8])")


def upright(samples: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Turn stored samples the way they are meant to be seen.

    Parameters
    ----------
    samples : array, shape (rows, columns, ...)
    orientation : int
        The EXIF value, 1 to 8; anything else counts as 1.

    Returns
    -------
    array
        Contiguous; rows and columns are exchanged for 5 to 8.
    """
    if orientation in (5, 6, 7, 8):
        samples = np.swapaxes(samples, 0, 1)
    if orientation in (3, 4, 7, 8):
        samples = samples[::-1]
    if orientation in (2, 3, 6, 7):
        samples = samples[:, ::-1]
    return np.ascontiguousarray(samples)


def xmp_orientation(xmp: bytes | None) -> int:
    """Read the orientation from an XMP packet; 1 if there is none."""
    found = _XMP_ORIENTATION.search(xmp or b"")
    return int(found[2]) if found else 1


def upright_xmp(xmp: bytes) -> bytes:
    """Return an XMP packet whose orientation, where present, is 1."""
    return _XMP_ORIENTATION.sub(rb"\g<1>1", xmp)


def upright_exif(exif: bytes, *, swapped: bool = False) -> bytes:
    r"""Return an EXIF block with orientation 1 and without its thumbnail.

    The thumbnail would go on showing the picture as it was, unturned and unrestored. Every other
    byte stays: maker notes hold offsets that rewriting breaks. A damaged block comes back as is.

    Parameters
    ----------
    exif : bytes
    swapped : bool
        Whether turning exchanged rows and columns: the block's own width and height follow.

    Examples
    --------
    >>> block = b"Exif\0\0MM\0*" + bytes.fromhex("00000008 0001 0112 0003 00000001 00060000")
    >>> upright_exif(block + bytes(4))[-8:-6].hex()
    '0001'
    """
    patched = bytearray(exif)
    start = 6 if exif.startswith(b"Exif\0\0") else 0
    order = "little" if exif[start : start + 2] == b"II" else "big"

    def number(at: int, size: int) -> int:
        return int.from_bytes(patched[at : at + size], order)

    def entries(directory: int) -> dict[int, int]:
        """Find where each tag's entry lies; empty where the directory is damaged."""
        end = directory + 2 + 12 * number(directory, 2)
        if directory < start + 8 or end > len(patched):
            return {}
        return {number(at, 2): at for at in range(directory + 2, end, 12)}

    main = start + number(start + 4, 4)
    found = entries(main)
    if not found:
        return exif
    if _ORIENTATION in found:
        entry = found[_ORIENTATION]
        size = 4 if number(entry + 2, 2) == 4 else 2  # LONG, else SHORT as the standard asks
        patched[entry + 8 : entry + 8 + size] = (1).to_bytes(size, order)
    end = main + 2 + 12 * number(main, 2)
    if end + 4 <= len(patched):
        patched[end : end + 4] = bytes(4)  # the link to the directory of the thumbnail
    if swapped and _INNER in found:
        inner = entries(start + number(found[_INNER] + 8, 4))
        if _WIDTH in inner and _HEIGHT in inner:
            # Type and value of each entry lie behind its tag.
            one, other = (slice(inner[tag] + 2, inner[tag] + 12) for tag in (_WIDTH, _HEIGHT))
            patched[one], patched[other] = patched[other], patched[one]
    return bytes(patched)
