"""Photoshop's resources, which IPTC is one of."""

from __future__ import annotations

import struct

PHOTOSHOP = b"Photoshop 3.0\0"
"""What JPEG files have before a Photoshop block, and TIFF files have not."""

IPTC = 0x0404
_MARK = b"8BIM"
_RECORD = 0x1C  # what each record of IPTC starts with
# Thumbnails would go on showing the picture as it was.
_THUMBNAILS = (0x0409, 0x040C)


def as_photoshop(block: bytes) -> bytes:
    """Bring a block of resources, or of IPTC records alone, into the form JPEG files hold."""
    if block.startswith(PHOTOSHOP):
        return block
    if block.startswith(_MARK):
        return PHOTOSHOP + block
    return PHOTOSHOP + _resource(IPTC, block)


def read_resources(block: bytes) -> dict[int, bytes]:
    """Read the resources of a block by their numbers; a damaged one ends with the damage."""
    return {number: body for number, _, body in _walk(block)}


def without_thumbnails(block: bytes) -> bytes:
    """Return a block without small copies of the picture; without any, just as it is."""
    listed = _walk(block)
    if not any(number in _THUMBNAILS for number, _, _ in listed):
        return block
    kept = [whole for number, whole, _ in listed if number not in _THUMBNAILS]
    return PHOTOSHOP + b"".join(kept) if kept else b""


def with_iptc(block: bytes | None, records: bytes) -> bytes:
    """Return a block that holds IPTC records, unless it holds some already.

    Parameters
    ----------
    block : bytes or None
        In the form JPEG files hold.
    records : bytes
        As TIFF's own tag has them; other bytes than records are left out.
    """
    if records[3:4] == bytes([_RECORD]) != records[:1]:
        # Some writers take bytes for numbers of 32 bits, and turn them with the byte order.
        words = len(records) // 4
        records = struct.pack(f"<{words}I", *struct.unpack(f">{words}I", records[: 4 * words]))
    records = records[: _length(records)]
    if not records or (block and IPTC in read_resources(block)):
        return block or b""
    return (block or PHOTOSHOP) + _resource(IPTC, records)


def _resource(number: int, body: bytes) -> bytes:
    head = _MARK + struct.pack(">HHI", number, 0, len(body))
    return head + body + bytes(len(body) % 2)


def _walk(block: bytes) -> list[tuple[int, bytes, bytes]]:
    """List number, whole bytes and content of each resource."""
    found: list[tuple[int, bytes, bytes]] = []
    at = len(PHOTOSHOP) if block.startswith(PHOTOSHOP) else 0
    while block[at : at + 4] == _MARK and at + 12 <= len(block):
        number, name = struct.unpack(">HB", block[at + 4 : at + 7])
        inner = at + 6 + (name + 2) // 2 * 2 + 4
        end = inner + int.from_bytes(block[inner - 4 : inner], "big")
        if end > len(block):
            break
        after = end + (end - inner) % 2
        found.append((number, block[at:after], block[inner:end]))
        at = after
    return found


def _length(records: bytes) -> int:
    """Count the bytes of IPTC records; what pads them to whole numbers is none."""
    at = 0
    while at + 5 <= len(records) and records[at] == _RECORD:
        size, head = int.from_bytes(records[at + 3 : at + 5], "big"), 5
        if size & 0x8000:  # an extended record says how many bytes its length has
            wide = size & 0x7FFF
            head = 5 + min(wide, len(records))
            size = int.from_bytes(records[at + 5 : at + head], "big")
        if at + head + size > len(records):
            break
        at += head + size
    return at
