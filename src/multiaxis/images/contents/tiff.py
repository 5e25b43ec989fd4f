"""TIFF tags: what is read from them, and how they are put into an encoded file."""

from __future__ import annotations

import struct
from fractions import Fraction
from typing import TYPE_CHECKING

from multiaxis.images.contents.block import ACROSS, DOWN, UNIT, UNITS, rational
from multiaxis.images.contents.content import EXIF_MARK, Content, Found
from multiaxis.images.contents.photoshop import (
    IPTC,
    as_photoshop,
    read_resources,
    with_iptc,
    without_thumbnails,
)
from multiaxis.images.contents.xmp import Kept, mend_xmp
from multiaxis.images.exif import Entries, gather_entries, shape
from multiaxis.images.structure import (
    Directory,
    Entry,
    page_alone,
    read_directories,
    read_directory,
)

if TYPE_CHECKING:
    from multiaxis.images.picture import Metadata

_XMP, _IPTC, _PHOTOSHOP, _PROFILE = 700, 33723, 34377, 34675
_SUBFILE, _OLD_SUBFILE, _BELOW = 254, 255, 330
_PHOTOMETRIC, _ORIENTATION = 262, 274
# How samples lie, what they mean, and statistics of them; and what EXIF takes (see `exif`).
_LAYOUT = {
    *range(254, 267), 273, 274, *range(277, 285), 288, 289, 290, 291, 292, 293, 296, 317,
    *range(320, 329), 330, *range(332, 348), 351, 400, *range(512, 522), *range(529, 533), 559,
    32995, 32996, 32997, 32998, 34016, 34675, 700, 33723, 34377,
}  # fmt: skip
_IN_EXIF = {270, 271, 272, 305, 306, 315, 316, 33432, 34665, 34853, 18246, 18249,
            *range(40091, 40096)}  # fmt: skip
_COLOUR = {301, 318, 319}  # true of samples that stay in their space
_GREY_OR_RGB = (0, 1, 2)
# Layers, raw mosaics, microscopes' and scanners' lists of offsets: about other samples.
_ELSEWHERE = {37724, 34412, 33628, 33629, 33630, 33631, 34118, *range(50706, 51200), 52525}
_PLACES = {33550, 33922, 34264, 286, 287}
_NAMES = {
    269: "DocumentName", 285: "PageName", 297: "PageNumber", 286: "XPosition", 287: "YPosition",
    301: "TransferFunction", 318: "WhitePoint", 319: "PrimaryChromaticities",
    33550: "ModelPixelScale", 33922: "ModelTiepoint", 34264: "ModelTransformation",
    34735: "GeoKeyDirectory", 34736: "GeoDoubleParams", 34737: "GeoAsciiParams",
    37724: "Photoshop layers", 42112: "GDAL metadata", 42113: "GDAL nodata",
    50838: "ImageJ counts", 50839: "ImageJ metadata",
}  # fmt: skip
_LONG, _LAST_PLAIN = 4, 12  # types; what follows are offsets, and numbers of BigTIFF alone
_LONGEST = 500  # entries of a directory that is meant well
_MOST = 10**6  # pixels per length, and parts of an aspect; what says more is damaged
_PACKED = struct.Struct("<HHI")


