"""JPEG segments: what is read from them, and how they are put into an encoded file."""

from __future__ import annotations

import hashlib
import struct
from typing import TYPE_CHECKING

from multiaxis.images.contents.content import EXIF_MARK, Content, Found, plain
from multiaxis.images.contents.photoshop import PHOTOSHOP, without_thumbnails
from multiaxis.images.contents.trailer import split_trailer
from multiaxis.images.contents.xmp import (
    Kept,
    extension_guid,
    mend_xmp,
    semantics,
    split_xmp,
)
from multiaxis.images.structure import Part, jpeg_end, read_directories, segments

if TYPE_CHECKING:
    from multiaxis.images.picture import Metadata

XMP_MARK = b"http://ns.adobe.com/xap/1.0/\0"
"""What JPEG files have before an XMP packet."""

_EXTENSION_MARK = b"http://ns.adobe.com/xmp/extension/\0"
_GUID, _LENGTH, _OFFSET = slice(35, 67), slice(67, 71), slice(71, 75)
_PIECE = 65_000  # bytes of an extension in one segment
_PROFILE_MARK = b"ICC_PROFILE\0"
_INDEX_MARK = b"MPF\0"  # of the Multi-Picture Format (CIPA DC-007)
_PICTURES = 0xB002
_GAIN_MAP_MARK = b"urn:iso:std:iso:ts:21496:-1"
_ROOM = 65_533  # bytes of content in a segment
_UNITS = {1: 25.4, 2: 10.0}  # millimetres of an inch, and of a centimetre
# What describes the file that was (SPIFF), is a thumbnail, or goes with a gain map.
_GONE = (b"SPIFF\0", b"JFXX\0", _GAIN_MAP_MARK)
_SEMANTICS = {
    "GainMap": "gain map",
    "Depth": "depth map",
    "Confidence": "confidence map",
    "Original": "original picture",
}


def read_jpeg(data: bytes) -> Found:
    """Read what a JPEG file holds beside its samples, what follows the picture included.

    Parameters
    ----------
    data : bytes
        The whole file.

    Notes
    -----
    Segments of other makers are taken over by JPEG files. Second pictures are not: gain maps, depth
    maps and stereo views belong to samples that a restoration changes. Films are.
    """
    found = Found()
    extensions: dict[str, list[bytes]] = {}
    boxes, index, late = b"", b"", False
    for part in segments(data):
        body = part.body
        late = late or part.name == "SOS"
        if late and part.name.startswith(("APP", "COM")):  # where no reader looks
            found.lose("segments behind the samples")
        elif part.name == "COM":
            found.contents.append(Content("comment", "jpeg", part.whole, _remark(body)))
        elif not part.name.startswith("APP") or _is_known(part, found):
            continue
        elif body.startswith(_EXTENSION_MARK):
            extensions.setdefault(body[_GUID].decode("latin-1"), []).append(body)
        elif body.startswith(_INDEX_MARK):
            index = body
        elif part.name == "APP11" and body.startswith(b"JP"):
            boxes += body
        elif not body.startswith(_GONE):
            found.contents.append(Content(_name(part), "jpeg", part.whole))
    if boxes:
        found.lose("content credentials" if b"c2pa" in boxes else "boxes in APP11")
    _join(extensions, found)
    _read_trailer(data, index, found)
    return found


def put_jpeg(data: bytes, metadata: Metadata) -> bytes:
    """Put metadata into an encoded JPEG file that holds samples and colour alone.

    Parameters
    ----------
    data : bytes
        The whole file.
    metadata : Metadata
        Blocks that are too large for their segment are left out.
    """
    xmp, extension = split_xmp(metadata.xmp, metadata.xmp_extension)
    early = _density(metadata)
    if metadata.exif:
        early += segment(0xE1, EXIF_MARK + metadata.exif.removeprefix(EXIF_MARK))
    if xmp:
        early += segment(0xE1, XMP_MARK + xmp)
    early += _extension_segments(extension)
    block, room = (metadata.iptc or b"").removeprefix(PHOTOSHOP), _ROOM - len(PHOTOSHOP)
    for at in range(0, len(block), room):
        early += segment(0xED, PHOTOSHOP + block[at : at + room])
    others, late = b"", b""
    for content in metadata.contents:
        if content.holder == "jpeg" and content.late:
            late += content.body
        elif content.holder == "jpeg":
            others += content.body
        elif content.text is not None:
            others += segment(0xFE, content.text.encode())
    listed = list(segments(data))
    own = [part.whole for part in listed if part.name == "APP2"]
    rest = next(part.start for part in listed if not part.name.startswith("APP"))
    return b"".join([data[:2], early, *own, others, data[rest:], late])


def segment(marker: int, body: bytes) -> bytes:
    """Make a segment; nothing where the content is too long for one."""
    if len(body) > _ROOM:
        return b""
    return bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body


