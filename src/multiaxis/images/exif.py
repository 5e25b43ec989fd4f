"""EXIF blocks, entry by entry. Nothing here may stop a picture: damage reads as silence."""

from __future__ import annotations

from collections.abc import Collection
from typing import TypeAlias

from multiaxis.images.structure import Directory, Entry, read_directories, read_directory
from multiaxis.images.structure.tiff import Order

# Description, maker, model, software, date, artist, computer, copyright, ratings and what Windows
# shows of a file (title, comment, author, keywords, subject). The other tags of a TIFF's main
# directory say how its samples lie, and would be wrong in any other file.
_OUTER = (
    *(0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x013C, 0x8298),
    *(0x4746, 0x4749, 0x9C9B, 0x9C9C, 0x9C9D, 0x9C9E, 0x9C9F),
)
_EXIF, _GPS, _INTEROPERABILITY = 0x8769, 0x8825, 0xA005
_BELOW = ((_EXIF, _GPS), (_INTEROPERABILITY,), ())  # what points to directories, level by level
_TAKEN = (*_OUTER, *_BELOW[0])
_ACROSS, _DOWN, _UNIT = 0x011A, 0x011B, 0x0128
_MILLIMETRES = {2: 25.4, 3: 10.0}  # inch, centimetre
_PREFIX = b"Exif\0\0"
_UNITS = {3: 2, 4: 4, 5: 4, 8: 2, 9: 4, 10: 4, 11: 4, 12: 8, 13: 4}  # bytes that a byte order turns
_CLASSIC = range(1, 14)  # types that TIFF and EXIF have, and not only BigTIFF

Entries: TypeAlias = "dict[int, Entry | Entries]"
"""Entries by tag, and the directories that lie below."""


def tiff_exif(data: bytes) -> bytes | None:
    """Collect what a whole TIFF file says about how it was taken.

    Returns
    -------
    bytes or None
        A block as other formats hold it, in the byte order of the file; None if there is nothing.
    """
    directories = read_directories(data)
    entries = _taken(directories[0], 0) if directories else {}
    if not entries:
        return None
    order: Order = "little" if data.startswith(b"II") else "big"
    head = (b"II*\0" if order == "little" else b"MM\0*") + (8).to_bytes(4, order)
    return _PREFIX + head + lay_out(entries, at=8, order=order)


def is_exif(blob: bytes | None) -> bool:
    """Tell whether there is a main directory: codecs refuse a whole picture over what has none."""
    return blob is not None and _main_directory(blob) is not None


def exif_resolution(exif: bytes) -> tuple[float, float] | None:
    """Read horizontal and vertical pixels per millimetre from an EXIF block, if it has them."""
    found = _main_directory(exif)
    if found is None:
        return None
    across, down, unit = (_number(found[0].get(tag)) for tag in (_ACROSS, _DOWN, _UNIT))
    millimetres = _MILLIMETRES.get(int(unit or 2))
    if not (across and down and millimetres) or min(across, down) <= 0:
        return None
    return across / millimetres, down / millimetres


def gather_entries(exif: bytes) -> Entries:
    """List what a block says about how a picture was taken.

    Returns
    -------
    dict of int to Entry or dict
        Texts of the main directory by tag; the EXIF and GPS directories as dictionaries. Empty
        where the block is damaged.
    """
    found = _main_directory(exif)
    return _taken(*found) if found else {}


def lay_out(entries: Entries, *, at: int, order: Order) -> bytes:
    """Write entries as a directory: their types, counts and values are kept.

    Parameters
    ----------
    entries : dict of int to Entry or dict
    at : int
        Where the directory will lie in its file.
    order : str
        Byte order of that file.

    Returns
    -------
    bytes
        A classic directory without a next one, and its values.
    """
    table, values = bytearray(), bytearray()
    behind = at + 2 + 12 * len(entries) + 4
    for tag, entry in sorted(entries.items()):
        values += bytes((behind + len(values)) % 2)
        place = behind + len(values)
        kind, count, body = shape(entry, at=place, order=order)
        inline = len(body) <= 4 and not isinstance(entry, dict)
        values += b"" if inline else body
        field = body.ljust(4, b"\0") if inline else place.to_bytes(4, order)
        table += tag.to_bytes(2, order) + kind.to_bytes(2, order) + count.to_bytes(4, order) + field
    return len(entries).to_bytes(2, order) + bytes(table) + bytes(4) + bytes(values)


def shape(entry: Entry | Entries, *, at: int, order: Order) -> tuple[int, int, bytes]:
    """Give type, count and bytes of an entry's values, which will lie at a place."""
    if isinstance(entry, dict):
        return 4, 1, lay_out(entry, at=at, order=order)
    unit = _UNITS.get(entry.type, 1)
    body = entry.body
    if order != entry.order and unit > 1:
        parts = (body[at : at + unit][::-1] for at in range(0, len(body), unit))
        body = b"".join(parts)
    return entry.type, entry.count, body


def _main_directory(exif: bytes) -> tuple[Directory, int] | None:
    """Find the main directory of an EXIF block, and where the TIFF starts that it is part of."""
    start = len(_PREFIX) if exif.startswith(_PREFIX) else 0
    directories = read_directories(exif, start)
    return (directories[0], start) if directories else None


def _taken(directory: Directory, start: int) -> Entries:
    """Choose what says how a picture was taken; values across each other could grow without end."""
    found = _gathered(directory, start, _TAKEN)
    return {} if found and _size(found) > len(directory.entries[0].data) else found


def _size(entries: Entries) -> int:
    return sum(
        _size(entry) if isinstance(entry, dict) else entry.size for entry in entries.values()
    )


def _gathered(
    directory: Directory, start: int, tags: Collection[int] | None = None, level: int = 0
) -> Entries:
    """Choose entries with values, each tag once, and go into the directories below."""
    chosen: Entries = {}
    for entry in directory.entries:
        if entry.tag in chosen or (tags is not None and entry.tag not in tags):
            continue
        if entry.tag in _BELOW[level]:
            at = entry.offsets[0] if entry.offsets else 0
            inner = read_directory(entry.data, at, start)
            if inner and (found := _gathered(inner, start, level=level + 1)):
                chosen[entry.tag] = found
        elif entry.body and entry.type in _CLASSIC:
            chosen[entry.tag] = entry
    return chosen


def _number(entry: Entry | None) -> float:
    """Give the first value; 0 where there is none."""
    return entry.numbers[0] if entry and entry.numbers else 0
