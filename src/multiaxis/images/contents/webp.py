"""WebP chunks: what is read from them, and how they are put into an encoded file."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from multiaxis.images.contents.block import with_resolution
from multiaxis.images.contents.content import EXIF_MARK, Content, Found, plain
from multiaxis.images.structure import riff_chunks

if TYPE_CHECKING:
    from multiaxis.images.picture import Metadata

_SAMPLES = {"VP8 ", "VP8L", "VP8X", "ALPH", "ICCP", "ANIM", "ANMF"}
_PROFILE, _ALPHA, _EXIF, _XMP = 0x20, 0x10, 0x08, 0x04  # flags of VP8X


def read_webp(data: bytes) -> Found:
    """Read what a WebP file holds beside its samples.

    Notes
    -----
    Unknown chunks are to be kept as they are (RFC 9649, section 2.7).
    """
    found, after, seen = Found(), 0, set[str]()
    for chunk in riff_chunks(data):
        after = chunk.end
        if chunk.name in seen:  # another one might turn the picture again
            found.lose(f"second {chunk.name.strip()}")
        elif chunk.name == "EXIF":
            found.exif = chunk.body or None
        elif chunk.name == "XMP ":
            found.xmp = chunk.body or None
        elif chunk.name == "C2PA":
            found.lose("content credentials")
        elif chunk.name not in _SAMPLES:
            found.contents.append(Content(f"chunk {plain(chunk.name)}", "webp", chunk.whole))
        seen |= {chunk.name} & {"EXIF", "XMP "}
    if after and data[after:].strip(b"\0\r\n "):
        found.lose("data behind the end")
    return found


def heeded(data: bytes, orientation: int | None) -> int | None:
    """Give what EXIF says where readers look for it: the header in front has to announce it.

    Returns
    -------
    int or None
        None where XMP is to be asked.
    """
    head = next(iter(riff_chunks(data)), None)
    flags = head.body[0] if head and head.name == "VP8X" and head.size else 0
    found = orientation if flags & _EXIF else None
    return found if flags & _XMP else found or 1


def put_webp(data: bytes, metadata: Metadata) -> bytes:
    """Put metadata into an encoded WebP file that holds samples and colour alone."""
    late, exif = b"", metadata.exif
    if metadata.resolution:  # EXIF is its only place
        exif = with_resolution(exif, metadata.resolution, metadata.unit)
    if exif:
        late += _chunk(b"EXIF", exif.removeprefix(EXIF_MARK))
    if metadata.xmp:
        late += _chunk(b"XMP ", metadata.xmp)
    for content in metadata.contents:
        late += content.body if content.holder == "webp" else b""
    if not late:
        return data
    listed = list(riff_chunks(data))
    flags = _EXIF * bool(exif) | _XMP * bool(metadata.xmp)
    head = listed[0]
    if head.name == "VP8X":
        extended = bytes([head.body[0] | flags]) + head.body[1:]
        rest = b"".join(chunk.whole for chunk in listed[1:])
    else:
        alpha, width, height = _layout(head.name, head.body)
        sides = b"".join((side - 1).to_bytes(3, "little") for side in (width, height))
        extended = bytes([flags | _ALPHA * alpha, 0, 0, 0]) + sides
        rest = b"".join(chunk.whole for chunk in listed)
    body = b"WEBP" + _chunk(b"VP8X", extended) + rest + late
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _chunk(name: bytes, body: bytes) -> bytes:
    return name + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)


def _layout(name: str, body: bytes) -> tuple[bool, int, int]:
    """Read alpha, width and height of a simple file's samples (RFC 9649, 3.4; RFC 6386, 9.1)."""
    if name == "VP8L":
        bits = int.from_bytes(body[1:5], "little")
        return bool(bits >> 28 & 1), (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    width, height = struct.unpack("<HH", body[6:10])
    return False, width & 0x3FFF, height & 0x3FFF
