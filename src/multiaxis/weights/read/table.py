"""Sorted tables of keys and values, as LevelDB and the index of TensorFlow checkpoints have them.

A table is a row of blocks; the footer points to the one that lists the others.
"""

from __future__ import annotations

from collections.abc import Iterator

from multiaxis.files.bounds import check_count, unpacked_limit
from multiaxis.weights.read.crc32c import crc32c, mask

MAGIC = (0xDB4775248B80FB57).to_bytes(8, "little")
"""The last bytes of every table."""

_FOOTER = 48
_TRAILER = 5  # after each block: its kind, its checksum
_VARINT = 10  # bytes that 64 bits take
_LONGEST_KEY = 4096


def read_table(data: bytes) -> dict[bytes, bytes]:
    """Read all entries of a table.

    Raises
    ------
    ValueError
        If it is damaged, cut short or compressed.
    """
    if len(data) < _FOOTER or not data.endswith(MAGIC):
        raise ValueError("its end is missing")
    footer = data[-_FOOTER:]
    _, at = _handle(footer, 0)  # of a block about blocks, which is empty
    handle, _ = _handle(footer, at)
    entries: dict[bytes, bytes] = {}
    end = 0
    for _, value in _entries(_block(data, handle)):
        (offset, size), _ = _handle(value, 0)
        if offset < end:  # else a small file could name one block ten thousand times
            raise ValueError("its blocks lie over each other")
        end = offset + size
        entries.update(_entries(_block(data, (offset, size))))
        check_count(len(entries))
    return entries


def varint(data: bytes, at: int) -> tuple[int, int]:
    """Read a number of variable length at an offset; returns it and the offset after it."""
    value = 0
    for count, octet in enumerate(data[at : at + _VARINT]):
        value |= (octet & 0x7F) << 7 * count
        if octet < 0x80:
            return value, at + count + 1
    raise ValueError("a number has no end")


def _handle(data: bytes, at: int) -> tuple[tuple[int, int], int]:
    offset, at = varint(data, at)
    size, at = varint(data, at)
    return (offset, size), at


def _block(data: bytes, handle: tuple[int, int]) -> bytes:
    offset, size = handle
    end = offset + size
    if end + _TRAILER > len(data):
        raise ValueError("a block lies past the end")
    checksum = int.from_bytes(data[end + 1 : end + _TRAILER], "little")
    if mask(crc32c(data[offset : end + 1])) != checksum:
        raise ValueError("the checksum of a block differs")
    if data[end]:
        raise ValueError(f"a block is compressed (kind {data[end]}), which TensorFlow does not do")
    return data[offset:end]


def _entries(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield keys and values; a key is stored as what differs from the one before."""
    restarts = int.from_bytes(block[-4:], "little")
    end = len(block) - 4 * (restarts + 1)
    if end < 0:
        raise ValueError("a block is too short")
    at, key, left = 0, b"", unpacked_limit(len(block))
    while at < end:
        shared, at = varint(block, at)
        unshared, at = varint(block, at)
        size, at = varint(block, at)
        if shared > len(key) or at + unshared + size > end:
            raise ValueError("an entry is longer than its block")
        left -= shared + unshared
        if shared + unshared > _LONGEST_KEY or left < 0:
            raise ValueError("its names are too long")
        key = key[:shared] + block[at : at + unshared]
        at += unshared
        yield key, block[at : at + size]
        at += size
