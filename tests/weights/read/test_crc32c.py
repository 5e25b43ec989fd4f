"""The folded checksum against one that goes bit by bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiaxis.weights.read.crc32c import crc32c


def bitwise(data: bytes, crc: int = 0) -> int:
    state = crc ^ 0xFFFFFFFF
    for octet in data:
        state ^= octet
        for _ in range(8):
            state = state >> 1 ^ (0x82F63B78 if state & 1 else 0)
    return state ^ 0xFFFFFFFF


@given(st.binary(max_size=200))
def test_any_small_buffer(data: bytes) -> None:
    assert crc32c(data) == bitwise(data)


@pytest.mark.thorough
@pytest.mark.parametrize("size", [4096, 4097, 262_143, 262_144, 262_150, 524_300])
def test_buffers_around_the_size_of_a_chunk(size: int) -> None:
    data = np.random.default_rng(size).integers(0, 256, size, np.uint8)
    assert crc32c(data) == bitwise(data.tobytes())


@pytest.mark.parametrize(
    ("data", "expected"),  # RFC 3720, appendix B.4
    [
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (bytes(range(31, -1, -1)), 0x113FDB5C),
    ],
)
def test_published_values(data: bytes, expected: int) -> None:
    assert crc32c(data) == expected
