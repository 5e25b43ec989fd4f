"""EXIF into TIFF files, which libvips leaves out."""

from __future__ import annotations

import struct

from multiaxis.images.exif import gather_entries, shape

PHOTOSHOP = b"Photoshop 3.0\0"
"""What JPEG files have before IPTC's block, and TIFF files have not."""

_ENTRY = struct.Struct("<HHI4s")


def add_exif(data: bytes, exif: bytes) -> bytes:
    """Return a TIFF file with an EXIF block's directories behind its own content.

    Parameters
    ----------
    data : bytes
        A little-endian TIFF of one page with 32-bit offsets; any other comes back as it is.
    exif : bytes
        A block as JPEG files hold it. What describes the samples' layout is not taken over.
    """
    tags = gather_entries(exif)
    if not data.startswith(b"II*\0") or not tags:
        return data
    main = int.from_bytes(data[4:8], "little")
    count = int.from_bytes(data[main : main + 2], "little")
    table = data[main + 2 : main + 2 + 12 * count]
    entries = {int.from_bytes(table[at : at + 2], "little"): table[at : at + 12]
               for at in range(0, len(table), 12)}  # fmt: skip
    grown = bytearray(data + bytes(len(data) % 2))
    for tag, value in tags.items():
        if tag in entries:
            continue
        grown += bytes(len(grown) % 2)
        at = len(grown)
        kind, count, body = shape(value, at=at, order="little")
        inline = len(body) <= 4 and not isinstance(value, dict)
        field = body.ljust(4, b"\0") if inline else at.to_bytes(4, "little")
        entries[tag] = _ENTRY.pack(tag, kind, count, field)
        grown += b"" if inline else body
    grown += bytes(len(grown) % 2)
    grown[4:8] = len(grown).to_bytes(4, "little")
    grown += len(entries).to_bytes(2, "little")
    grown += b"".join(entries[tag] for tag in sorted(entries)) + bytes(4)
    return bytes(grown)