def read_tiff(data: bytes) -> Found:
    """Read what a TIFF file holds beside the samples of its first page.

    Parameters
    ----------
    data : bytes
        The whole file; EXIF is read elsewhere.

    Notes
    -----
    Tags of other makers are taken over where they hold plain values. Those that point elsewhere in
    the file are not: what lies there is not known.
    """
    found = Found()
    pages = read_directories(data)
    main = next((page for page in pages if not is_thumbnail(page)), None)
    if main is None:
        return found
    for page in pages:
        if is_thumbnail(page):
            found.lose("thumbnail")
        elif _subfile(page) & 4:
            found.lose("mask")
    below = main.get(_BELOW)
    for at in below.offsets[:16] if below else ():
        directory = read_directory(data, at)
        found.lose("thumbnail" if directory and is_thumbnail(directory) else "second picture")
    xmp, block, records = (main.get(tag) for tag in (_XMP, _PHOTOSHOP, _IPTC))
    packet = xmp.body.rstrip(b"\0") if xmp else b""
    found.xmp = mend_xmp(packet, Kept()) if packet else None
    if packet and not found.xmp:
        found.lose("xmp")
    photoshop = as_photoshop(block.body) if block and block.body else None
    if records:
        photoshop = with_iptc(photoshop, records.body)
    found.iptc = without_thumbnails(photoshop) or None if photoshop else None
    _read_density(main, found)
    shown = main.get(_PHOTOMETRIC)
    is_plain = bool(shown and shown.offsets and shown.offsets[0] in _GREY_OR_RGB)
    others = [entry for entry in main.entries if entry.tag not in _LAYOUT | _IN_EXIF]
    plain = _plain_ones(others)
    for entry in others:
        keeps = plain.get(entry.tag) is entry and (is_plain or entry.tag not in _COLOUR)
        found.contents.append(_content(entry) if keeps else Content(_name(entry.tag)))
    return found


def put_tiff(data: bytes, metadata: Metadata) -> bytes:
    """Put metadata into an encoded TIFF file that holds samples, colour and XMP alone.

    Parameters
    ----------
    data : bytes
        A little-endian TIFF of one page with 32-bit offsets; any other comes back as it is.
    metadata : Metadata
    """
    added: Entries = {}
    replaced = _density(metadata)
    for content in metadata.contents:
        if content.holder == "tiff":
            tag, kind, count = _PACKED.unpack_from(content.body)
            added.setdefault(tag, _entry(tag, kind, count, content.body[_PACKED.size :]))
    exif = metadata.exif or b""
    added |= gather_entries(exif)
    start = len(EXIF_MARK) if exif.startswith(EXIF_MARK) else 0
    for directory in read_directories(exif, start)[:1]:
        others = [entry for entry in directory.entries if entry.tag not in _LAYOUT | _IN_EXIF]
        added = {**_plain_ones(others, start), **added}
    records = read_resources(metadata.iptc or b"").get(IPTC)
    if records:
        added[_IPTC] = _entry(_IPTC, 7, len(records), records)
    return add_tags(data, added, replaced)


def add_tags(data: bytes, added: Entries, replaced: Entries) -> bytes:
    """Return a TIFF file with more entries in its main directory, behind its own content.

    Parameters
    ----------
    data : bytes
        As in `put_tiff`.
    added : dict of int to Entry or dict
        Entries by tag, those below as dictionaries; what the file has itself stays.
    replaced : dict of int to Entry or dict
        Those that take the place of the file's own.
    """
    pages = read_directories(data)
    if not data.startswith(b"II*\0") or not pages or not (added or replaced):
        return data
    table = {entry.tag: data[entry.at : entry.at + 12] for entry in pages[0].entries}
    wanted = {tag: entry for tag, entry in added.items() if tag not in table} | replaced
    grown = bytearray(data)
    for tag, entry in wanted.items():
        grown += bytes(len(grown) % 2)
        at = len(grown)
        kind, count, body = shape(entry, at=at, order="little")
        inline = len(body) <= 4 and not isinstance(entry, dict)
        field = body.ljust(4, b"\0") if inline else at.to_bytes(4, "little")
        table[tag] = _PACKED.pack(tag, kind, count) + field
        grown += b"" if inline else body
    grown += bytes(len(grown) % 2)
    if len(grown) + 12 * len(table) + 6 > 2**32:
        return data
    grown[4:8] = len(grown).to_bytes(4, "little")
    grown += len(table).to_bytes(2, "little")
    grown += b"".join(table[tag] for tag in sorted(table)) + bytes(4)
    return bytes(grown)


def is_thumbnail(page: Directory) -> bool:
    """Tell whether a page says that it is another one made smaller."""
    old = page.get(_OLD_SUBFILE)
    return bool(_subfile(page) & 1 or (old and old.offsets[:1] == (2,)))


