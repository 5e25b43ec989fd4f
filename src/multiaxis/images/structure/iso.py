"""The boxes and items of an ISO media file, as AVIF and HEIC are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from multiaxis.images.structure.part import Data, Part

_FULL = 4  # bytes of version and flags before the content of a full box


def boxes(data: Data, start: int = 0, end: int | None = None) -> Iterator[Part]:
    """Walk over boxes that follow each other: a file's, or those inside another box.

    Parameters
    ----------
    data : bytes
        The whole file.
    start, end : int, optional
        Where the boxes lie; by default the whole file. For the inside of a box:
        ``boxes(data, box.inner, box.inner_end)``, and 4 bytes later where it is a full box.

    Notes
    -----
    Source: ISO/IEC 14496-12, section 4.2. A ``uuid`` box is named by its first type only.
    """
    at, end = start, len(data) if end is None else min(end, len(data))
    while at + 8 <= end:
        size, inner = int.from_bytes(data[at : at + 4], "big"), at + 8
        if size == 1:
            size, inner = int.from_bytes(data[at + 8 : at + 16], "big"), at + 16
        after = end if size == 0 else at + size
        if after < inner or after > end:
            return
        yield Part(data, data[at + 4 : at + 8].decode("latin-1"), at, after, inner, after)
        at = after


@dataclass(frozen=True)
class Items:
    """The pictures and other items of a HEIF file.

    Attributes
    ----------
    primary : int
        Number of the item that is shown; 0 where the file does not say.
    types : mapping of int to str
        Type of each item, such as ``"av01"``, ``"hvc1"``, ``"grid"``, ``"Exif"`` or ``"mime"``.
    mimes : mapping of int to str
        Content type of each item of type ``"mime"``.
    references : tuple of (str, int, tuple of int)
        Kind, item that refers, items that are referred to; ``("auxl", 2, (1,))`` says that 2 is
        an auxiliary picture of 1, ``("prem", 1, (2,))`` that 1 is multiplied by alpha 2.
    properties : mapping of int to tuple of Part
        Property boxes of each item, such as ``colr``, ``pixi``, ``auxC``, ``irot``, ``imir``.
    extents : mapping of int to tuple of (int, int)
        Where the bytes of each item lie: offset in the file and length. Items without bytes in
        the file have none.
    """

    primary: int = 0
    types: dict[int, str] = field(default_factory=dict[int, str])
    mimes: dict[int, str] = field(default_factory=dict[int, str])
    references: tuple[tuple[str, int, tuple[int, ...]], ...] = ()
    properties: dict[int, tuple[Part, ...]] = field(default_factory=dict[int, tuple[Part, ...]])
    extents: dict[int, tuple[tuple[int, int], ...]] = field(
        default_factory=dict[int, tuple[tuple[int, int], ...]]
    )

    def property(self, item: int, name: str) -> Part | None:
        """Give the first property of an item that has a name."""
        return next((part for part in self.properties.get(item, ()) if part.name == name), None)

    def body(self, data: Data, item: int) -> bytes:
        """Give the bytes of an item; empty where they overlap beyond its size."""
        extents = self.extents.get(item, ())
        if sum(length for _, length in extents) > len(data):
            return b""  # extents that overlap
        return b"".join(data[start : start + length] for start, length in extents)


def read_items(data: bytes) -> Items:
    """Read what a HEIF file says about its items.

    Parameters
    ----------
    data : bytes
        The whole file; anything else has no items.

    Notes
    -----
    Source: ISO/IEC 14496-12, section 8.11, and 23008-12, section 9.
    """
    meta = next((box for box in boxes(data) if box.name == "meta"), None)
    if meta is None:
        return Items()
    inside = {box.name: box for box in boxes(data, meta.inner + _FULL, meta.inner_end)}
    types, mimes = _types(inside.get("iinf"))
    return Items(
        primary=_primary(inside.get("pitm")),
        types=types,
        mimes=mimes,
        references=_references(inside.get("iref")),
        properties=_properties(inside.get("iprp")),
        extents=_extents(inside.get("iloc"), inside.get("idat")),
    )


class _Reader:
    """Numbers of a box, one after the other; past its end they are 0 and `left` is 0."""

    def __init__(self, box: Part) -> None:
        self.box, self.at = box, box.inner

    @property
    def left(self) -> int:
        return max(0, self.box.inner_end - self.at)

    def number(self, size: int) -> int:
        found = self.box.data[self.at : min(self.at + size, self.box.inner_end)]
        self.at += size
        return int.from_bytes(found, "big") if len(found) == size else 0

    def header(self) -> tuple[int, int]:
        """Read version and flags of a full box."""
        return self.number(1), self.number(3)

    def text(self) -> str:
        stop = self.box.data.find(b"\0", self.at, self.box.inner_end)
        stop = self.box.inner_end if stop < 0 else stop
        found = self.box.data[self.at : stop].decode("utf-8", "replace")
        self.at = stop + 1
        return found


def _primary(box: Part | None) -> int:
    if box is None:
        return 0
    reader = _Reader(box)
    return reader.number(4 if reader.header()[0] else 2)


def _types(box: Part | None) -> tuple[dict[int, str], dict[int, str]]:
    types: dict[int, str] = {}
    mimes: dict[int, str] = {}
    if box is None:
        return types, mimes
    counted = 4 if box.body[:1] not in (b"", b"\0") else 2
    for entry in boxes(box.data, box.inner + _FULL + counted, box.inner_end):
        reader = _Reader(entry)
        version, _ = reader.header()
        if entry.name != "infe" or version < 2:
            continue
        item = reader.number(4 if version > 2 else 2)
        reader.number(2)  # protection
        types[item] = reader.number(4).to_bytes(4, "big").decode("latin-1")
        reader.text()  # a name
        if types[item] == "mime":
            mimes[item] = reader.text()
    return types, mimes


def _references(box: Part | None) -> tuple[tuple[str, int, tuple[int, ...]], ...]:
    if box is None:
        return ()
    wide = 4 if box.body[:1] not in (b"", b"\0") else 2
    found: list[tuple[str, int, tuple[int, ...]]] = []
    for entry in boxes(box.data, box.inner + _FULL, box.inner_end):
        reader = _Reader(entry)
        source, count = reader.number(wide), reader.number(2)
        count = min(count, reader.left // wide)
        found.append((entry.name, source, tuple(reader.number(wide) for _ in range(count))))
    return tuple(found)


def _properties(box: Part | None) -> dict[int, tuple[Part, ...]]:
    if box is None:
        return {}
    inside = list(boxes(box.data, box.inner, box.inner_end))
    shared: list[Part] = []
    for container in inside:
        if container.name == "ipco":
            shared += boxes(container.data, container.inner, container.inner_end)
    found: dict[int, tuple[Part, ...]] = {}
    for association in inside:
        if association.name == "ipma":
            found |= _associated(association, shared)
    return found


def _associated(box: Part, shared: list[Part]) -> dict[int, tuple[Part, ...]]:
    reader = _Reader(box)
    version, flags = reader.header()
    wide, size = 4 if version else 2, 2 if flags & 1 else 1
    found: dict[int, tuple[Part, ...]] = {}
    for _ in range(min(reader.number(4), reader.left // (wide + 1))):
        item, count = reader.number(wide), reader.number(1)
        # The highest bit says that the property is essential.
        count = min(count, reader.left // size)
        numbers = [reader.number(size) & (0x7FFF if size == 2 else 0x7F) for _ in range(count)]
        found[item] = tuple(shared[number - 1] for number in numbers if 0 < number <= len(shared))
    return found


def _extents(box: Part | None, inside: Part | None) -> dict[int, tuple[tuple[int, int], ...]]:
    if box is None:
        return {}
    reader = _Reader(box)
    version, _ = reader.header()
    sizes = reader.number(2)
    offset, length, base, index = (sizes >> shift & 15 for shift in (12, 8, 4, 0))
    index = index if version in (1, 2) else 0
    wide = 4 if version == 2 else 2
    found: dict[int, tuple[tuple[int, int], ...]] = {}
    step = index + offset + length
    for _ in range(min(reader.number(wide), reader.left // (wide + 4))):
        item = reader.number(wide)
        method = reader.number(2) & 15 if version in (1, 2) else 0
        reader.number(2)  # which file; 0 is this one
        first, count = reader.number(base), reader.number(2)
        listed: list[tuple[int, int]] = []
        for _ in range(min(count, reader.left // step if step else 1)):
            reader.number(index)
            start = first + reader.number(offset)
            listed.append((start, reader.number(length)))
        found[item] = _placed(listed, method, box, inside)
    return found


def _placed(
    listed: list[tuple[int, int]], method: int, box: Part, inside: Part | None
) -> tuple[tuple[int, int], ...]:
    """Turn extents into places in the file; those in other items have none."""
    limit = len(box.data)
    if method == 1 and inside is not None:
        listed, limit = [(inside.inner + at, size) for at, size in listed], inside.inner_end
    elif method:
        return ()
    # A length of 0 means the whole of the source.
    full = ((at, size or limit - at) for at, size in listed)
    return tuple((at, size) for at, size in full if at >= 0 and size > 0 and at + size <= limit)
