"""The segments of a JPEG file, and where its picture ends."""

from __future__ import annotations

import re
from collections.abc import Iterator

from multiaxis.images.structure.part import Part

_START, _END, _SCAN = 0xD8, 0xD9, 0xDA
_APPLICATION, _FRAME = 0xE0, 0xC0
_NAMES = {
    _START: "SOI",
    _END: "EOI",
    _SCAN: "SOS",
    0xDB: "DQT",
    0xC4: "DHT",
    0xCC: "DAC",
    0xDC: "DNL",
    0xDD: "DRI",
    0xFE: "COM",
    **{_APPLICATION + number: f"APP{number}" for number in range(16)},
    **{_FRAME + number: f"SOF{number}" for number in range(16) if number not in (4, 8, 12)},
}
_ALONE = {0x01, *range(0xD0, 0xD8)}  # markers without a length
# In samples, 0xFF is followed by 0 or stands before a restart marker.
_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
_ANY_MARKER = re.compile(rb"\xff[^\x00\xff]")


def segments(data: bytes, start: int = 0) -> Iterator[Part]:
    """Walk over the segments of one picture of a JPEG file, ``"EOI"`` included.

    Parameters
    ----------
    data : bytes
        The whole file; anything else has no segments.
    start : int
        Where the picture starts; by default the first.

    Notes
    -----
    Source: ITU-T T.81, annex B. The content of ``"SOS"`` is its header; its samples lie between
    that and `Part.end`. What follows the end of the picture is not looked at. Stray bytes between
    segments are skipped up to the next marker, as decoders do.
    """
    at = start + 2 if data.startswith(b"\xff\xd8", start) else len(data)
    while at + 2 <= len(data):
        at = _after(_ANY_MARKER, data, at)
        if at == len(data):
            return
        marker = data[at + 1]
        name = _NAMES.get(marker, f"{marker:02X}")
        if marker in _ALONE or marker == _END:
            yield Part(data, name, at, at + 2, at + 2, at + 2)
            if marker == _END:
                return
            at += 2
            continue
        length = max(2, int.from_bytes(data[at + 2 : at + 4], "big"))  # as decoders do with less
        inner_end = at + 2 + length
        if inner_end > len(data):
            return
        after = _after(_MARKER, data, inner_end) if marker == _SCAN else inner_end
        yield Part(data, name, at, after, at + 4, inner_end)
        at = after


def jpeg_end(data: bytes, start: int = 0) -> int:
    """Tell where one picture of a JPEG file ends: other pictures, or a film, may follow.

    Returns
    -------
    int
        Offset behind the end marker; the length of the file where there is none.
    """
    return next((part.end for part in segments(data, start) if part.name == "EOI"), len(data))


def _after(marker: re.Pattern[bytes], data: bytes, at: int) -> int:
    found = marker.search(data, at)
    return found.start() if found else len(data)
