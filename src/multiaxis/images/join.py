"""Pictures of one size or many joined to one file: pages of a TIFF, frames of an animation."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from multiaxis.images.structure import Directory, Entry, chunks, read_directories, read_directory
from multiaxis.images.structure import riff_chunks as _riff_chunks

_STRIPS, _TILES = 273, 324
_BELOW = (0x8769, 0x8825, 0xA005)  # EXIF, GPS, interoperability
_CLASSIC = 2**32 - 1
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_FLAGS = {"ICCP": 0x20, "EXIF": 0x08, "XMP ": 0x04}  # of WebP's extended header
_ANIMATED, _ALPHA, _NO_BLENDING = 0x02, 0x10, 0x02
_SAMPLES = ("ALPH", "VP8 ", "VP8L")


class JoinError(Exception):
    """The joined file cannot be; the text says why."""


@dataclass(frozen=True)
class Frame:
    """One encoded picture of a file of several.

    Attributes
    ----------
    data : bytes
        A whole file of one picture.
    seconds : Fraction or None
        How long it is shown; None for pages, and for the still picture of an animated PNG.
    """

    data: bytes
    seconds: Fraction | None = None


def join_tiff(pages: Sequence[bytes]) -> bytes:
    """Join little-endian TIFF files of one page each, with all of their tags.

    Raises
    ------
    JoinError
        If there would be more than the 4 GB that offsets of 32 bits reach.
    """
    if not all(page.startswith(b"II*\0") for page in pages):
        raise JoinError("one of its pages is above 4 GB")
    joined, link = bytearray(pages[0][:4]), 4
    joined += bytes(4)
    for page in pages:
        joined += bytes(len(joined) % 2)
        base = len(joined)
        moved, main, next_at = _moved(page, base)
        joined += moved
        if len(joined) > _CLASSIC:
            raise JoinError("all of its pages together are above 4 GB")
        joined[link : link + 4] = main.to_bytes(4, "little")
        link = next_at
    return bytes(joined)


def _moved(page: bytes, base: int) -> tuple[bytes, int, int]:
    """Give a page whose offsets count from `base` earlier, its directory's place and its link's."""
    main = read_directories(page)[0]
    made = bytearray(page)

    def put(at: int, value: int) -> None:
        made[at : at + 4] = value.to_bytes(4, "little")

    def move(directory: Directory) -> None:
        for entry in directory.entries:
            if entry.tag in _BELOW and entry.offsets:
                inner = read_directory(page, entry.offsets[0])
                if inner:
                    move(inner)
                put(entry.at + 8, entry.offsets[0] + base)
            elif entry.tag in (_STRIPS, _TILES):
                _move_samples(made, entry, base)
            elif entry.size > 4:
                put(entry.at + 8, entry.inner + base)

    move(main)
    return bytes(made), main.at + base, main.next_at + base


def _move_samples(made: bytearray, entry: Entry, base: int) -> None:
    """Write where the samples lie anew behind the page: as 32 bits, whatever it was before."""
    values = struct.pack(f"<{entry.count}I", *(offset + base for offset in entry.offsets))
    made += bytes(len(made) % 2)
    inline = len(values) <= 4
    field = values if inline else (len(made) + base).to_bytes(4, "little")
    made[entry.at + 2 : entry.at + 4] = (4).to_bytes(2, "little")
    made[entry.at + 8 : entry.at + 12] = field
    if not inline:
        made += values


def join_png(frames: Sequence[Frame], plays: int) -> bytes:
    """Join PNG files of one size and kind to an animated one; the first gives everything else.

    Notes
    -----
    Source: PNG, third edition (W3C, 2025), section 11.3.4. Each frame covers the whole picture.
    """
    first = list(chunks(frames[0].data))
    shown = sum(frame.seconds is not None for frame in frames)
    size = first[0].body[:8]
    number = 0

    def control(seconds: Fraction) -> bytes:
        nonlocal number
        delay = seconds.limit_denominator(65535)
        if delay.numerator > 65535:
            delay = Fraction(min(round(seconds), 65535))
        body = struct.pack(">I", number) + size + bytes(8)
        body += struct.pack(">HHBB", delay.numerator, delay.denominator, 0, 0)
        number += 1
        return _chunk(b"fcTL", body)

    before = [part for part in first if part.name != "IDAT"]
    at = next(index for index, part in enumerate(first) if part.name == "IDAT")
    made = [_SIGNATURE, *(part.whole for part in before[:at])]
    made.append(_chunk(b"acTL", struct.pack(">II", shown, plays)))
    if frames[0].seconds is not None:
        made.append(control(frames[0].seconds))
    made += [part.whole for part in first if part.name == "IDAT"]
    for frame in frames[1:]:
        made.append(control(frame.seconds or Fraction(0)))
        for part in chunks(frame.data):
            if part.name == "IDAT":
                made.append(_chunk(b"fdAT", struct.pack(">I", number) + part.body))
                number += 1
    made += [part.whole for part in before[at:]]
    return b"".join(made)


def join_webp(frames: Sequence[Frame], plays: int) -> bytes:
    """Join WebP files of one size to an animated one; the first gives everything else.

    Notes
    -----
    Source: RFC 9649, section 2.7. Each frame covers the whole picture.
    """
    others = [part for part in _riff_chunks(frames[0].data) if part.name not in _SAMPLES]
    rest = {part.name: part for part in others if part.name != "VP8X"}
    width, height = webp_size(frames[0].data)
    sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    flags = _ANIMATED | _ALPHA | sum(_FLAGS.get(name, 0) for name in rest)
    made = [_riff("VP8X", bytes([flags, 0, 0, 0]) + sides)]
    if "ICCP" in rest:
        made.append(_riff("ICCP", rest["ICCP"].body))
    made.append(_riff("ANIM", bytes(4) + min(plays, 65535).to_bytes(2, "little")))
    for frame in frames:
        milliseconds = min(round((frame.seconds or 0) * 1000), 2**24 - 1)
        head = bytes(6) + sides + milliseconds.to_bytes(3, "little") + bytes([_NO_BLENDING])
        samples = (part for part in _riff_chunks(frame.data) if part.name in _SAMPLES)
        made.append(_riff("ANMF", head + b"".join(_riff(part.name, part.body) for part in samples)))
    made += [_riff(name, part.body) for name, part in rest.items() if name != "ICCP"]
    body = b"WEBP" + b"".join(made)
    if len(body) > _CLASSIC - 8:
        raise JoinError("all of its frames together are above 4 GB")
    return b"RIFF" + len(body).to_bytes(4, "little") + body


def webp_size(data: bytes) -> tuple[int, int]:
    """Read width and height of a WebP file without loss."""
    for part in _riff_chunks(data):
        if part.name == "VP8X":
            wide, high = (int.from_bytes(part.body[at : at + 3], "little") for at in (4, 7))
            return wide + 1, high + 1
        if part.name == "VP8L":
            bits = int.from_bytes(part.body[1:5], "little")
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        if part.name == "VP8 ":
            wide, high = struct.unpack_from("<HH", part.body, 6)
            return wide & 0x3FFF, high & 0x3FFF
    raise JoinError("one of its frames has no size")


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def _riff(name: str, body: bytes) -> bytes:
    return name.encode("latin-1") + len(body).to_bytes(4, "little") + body + bytes(len(body) % 2)
