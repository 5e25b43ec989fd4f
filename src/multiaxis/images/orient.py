"""Turning pictures upright, exactly once."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from multiaxis.images.structure import Directory, Entry, read_directories, read_directory

_ORIENTATION = 0x0112
_INNER = 0x8769  # the EXIF directory
_WIDTH, _HEIGHT = 0xA002, 0xA003
_TYPES = range(1, 13)  # of EXIF; libexif passes over entries of another
_NUMBERS = {3, 4, 5, 6, 8, 9, 10}  # SHORT, LONG, RATIONAL, SBYTE, SSHORT, SLONG, SRATIONAL
_PREFIX = b"Exif\0\0"
_MARKS = {b"MM*\0": b"MM\0*", b"II\0*": b"II*\0"}  # bytes in the wrong order; Pillow reads on
_TIFF_NAMESPACE = re.compile(rb"xmlns:([\w.-]+)\s*=\s*[\"']http://ns\.adobe\.com/tiff/1\.0/[\"']")


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


def exif_orientation(block: bytes) -> int | None:
    """Read the orientation from an EXIF block or a TIFF file: the one reading that decides.

    Parameters
    ----------
    block : bytes

    Returns
    -------
    int or None
        1 to 8; 1 where the tag says something else. None where there is no tag.

    Notes
    -----
    As common viewers read it: the first entry of a known type that has a value counts, of any type
    of number but BYTE, and of several values the first; of a table that is cut short, what is
    there. (Pillow and libexif agree in all of that; BYTE turns pictures in libexif, and in no
    browser.)
    """
    start, block = _tiff_of(block)
    directories = read_directories(block, start)
    if not directories:
        return None
    entries = (entry for entry in directories[0].entries if entry.tag == _ORIENTATION)
    deciding = next((entry for entry in entries if entry.body and entry.type in _TYPES), None)
    if deciding is None:
        return None
    value = deciding.numbers[0] if deciding.type in _NUMBERS and deciding.numbers else 1
    return int(value) if value in range(1, 9) else 1


def xmp_orientation(xmp: bytes | None) -> int:
    """Read the orientation from an XMP packet; 1 if there is none."""
    found = _xmp_pattern(xmp).search(xmp) if xmp else None
    return int(found[2]) if found and found[2] in b"1 2 3 4 5 6 7 8".split() else 1


def upright_xmp(xmp: bytes) -> bytes:
    """Return an XMP packet whose orientation, where present, is 1."""
    return _xmp_pattern(xmp).sub(rb"\g<1>1", xmp)


def upright_exif(exif: bytes, *, swapped: bool = False) -> bytes:
    r"""Return an EXIF block with orientation 1 and without its thumbnail.

    The thumbnail would go on showing the picture as it was, unturned and unrestored. Every entry
    of the orientation becomes a plain one, whatever its type and count; every other byte stays:
    maker notes hold offsets that rewriting breaks. What is no EXIF comes back as is.

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
    start, block = _tiff_of(exif)
    directories = read_directories(block, start)
    if not directories or block[start + 2 : start + 4] not in (b"*\0", b"\0*"):
        return exif
    main, patched = directories[0], bytearray(block)
    order = "<" if block[start : start + 1] == b"I" else ">"
    plain = struct.pack(f"{order}HIHH", 3, 1, 1, 0)  # type SHORT, one value, 1

    def reset(entries: Iterable[Entry]) -> None:
        for entry in entries:
            if entry.tag == _ORIENTATION:
                patched[entry.at + 2 : entry.at + 12] = plain

    inner = _inner(block, start, main)
    if inner:
        reset(inner.entries)
        width, height = inner.get(_WIDTH), inner.get(_HEIGHT)
        if swapped and width and height:
            # Type and value of each entry lie behind its tag.
            one, other = (slice(entry.at + 2, entry.at + 12) for entry in (width, height))
            patched[one], patched[other] = patched[other], patched[one]
    reset(main.entries)
    declared = struct.unpack_from(f"{order}H", block, main.at)[0]
    if main.next_at >= 0 and declared == len(main.entries):
        patched[main.next_at : main.next_at + 4] = bytes(4)  # the link to the thumbnail
    return bytes(patched)


def _tiff_of(block: bytes) -> tuple[int, bytes]:
    """Find where the TIFF of a block starts; its mark is mended where that can be read."""
    start = 0
    while block.startswith(_PREFIX, start):
        start += len(_PREFIX)
    mark = block[start : start + 4]
    if mark == b"MM\0+" and block[start + 4 : start + 8] != b"\0\x08\0\0":  # no BigTIFF either
        mark = b"MM*\0"
    return start, block[:start] + _MARKS.get(mark, mark) + block[start + 4 :]


def _inner(block: bytes, start: int, main: Directory) -> Directory | None:
    """Give the EXIF directory, unless it lies across the main one, as only damage makes it."""
    entry = main.get(_INNER)
    if entry is None or not entry.offsets:
        return None
    found = read_directory(block, entry.offsets[0], start)
    if found is None:
        return None
    apart = _end(found) <= main.at or found.at >= _end(main)
    return found if apart else None


def _end(directory: Directory) -> int:
    return directory.at + 2 + 12 * len(directory.entries) + 4


def _xmp_pattern(xmp: bytes | None) -> re.Pattern[bytes]:
    """Match attributes and elements under any prefix that stands for the namespace of TIFF."""
    declared = (found[1] for found in _TIFF_NAMESPACE.finditer(xmp or b""))
    prefixes = {b"tiff", *islice(declared, 8)}  # who declares more means no good
    names = b"|".join(re.escape(prefix) for prefix in sorted(prefixes))
    name = rb"(?<![\w:.-])(?:" + names + rb"):Orientation"
    return re.compile(rb"(" + name + rb"(?:\s*=\s*[\"']|(?:\s[^>]{0,200})?(?<!/)>)\s*)(\d+)")
