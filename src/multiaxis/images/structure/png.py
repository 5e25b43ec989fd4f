"""The chunks of a PNG file."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

from multiaxis.images.structure.part import Data, Part

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def chunks(data: Data) -> Iterator[Part]:
    """Walk over the chunks of a PNG file in their order, the one that ends it included.

    Parameters
    ----------
    data : bytes or Window
        The whole file; anything else has no chunks.

    Notes
    -----
    Source: PNG, third edition (W3C, 2025), section 5.3. Check sums are left to the decoder.
    """
    at = len(SIGNATURE) if data.startswith(SIGNATURE) else len(data)
    while at + 12 <= len(data):
        inner = at + 8
        inner_end = inner + int.from_bytes(data[at : at + 4], "big")
        if inner_end + 4 > len(data):
            return
        name = data[at + 4 : at + 8].decode("latin-1")
        yield Part(data, name, at, inner_end + 4, inner, inner_end)
        if name == "IEND":
            return
        at = inner_end + 4


def add_chunks(data: bytes, added: Iterable[tuple[str, bytes]]) -> bytes:
    """Return a PNG file with more chunks behind its first one, the header.

    Parameters
    ----------
    data : bytes
        The whole file.
    added : iterable of (str, bytes)
        Names and contents.
    """
    head = next(chunks(data), None)
    if head is None:
        return data
    written = b"".join(chunk_bytes(name, body) for name, body in added)
    return data[: head.end] + written + data[head.end :]


def chunk_bytes(name: str, body: bytes) -> bytes:
    """Make a chunk: length, name, content, check sum."""
    named = name.encode("latin-1") + body
    return len(body).to_bytes(4, "big") + named + zlib.crc32(named).to_bytes(4, "big")
