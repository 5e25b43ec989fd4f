"""Whether a clip's file is whole: the size that its container states, against the bytes there."""

from __future__ import annotations

import io
from pathlib import Path
from typing import BinaryIO

_BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"styp", b"pnot")
_TRANSPORT = ((0, 188), (4, 192), (0, 204))  # place of the mark, and bytes in a packet
_MARK = 0x47
_EBML, _SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"
_UNKNOWN = (0, 0xFFFFFFFF)  # sizes that recorders leave where they could not go back
_ROUNDED = 16  # bytes by which writers of AVI miscount


def is_cut(path: Path) -> bool:
    """Tell whether a file ends before its container does, as after a broken copy.

    Readers take what is there, and say nothing. MP4 and MOV state the sizes of their boxes, AVI
    those of its lists, Matroska that of its segment; MPEG-TS has packets of one size. Whoever
    writes to a pipe states none, and no cut is found.

    Parameters
    ----------
    path : Path
        One that cannot be read is not called cut.

    References
    ----------
    ISO/IEC 14496-12, 4.2 (boxes); Microsoft's RIFF and OpenDML; RFC 8794 and RFC 9559 (Matroska);
    ISO/IEC 13818-1, 2.4.3.2 (packets).
    """
    try:
        with path.open("rb") as file:
            size = file.seek(0, io.SEEK_END)
            file.seek(0)
            head = file.read(1024)
            if head[:4] == b"RIFF":
                return _end_of_lists(file, size) > size + _ROUNDED
            if head[:4] == _EBML:
                return _end_of_segment(head) > size
            if head[4:8] in _BOXES:
                return _end_of_boxes(file, size) > size
            return _is_torn_packet(head, size)
    except OSError:
        return False


def _end_of_boxes(file: BinaryIO, size: int) -> int:
    at = 0
    while at < size:
        file.seek(at)
        head = file.read(16)
        length, kind = int.from_bytes(head[:4], "big"), head[4:8]
        if len(kind) == 4 and not (kind.isascii() and kind.decode().isprintable()):
            return size  # something else behind the boxes
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        if length < 8:  # up to the end of the file, or no box
            return size
        at += length
    return at


def _end_of_lists(file: BinaryIO, size: int) -> int:
    at = 0
    while at < size:
        file.seek(at)
        head = file.read(8)
        length = int.from_bytes(head[4:8], "little")
        if head[:4] != b"RIFF" or length in _UNKNOWN:
            return size
        at += 8 + length + length % 2
    return at


def _end_of_segment(head: bytes) -> int:
    at, length = _number(head, 4)
    at += length or 0
    if head[at : at + 4] != _SEGMENT:
        return 0
    at, length = _number(head, at + 4)
    return 0 if length is None else at + length


def _number(data: bytes, at: int) -> tuple[int, int | None]:
    """Read an EBML number: where it ends, and its value; None where it says "unknown"."""
    first = data[at] if at < len(data) else 0
    count = 9 - first.bit_length()
    value = int.from_bytes(data[at : at + count], "big") - (1 << 7 * count)
    return at + count, None if count > 8 or value == (1 << 7 * count) - 1 else value


def _is_torn_packet(head: bytes, size: int) -> bool:
    for place, length in _TRANSPORT:
        marks = head[place::length]
        if len(marks) > 2 and set(marks) == {_MARK}:
            return size % length > 0
    return False