def only_page(data: bytes) -> bytes:
    """Return a TIFF file whose one page that is no thumbnail is its only one.

    Parameters
    ----------
    data : bytes
        The whole file; with several such pages, or without others, it comes back as it is.
    """
    listed = read_directories(data)
    pages = [page for page in listed if not is_thumbnail(page) and not _subfile(page) & 4]
    if len(listed) < 2 or len(pages) != 1 or pages[0].next_at < 0:
        return data
    return page_alone(data, pages[0])


def without_places(contents: tuple[Content, ...]) -> tuple[Content, ...]:
    """Name as lost what ties stored rows and columns to places, for a picture that is turned."""
    names = {_name(tag) for tag in _PLACES}
    return tuple(
        Content(content.name) if content.holder == "tiff" and content.name in names else content
        for content in contents
    )


def _plain_ones(entries: list[Entry], start: int = 0) -> dict[int, Entry]:
    """Choose the entries that hold plain values, as far as that can be told, by their tags.

    Values that lie across each other end the choice: all of them could grow without end.
    """
    plain: dict[int, Entry] = {}
    left = len(entries[0].data) if entries else 0
    for entry in entries:
        left -= entry.size
        if left >= 0 and entry.tag not in plain and _is_plain(entry, start):
            plain[entry.tag] = entry
    return plain


def _is_plain(entry: Entry, start: int) -> bool:
    if entry.inner < 0 or not entry.size or entry.tag in _ELSEWHERE:
        return False
    if entry.type > _LAST_PLAIN:
        return False
    if entry.type == _LONG and entry.count <= 16:
        return not any(_is_directory(entry, at, start) for at in entry.offsets)
    return True


def _is_directory(entry: Entry, at: int, start: int) -> bool:
    place = start + at
    count = int.from_bytes(entry.data[place : place + 2], entry.order)
    if not at or at % 2 or not 0 < count <= _LONGEST:
        return False
    found = read_directory(entry.data, at, start)
    entries = found.entries if found else ()
    tags = [inner.tag for inner in entries]
    known = all(0 < inner.type < 19 and inner.inner >= 0 for inner in entries)
    return bool(entries) and known and tags == sorted(set(tags))


def _subfile(page: Directory) -> int:
    entry = page.get(_SUBFILE)
    return entry.offsets[0] if entry and entry.offsets else 0


def _name(tag: int) -> str:
    return f"tag {tag} {_NAMES.get(tag, '')}".strip()


def _content(entry: Entry) -> Content:
    kind, count, body = shape(entry, at=0, order="little")
    return Content(_name(entry.tag), "tiff", _PACKED.pack(entry.tag, kind, count) + body)


def _entry(tag: int, kind: int, count: int, body: bytes) -> Entry:
    return Entry(body, "little", tag, kind, count, 0, 0)


def _read_density(page: Directory, found: Found) -> None:
    across, down, unit = (page.get(tag) for tag in (ACROSS, DOWN, UNIT))
    if not (across and down and across.numbers and down.numbers):
        return
    number = unit.numbers[0] if unit and unit.numbers else 2
    sides = across.numbers[0], down.numbers[0]
    if not all(0 < side < _MOST for side in sides):
        return
    for name, (stated, millimetres) in UNITS.items():
        if number == stated:
            found.unit = name
            found.resolution = sides[0] / millimetres, sides[1] / millimetres
    if number == 1 and sides[0] != sides[1]:
        aspect = Fraction(sides[0] / sides[1]).limit_denominator(_MOST)
        if 0 < aspect.numerator < _MOST:
            found.aspect = aspect.numerator, aspect.denominator


def _density(metadata: Metadata) -> Entries:
    number, sides = 1, (1.0, 1.0)
    if metadata.resolution:
        number, millimetres = UNITS[metadata.unit]
        sides = metadata.resolution[0] * millimetres, metadata.resolution[1] * millimetres
    elif metadata.aspect:
        sides = float(metadata.aspect[0]), float(metadata.aspect[1])
    entries: Entries = {UNIT: _entry(UNIT, 3, 1, struct.pack("<H", number))}
    for tag, side in zip((ACROSS, DOWN), sides, strict=True):
        entries[tag] = _entry(tag, 5, 1, struct.pack("<II", *rational(side)))
    return entries
