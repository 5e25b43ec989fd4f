"""The chunks of a PNG file."""

from __future__ import annotations

from collections.abc import Iterator

from multiaxis.images.structure.part import Part

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def chunks(data: bytes) -> Iterator[Part]:
    """Walk over the chunks of a PNG file in their order, the one that ends it included.

    Parameters
    ----------
    data : bytes
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
