"""CRC-32C of large buffers, without a compiled package.

A CRC is linear: moving a word past n zero words is a 32x32 bit matrix. So the front half of a
buffer is moved onto its back half, all words at once, until one word is left.
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

_Words = NDArray[np.uint32]

_POLYNOMIAL = 0x82F63B78  # Castagnoli's, bits reflected
_CHUNK = 1 << 16  # words: 256 KiB stay in the cache, and below the size where memory is mapped anew


def crc32c(data: bytes | NDArray[np.uint8]) -> int:
    """Return the CRC-32C of bytes; several hundred MB a second.

    Examples
    --------
    >>> hex(crc32c(b"123456789"))
    '0xe3069283'
    """
    octets = np.frombuffer(data, np.uint8)
    whole = octets.size // 4 * 4
    words = octets[:whole].view("<u4")
    state = 0xFFFFFFFF
    for start in range(0, words.size, _CHUNK):
        chunk = words[start : start + _CHUNK].astype(np.uint32)  # a copy, to be folded in place
        chunk[0] ^= np.uint32(state)
        state = _fold(chunk)
    for octet in octets[whole:].tolist():
        state = _after_zeros((state ^ octet), bits=8)
    return state ^ 0xFFFFFFFF


def mask(crc: int) -> int:
    """Rotate and shift a CRC, as files do that hold CRCs of data which hold CRCs."""
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _fold(words: _Words) -> int:
    while words.size > 1:
        level = (words.size - 1).bit_length() - 1
        head, words = words[: -(1 << level)], words[-(1 << level) :]
        words[words.size - head.size :] ^= _move(head, level)
    return int(_move(words, 0)[0])


def _move(words: _Words, level: int) -> _Words:
    """Move words past 2**level zero words."""
    low, high = _tables(level)
    halves = words.astype("<u4", copy=False).view("<u2").reshape(-1, 2)
    moved = low.take(halves[:, 0])
    moved ^= high.take(halves[:, 1])
    return moved


@functools.cache
def _tables(level: int) -> tuple[_Words, _Words]:
    """Images of every low and every high half of a word."""
    images = _images(level)
    return _combinations(images[:16]), _combinations(images[16:])


def _combinations(images: _Words) -> _Words:
    table = np.zeros(1, np.uint32)
    for image in images:
        table = np.concatenate([table, table ^ image])
    return table


@functools.cache
def _images(level: int) -> _Words:
    """Images of the 32 single bits."""
    if level == 0:
        return np.array([_after_zeros(1 << bit, bits=32) for bit in range(32)], np.uint32)
    return _move(_images(level - 1), level - 1)  # twice as far: moved once more


def _after_zeros(state: int, *, bits: int) -> int:
    for _ in range(bits):
        state = state >> 1 ^ (_POLYNOMIAL if state & 1 else 0)
    return state
