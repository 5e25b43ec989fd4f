"""The directories of a TIFF file, or of an EXIF block, which is one."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Literal

from multiaxis.images.structure.part import Data

# Bytes of one value, by type: BYTE, ASCII, SHORT, LONG, RATIONAL, their signed kinds, FLOAT,
# DOUBLE, IFD, and BigTIFF's LONG8, SLONG8, IFD8.
_CLASSIC = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_SIZES = {**_CLASSIC, 16: 8, 17: 8, 18: 8}
_UNSIGNED = {1: "B", 3: "H", 4: "I", 7: "B", 13: "I", 16: "Q", 18: "Q"}
_NUMBERS = _UNSIGNED | {6: "b", 8: "h", 9: "i", 11: "f", 12: "d", 17: "q"}

Order = Literal["little", "big"]


@dataclass(frozen=True)
class Entry:
    """One entry of a directory, as it stands in the file.

    Attributes
    ----------
    data : bytes or Window
        The whole file.
    order : str
        Byte order.
    tag, type, count : int
        As declared.
    at : int
        Where the entry itself lies.
    inner : int
        Where its values lie; -1 where they would lie outside the file, or their type is unknown.
    """

    data: Data = field(repr=False)
    order: Order
    tag: int
    type: int
    count: int
    at: int
    inner: int

    @property
    def size(self) -> int:
        """Bytes of all values, as declared."""
        return self.count * _SIZES.get(self.type, 0)

    @property
    def body(self) -> bytes:
        """The values' bytes; empty where they lie outside the file."""
        return self.data[self.inner : self.inner + self.size] if self.inner >= 0 else b""

    @property
    def numbers(self) -> tuple[float, ...]:
        """The values, as far as they are numbers; a fraction by zero is left out."""
        body, mark = self.body, "<" if self.order == "little" else ">"
        if self.type in (5, 10):
            pairs = struct.iter_unpack(mark + ("II" if self.type == 5 else "ii"), body)
            return tuple(above / below for above, below in pairs if below)
        letter = _NUMBERS.get(self.type)
        return struct.unpack(f"{mark}{self.count}{letter}", body) if letter and body else ()

    @property
    def offsets(self) -> tuple[int, ...]:
        """The values, where they are whole numbers without sign, as offsets and counts are."""
        return tuple(map(int, self.numbers)) if self.type in _UNSIGNED else ()

    @property
    def text(self) -> str:
        """The value as text: UTF-8, or Latin-1 where it is none; without the final zero."""
        body = self.body.rstrip(b"\0")
        try:
            return body.decode()
        except UnicodeDecodeError:
            return body.decode("latin-1")


@dataclass(frozen=True)
class Directory:
    """One directory: a page, a thumbnail, or a part of EXIF.

    Attributes
    ----------
    at : int
        Where it lies in the file.
    entries : tuple of Entry
        In the order of the file; a damaged file may have several of one tag.
    next : int
        Where the next directory lies; 0 where there is none.
    next_at : int
        Where that number itself lies; -1 where the file ends before.
    """

    at: int
    entries: tuple[Entry, ...]
    next: int
    next_at: int

    def get(self, tag: int) -> Entry | None:
        """Give the first entry of a tag."""
        return next((entry for entry in self.entries if entry.tag == tag), None)


@dataclass(frozen=True)
class _Layout:
    """How numbers and entries are laid out: classic TIFF, or BigTIFF."""

    order: Order
    head: int  # bytes of the header
    offset: int  # bytes of an offset
    count: int  # bytes of a directory's number of entries
    entry: int  # bytes of an entry


def read_directories(data: Data, start: int = 0) -> list[Directory]:
    """Read the chain of directories of a TIFF file: its pages, without what lies below them.

    Parameters
    ----------
    data : bytes
        The whole file; anything else has no directories.
    start : int
        Where the TIFF starts, for an EXIF block behind its name; offsets count from there.

    Returns
    -------
    list of Directory
        Each once, even where the chain closes to a ring; offsets in it count from the start of
        `data`.
    """
    layout = _layout(data, start)
    if layout is None:
        return []
    found: list[Directory] = []
    seen: set[int] = set()
    # Entries that do not overlap are no more than the file has room for.
    left = len(data) // layout.entry
    at = start + _number(data, start + layout.head - layout.offset, layout.offset, layout.order)
    while at not in seen:
        directory = _read(data, start, at, layout)
        left -= len(directory.entries) if directory else 0
        if directory is None or left < 0:
            break
        seen.add(at)
        found.append(directory)
        if not directory.next:
            break
        at = directory.next
    return found


def read_directory(data: Data, at: int, start: int = 0) -> Directory | None:
    """Read one directory that an entry points to, such as EXIF's or a SubIFD.

    Parameters
    ----------
    data : bytes
        The whole file.
    at : int
        The offset as the entry has it.
    start : int
        As in `read_directories`.

    Returns
    -------
    Directory or None
        None where there can be none.
    """
    layout = _layout(data, start)
    return _read(data, start, start + at, layout) if layout else None


def page_alone(data: bytes, page: Directory) -> bytes:
    """Give the same TIFF file with one page only: every reader then reads that one."""
    order: Order = "little" if data.startswith(b"II") else "big"
    at, size = (8, 8) if data[2:4] in (b"+\0", b"\0+") else (4, 4)
    whole = memoryview(data)  # what is taken over is copied once
    parts = [whole[:at], page.at.to_bytes(size, order)]
    if page.next_at < 0:
        return b"".join([*parts, whole[at + size :]])
    return b"".join(
        [*parts, whole[at + size : page.next_at], bytes(size), whole[page.next_at + size :]]
    )


def _layout(data: Data, start: int) -> _Layout | None:
    mark = data[start : start + 4]
    if mark in (b"II*\0", b"MM\0*"):
        return _Layout("little" if mark[:1] == b"I" else "big", 8, 4, 2, 12)
    if mark in (b"II+\0", b"MM\0+"):
        return _Layout("little" if mark[:1] == b"I" else "big", 16, 8, 8, 20)
    return None


def _read(data: Data, start: int, at: int, layout: _Layout) -> Directory | None:
    first = at + layout.count
    if at < start + layout.head or first > len(data):
        return None
    # A count that is too high is cut to the entries that are there: so do common viewers.
    room = (len(data) - first) // layout.entry
    count = min(_number(data, at, layout.count, layout.order), room)
    entries = tuple(
        _entry(data, start, first + number * layout.entry, layout) for number in range(count)
    )
    next_at = first + count * layout.entry
    if next_at + layout.offset > len(data):
        return Directory(at, entries, 0, -1)
    following = _number(data, next_at, layout.offset, layout.order)
    return Directory(at, entries, start + following if following else 0, next_at)


def _entry(data: Data, start: int, at: int, layout: _Layout) -> Entry:
    order, wide = layout.order, layout.offset
    tag, kind = _number(data, at, 2, order), _number(data, at + 2, 2, order)
    count = _number(data, at + 4, wide, order)
    size, value_at = count * _SIZES.get(kind, 0), at + 4 + wide
    inner = value_at if size <= wide else start + _number(data, value_at, wide, order)
    if kind not in _SIZES or inner + size > len(data):
        inner = -1
    return Entry(data, order, tag, kind, count, at, inner)


def _number(data: Data, at: int, size: int, order: Order) -> int:
    return int.from_bytes(data[at : at + size], order)
