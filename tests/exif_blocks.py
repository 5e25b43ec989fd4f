"""EXIF blocks and the containers that carry them, made byte by byte."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Sequence

from hypothesis import strategies as st
from PIL import Image

ORIENTATION, EXIF, GPS = 0x0112, 0x8769, 0x8825
LETTERS = {1: "B", 3: "H", 4: "I", 6: "b", 7: "B", 8: "h", 9: "i"}


def entry(order: str, tag: int, kind: int, count: int, value: bytes) -> bytes:
    return struct.pack(f"{order}HHI", tag, kind, count) + value.ljust(4, b"\0")[:4]


def orientation(order: str, value: int, kind: int = 3, count: int = 1) -> bytes:
    return entry(order, ORIENTATION, kind, count, struct.pack(order + LETTERS[kind], value))


def block(
    order: str, entries: Sequence[bytes], *, count: int | None = None, tail: bytes = bytes(4)
) -> bytes:
    """Join entries to a main directory; `count` lies about them, `tail` follows them."""
    mark = b"II*\0" if order == "<" else b"MM\0*"
    head = struct.pack(f"{order}IH", 8, len(entries) if count is None else count)
    return b"Exif\0\0" + mark + head + b"".join(entries) + tail


def jpeg(image: Image.Image, exif: bytes, *more: bytes) -> bytes:
    """Carry a block, and whole other segments, in a JPEG file."""
    data = _saved(image, "JPEG", quality=100, subsampling=0)
    segment = b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif
    return data[:2] + segment + b"".join(more) + data[2:]


def png(image: Image.Image, exif: bytes, *, behind: bool = False) -> bytes:
    """Carry a block in a PNG file, before its samples or behind them."""
    data, body = _saved(image, "PNG"), b"eXIf" + exif.removeprefix(b"Exif\0\0")
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    at = data.index(b"IEND" if behind else b"IDAT") - 4
    return data[:at] + chunk + data[at:]


def webp(image: Image.Image, exif: bytes) -> bytes:
    """Carry a block in an extended WebP file without loss."""
    width, height = (struct.pack("<I", side - 1)[:3] for side in image.size)
    head = b"VP8X" + struct.pack("<I", 10) + bytes([8, 0, 0, 0]) + width + height
    chunk = b"EXIF" + struct.pack("<I", len(exif)) + exif + bytes(len(exif) % 2)
    body = b"WEBP" + head + _saved(image, "WEBP", lossless=True)[12:] + chunk
    return b"RIFF" + struct.pack("<I", len(body)) + body


CARRIERS = {"JPEG": jpeg, "PNG": png, "WebP": webp}


@st.composite
def exif_blocks(draw: st.DrawFn) -> bytes:
    """Blocks with odd types, counts, places, order, repetitions, links, and cut anywhere."""
    order = draw(st.sampled_from("<>"))
    tags = st.sampled_from([ORIENTATION, ORIENTATION, EXIF, GPS, 0x010F, 0x011A, 0x0201, 0xA002])
    number = st.sampled_from([0, 1, 3, 6, 8, 9, 26, 38, 50, 255, 256, 1536, 65535, 2**32 - 1])
    value = st.one_of(
        number.map(lambda n: struct.pack(f"{order}I", n)),
        st.integers(0, 9).map(lambda n: struct.pack(f"{order}HH", n, 0)),
        st.sampled_from([b"6\0\0\0", b"\x06\0\0\0", b"\x08\x06\x03\x01"]),
    )
    counts = st.sampled_from([0, 1, 1, 1, 2, 3, 4, 5, 9, 65535, 2**32 - 1])
    rows = st.builds(entry, st.just(order), tags, st.integers(0, 14), counts, value)
    usual = st.integers(0, 9).map(lambda n: orientation(order, n))
    entries = st.lists(st.one_of(rows, usual), max_size=4)
    main, other = draw(entries), draw(entries)
    second = struct.pack(f"{order}H", len(other)) + b"".join(other)
    link = struct.pack(f"{order}I", draw(st.sampled_from([0, 8, 14 + 12 * len(main)])))
    count = draw(st.one_of(st.none(), st.sampled_from([0, 1, 2, 7, 300, 65535])))
    made = block(order, main, count=count, tail=link + second + draw(st.binary(max_size=24)))
    return made[: draw(st.one_of(st.just(len(made)), st.integers(6, len(made))))]


def _saved(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()
