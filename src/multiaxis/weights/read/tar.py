"""Packed tarballs, unpacked once and within bounds; only plain files are taken."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path

from multiaxis.files.bounds import check_count, map_regular, quoted, unpacked_limit

_BLOCK = 512
_FILES = (b"0", b"\0", b"7")
_LONG_NAME, _EXTENDED = b"L", b"x"  # entries that say more of the next one
_MOST_SAID = 1 << 16  # bytes of such an entry


def read_tarball(path: Path) -> dict[str, memoryview]:
    """Unpack a gzipped tar.

    Returns
    -------
    dict of str to memoryview
        Contents of its plain files, by name; the last one of a name. Links are left out.

    Raises
    ------
    ValueError, zlib.error
        If it is damaged, cut short, or unpacks to more than trained parameters do.
    """
    whole = memoryview(_unpacked(map_regular(path)))
    files: dict[str, memoryview] = {}
    for name, kind, data in _entries(whole):
        if kind in _FILES:
            files[name] = data
            check_count(len(files))
    return files


def _unpacked(packed: memoryview) -> bytes:
    limit = unpacked_limit(len(packed))
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
    data = unpacker.decompress(packed, limit + 1)
    if len(data) > limit:
        raise ValueError(f"it unpacks to more than {limit} bytes, which no trained model does")
    if not unpacker.eof:
        raise ValueError("it is cut short")
    if unpacker.unused_data.strip(b"\0"):
        raise ValueError("something follows its end")
    return data


def _entries(whole: memoryview) -> Iterator[tuple[str, bytes, memoryview]]:
    at, said = 0, ""
    while at + _BLOCK <= len(whole):
        head = bytes(whole[at : at + _BLOCK])
        if not head.strip(b"\0"):
            return
        _check_sum(head)
        size, kind = _number(head[124:136]), head[156:157]
        at += _BLOCK
        data = whole[at : at + size]
        if len(data) < size:
            raise ValueError("an entry is cut short")
        at += -(-size // _BLOCK) * _BLOCK
        if kind in (_LONG_NAME, _EXTENDED):
            said = _name_in(kind, bytes(data[:_MOST_SAID])) or said
            continue
        yield said or _name(head), kind, data
        said = ""


def _check_sum(head: bytes) -> None:
    counted = sum(head[:148]) + sum(head[156:]) + 8 * ord(" ")
    if counted != _number(head[148:156]):
        raise ValueError("the checksum of an entry differs")


def _number(field: bytes) -> int:
    if field[0] & 0x80:  # too large for octal digits
        return int.from_bytes(field[1:], "big")
    text = field.strip(b" \0")
    if text and not text.isdigit():
        raise ValueError(f"an entry has the number {quoted(field)}")
    return int(text or b"0", 8)


def _name(head: bytes) -> str:
    name = head[:100].split(b"\0")[0]
    folder = head[345:500].split(b"\0")[0] if head[257:262] == b"ustar" else b""
    return (folder + b"/" + name if folder else name).decode()


def _name_in(kind: bytes, data: bytes) -> str | None:
    if kind == _LONG_NAME:
        return data.rstrip(b"\0").decode()
    at = 0
    while at < len(data):  # lines of "length key=value\n", with the length of the whole line
        size, _, _ = data[at : at + 8].partition(b" ")
        if not size.isdigit() or not int(size):
            raise ValueError("an entry says what cannot be read")
        key, _, value = data[at + len(size) + 1 : at + int(size) - 1].partition(b"=")
        if key == b"size":
            raise ValueError("an entry of more than 8 GB")
        if key == b"path":
            return value.decode()
        at += int(size)
    return None