def _is_known(part: Part, found: Found) -> bool:
    """Take what has a field of its own, and pass by what the decoder reads."""
    body = part.body
    if part.name == "APP0" and body.startswith(b"JFIF\0"):
        _read_density(body, found)
    elif part.name == "APP1" and body.startswith(EXIF_MARK):
        found.offer_exif(body)
    elif part.name == "APP1" and body.startswith(XMP_MARK):
        found.offer_xmp(body.removeprefix(XMP_MARK))
    elif part.name == "APP13" and body.startswith(PHOTOSHOP):
        block = (found.iptc or PHOTOSHOP) + body.removeprefix(PHOTOSHOP)
        found.iptc = without_thumbnails(block) or None
    else:
        return body.startswith(_PROFILE_MARK) or (
            part.name == "APP14" and body.startswith(b"Adobe")
        )
    return True


def _read_density(body: bytes, found: Found) -> None:
    if len(body) < 12:
        return
    unit, across, down = struct.unpack(">BHH", body[7:12])
    if not (across and down):
        return
    if unit in _UNITS:
        found.resolution = across / _UNITS[unit], down / _UNITS[unit]
        found.unit = "cm" if unit == 2 else "inch"
    elif unit == 0 and across != down:
        found.aspect = across, down


def _density(metadata: Metadata) -> bytes:
    unit, across, down = 0, 1, 1
    if metadata.resolution:
        unit = 2 if metadata.unit == "cm" else 1
        across, down = (max(1, round(value * _UNITS[unit])) for value in metadata.resolution)
    elif metadata.aspect:
        across, down = metadata.aspect
    most = max(across, down)
    if most > 65_535:
        across, down = (max(1, value * 65_535 // most) for value in (across, down))
    return segment(0xE0, b"JFIF\0\1\1" + struct.pack(">BHHBB", unit, across, down, 0, 0))


def _join(extensions: dict[str, list[bytes]], found: Found) -> None:
    """Join the pieces of the extension that the packet asks for; another is stale."""
    pieces = extensions.get(extension_guid(found.xmp) or "", [])
    pieces = sorted(pieces, key=lambda body: body[_OFFSET])
    joined = b"".join(body[_OFFSET.stop :] for body in pieces)
    if pieces and len(joined) == int.from_bytes(pieces[0][_LENGTH], "big"):
        found.xmp_extension = joined
    elif extensions:
        found.lose("extended XMP")


def _extension_segments(extension: bytes | None) -> bytes:
    extension = extension or b""
    guid = hashlib.md5(extension, usedforsecurity=False).hexdigest().upper().encode()
    found = b""
    for at in range(0, len(extension), _PIECE):
        place = struct.pack(">II", len(extension), at)
        found += segment(0xE1, _EXTENSION_MARK + guid + place + extension[at : at + _PIECE])
    return found


def _read_trailer(data: bytes, index: bytes, found: Found) -> None:
    """Keep films behind the picture, name the rest, and mend the XMP that points there."""
    pieces = split_trailer(data, jpeg_end(data))
    meanings = [word for word, mime in semantics(found.xmp) if not mime.startswith("video/")]
    kept, film = b"", None
    for piece in pieces:
        body = data[piece.start : piece.end]
        if piece.kind == "picture":
            meaning = meanings.pop(0) if meanings else ""
            found.lose(_SEMANTICS.get(meaning) or _picture_name(body, index))
        elif piece.kind == "film" or (piece.kind == "samsung" and not piece.pictures):
            name = "film" if piece.kind == "film" or piece.films else "Samsung's data"
            found.contents.append(Content(name, "jpeg", body, late=True))
            if name == "film" and film is None:
                film = len(kept) if piece.kind == "film" else -1
            kept += body
        else:
            is_unknown = piece.kind == "unknown"
            found.lose("data behind the end" if is_unknown else "Samsung's pictures")
            found.lose(*["film"] * piece.films)
    # Offsets inside a maker's trailer stay true, as it is kept as a whole.
    left = None if film is None else 0 if film < 0 else len(kept) - film
    mended = mend_xmp(found.xmp, Kept(film=left)) if found.xmp else None
    if found.xmp and not mended:
        found.lose("xmp")
    found.xmp = mended


def _picture_name(body: bytes, index: bytes) -> str:
    if any(mark in body[:_ROOM] for mark in (b"hdr-gain-map", b"HDRGainMap", _GAIN_MAP_MARK)):
        return "gain map"
    directories = read_directories(index, len(_INDEX_MARK))
    entry = directories[0].get(_PICTURES) if directories else None
    rows = entry.body if entry else b""
    order = entry.order if entry else "big"
    for at in range(0, len(rows) - 15, 16):
        kind, size = (int.from_bytes(rows[at + k : at + k + 4], order) for k in (0, 4))
        if size == len(body):
            return "preview" if kind >> 16 & 0xFF == 1 else "second picture"
    return "second picture"


def _name(part: Part) -> str:
    word = part.body[:24].partition(b"\0")[0].decode("latin-1")
    return f"{part.name} {plain(word)}".strip() if word.isprintable() else part.name


def _remark(body: bytes) -> str | None:
    """Read a comment as text; JPEG does not say in which encoding."""
    body = body.rstrip(b"\0")
    try:
        found = body.decode()
    except UnicodeDecodeError:
        found = body.decode("latin-1")
    return found if found and "\0" not in found else None
