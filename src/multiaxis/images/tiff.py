"""EXIF into TIFF files, which libvips leaves out."""

from __future__ import annotations

import struct
from typing import Any

from PIL.TiffImagePlugin import ImageFileDirectory_v2

from multiaxis.images.exif import collect_exif

PHOTOSHOP = b"Photoshop 3.0\0"
"""What JPEG files have before IPTC's block, and TIFF files have not."""

_INNER = (0x8769, 0x8825)  # the EXIF and the GPS directory
_ENTRY = struct.Struct("<HHII")


def add_exif(data: bytes, exif: bytes) -> bytes:
    """Return a TIFF file with an EXIF block's directories behind its own content.

    Parameters
    ----------
    data : bytes
        A little-endian TIFF of one page with 32-bit offsets; any other comes back as it is.
    exif : bytes
        A block as JPEG files hold it. What describes the samples' layout is not taken over.
    """
    tags = collect_exif(exif)
    if not data.startswith(b"II*\0") or not tags:
        return data
    main = int.from_bytes(data[4:8], "little")
    count = int.from_bytes(data[main : main + 2], "little")
    table = data[main + 2 : main + 2 + 12 * count]
    entries = {int.from_bytes(table[at : at + 2], "little"): table[at : at + 12]
               for at in range(0, len(table), 12)}  # fmt: skip
    grown = bytearray(data + bytes(len(data) % 2))
    for tag, value in tags.items():
        if tag in _INNER:
            at = len(grown)
            grown += _directory(value, at)
            entries[tag] = _ENTRY.pack(tag, 4, 1, at)
        elif tag not in entries:
            text = str(value).encode("utf-8", "replace") + b"\0"
            at = len(grown)
            grown += text.ljust(4, b"\0") + bytes(len(text) % 2)
            inline = int.from_bytes(text.ljust(4, b"\0"), "little") if len(text) <= 4 else at
            entries[tag] = _ENTRY.pack(tag, 2, len(text), inline)
    grown += bytes(len(grown) % 2)
    grown[4:8] = len(grown).to_bytes(4, "little")
    grown += len(entries).to_bytes(2, "little")
    grown += b"".join(entries[tag] for tag in sorted(entries)) + bytes(4)
    return bytes(grown)


def _directory(values: dict[int, Any], offset: int) -> bytes:
    directory = ImageFileDirectory_v2(prefix=b"II")
    for tag, value in values.items():
        directory[tag] = value
    return directory.tobytes(offset)
