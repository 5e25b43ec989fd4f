"""A writer of TensorFlow checkpoints as small as the tests need; says nothing of TensorFlow's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from multiaxis.weights.read.crc32c import crc32c, mask
from multiaxis.weights.read.table import MAGIC

DTYPES = {"float32": 1, "float64": 2, "int32": 3, "int64": 9, "bool": 10, "float16": 19}


def varint(value: int) -> bytes:
    out = b""
    while value >= 0x80:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value) if value else b""


def part(field: int, value: bytes) -> bytes:
    return varint(field << 3 | 2) + varint(len(value)) + value


def entry(
    data: bytes, shape: tuple[int, ...], dtype: int, *, shard: int = 0, offset: int = 0
) -> bytes:
    axes = b"".join(part(2, number(1, size)) for size in shape)
    checksum = varint(6 << 3 | 5) + mask(crc32c(data)).to_bytes(4, "little")
    place = number(3, shard) + number(4, offset) + number(5, len(data))
    return number(1, dtype) + part(2, axes) + place + checksum


def header(shards: int = 1, endianness: int = 0) -> bytes:
    return number(1, shards) + number(2, endianness) + part(3, number(1, 1))


def block(entries: Mapping[bytes, bytes], *, kind: int = 0) -> bytes:
    body, last = b"", b""
    for key, value in sorted(entries.items()):
        shared = next((i for i, (a, b) in enumerate(zip(last, key)) if a != b), 0)
        body += varint(shared) + varint(len(key) - shared) + varint(len(value))
        body += key[shared:] + value
        last = key
    body += bytes(4) + (1).to_bytes(4, "little") + bytes([kind])
    return body + mask(crc32c(body)).to_bytes(4, "little")


def table(entries: Mapping[bytes, bytes], *, kind: int = 0, per_block: int = 3) -> bytes:
    """Several data blocks, so that the index of blocks has more than one line."""
    out, handles = b"", {}
    rows = sorted(entries.items())
    for start in range(0, len(rows), per_block):
        chunk = dict(rows[start : start + per_block])
        written = block(chunk, kind=kind)
        handles[max(chunk)] = varint(len(out)) + varint(len(written) - 5)
        out += written
    footer = b""
    for content in ({}, handles):
        written = block(content)
        footer += varint(len(out)) + varint(len(written) - 5)
        out += written
    return out + footer.ljust(40, b"\0") + MAGIC


def write(prefix: Path, arrays: Mapping[str, np.ndarray]) -> Path:
    """Write arrays into one shard; returns the prefix."""
    data, entries = b"", {b"": header()}
    for name, array in arrays.items():
        octets = array.tobytes()
        code = DTYPES[array.dtype.name]
        entries[name.encode()] = entry(octets, array.shape, code, offset=len(data))
        data += octets
    write_parts(prefix, entries, data)
    return prefix


def write_parts(
    prefix: Path, entries: Mapping[bytes, bytes], *shards: bytes, kind: int = 0
) -> Path:
    prefix.parent.mkdir(parents=True, exist_ok=True)
    prefix.with_name(f"{prefix.name}.index").write_bytes(table(entries, kind=kind))
    for i, data in enumerate(shards):
        name = f"{prefix.name}.data-{i:05}-of-{len(shards):05}"
        prefix.with_name(name).write_bytes(data)
    return prefix
