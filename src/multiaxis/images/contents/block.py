"""Numbers inside an EXIF block: resolution and size. Every other byte of it keeps its place."""

from __future__ import annotations

import struct

from multiaxis.images.contents.content import EXIF_MARK
from multiaxis.images.exif import exif_resolution
from multiaxis.images.structure import Directory, read_directories, read_directory

ACROSS, DOWN, UNIT = 0x011A, 0x011B, 0x0128
UNITS = {"inch": (2, 25.4), "cm": (3, 10.0)}
"""EXIF's number of a unit, and its millimetres."""

_INNER, _WIDTH, _HEIGHT = 0x8769, 0xA002, 0xA003
_FINE = 10_000  # parts of a pixel that are kept
_EMPTY = b"II*\0\x08\0\0\0\0\0\0\0\0\0"


def rational(value: float) -> tuple[int, int]:
    """Write a positive number as a fraction of 32-bit numbers, a whole one over 1."""
    near = round(value)
    if abs(value - near) < 1e-3 and 0 < near < 2**32:
        return near, 1
    return (round(value * _FINE), _FINE) if value * _FINE < 2**32 else (2**32 - 1, 1)


def with_resolution(exif: bytes | None, resolution: tuple[float, float], unit: str) -> bytes:
    """Return an EXIF block that states a resolution.

    Parameters
    ----------
    exif : bytes or None
        None for a new block. A damaged one comes back as it is.
    resolution : tuple of float
        Horizontal and vertical pixels per millimetre.
    unit : str
        ``"inch"`` or ``"cm"``.
    """
    exif = exif or _EMPTY
    stated = exif_resolution(exif)
    near = stated and all(abs(a - b) < 1e-3 * b for a, b in zip(stated, resolution, strict=True))
    start, directories = _read(exif)
    if near or not directories:
        return exif
    mark = _mark(exif, start)
    number, millimetres = UNITS[unit]
    grown = exif + bytes((len(exif) - start) % 2)
    entries: dict[int, bytes] = {}
    for tag, value in zip((ACROSS, DOWN), resolution, strict=True):
        entries[tag] = struct.pack(f"{mark}HHII", tag, 5, 1, len(grown) - start)
        grown += struct.pack(f"{mark}II", *rational(value * millimetres))
    entries[UNIT] = struct.pack(f"{mark}HHIHH", UNIT, 3, 1, number, 0)
    return _with_entries(grown, start, directories[0], entries, start + 4)


def with_size(exif: bytes, width: int, height: int) -> bytes:
    """Return an EXIF block whose own width and height, if it has an EXIF directory, are these."""
    start, directories = _read(exif)
    pointer = directories[0].get(_INNER) if directories else None
    inner = read_directory(exif, pointer.offsets[0], start) if pointer and pointer.offsets else None
    if pointer is None or inner is None or not inner.entries:
        return exif
    wanted = {_WIDTH: width, _HEIGHT: height}
    if all((entry := inner.get(tag)) and entry.numbers == (wanted[tag],) for tag in wanted):
        return exif
    mark = _mark(exif, start)
    entries = {tag: struct.pack(f"{mark}HHII", tag, 4, 1, side) for tag, side in wanted.items()}
    return _with_entries(exif, start, inner, entries, pointer.at + 8)


def _read(exif: bytes) -> tuple[int, list[Directory]]:
    start = len(EXIF_MARK) if exif.startswith(EXIF_MARK) else 0
    return start, read_directories(exif, start)


def _mark(exif: bytes, start: int) -> str:
    return "<" if exif[start : start + 1] == b"I" else ">"


def _with_entries(
    exif: bytes, start: int, directory: Directory, entries: dict[int, bytes], pointer: int
) -> bytes:
    """Put a grown copy of a directory behind everything, and point there."""
    mark = _mark(exif, start)
    table = {entry.tag: exif[entry.at : entry.at + 12] for entry in directory.entries} | entries
    grown = bytearray(exif + bytes((len(exif) - start) % 2))
    grown[pointer : pointer + 4] = struct.pack(f"{mark}I", len(grown) - start)
    grown += struct.pack(f"{mark}H", len(table)) + b"".join(table[tag] for tag in sorted(table))
    following = directory.next - start if directory.next else 0
    return bytes(grown + struct.pack(f"{mark}I", following))
