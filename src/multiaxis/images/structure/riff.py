"""The chunks of a RIFF file, as WebP is one."""

from __future__ import annotations

from collections.abc import Iterator

from multiaxis.images.structure.part import Data, Part


def riff_chunks(data: Data, start: int = 12, end: int | None = None) -> Iterator[Part]:
    """Walk over the chunks of a RIFF file in their order.

    Parameters
    ----------
    data : bytes or Window
        The whole file; anything else has no chunks.
    start, end : int, optional
        Where the chunks lie, for those inside another chunk; by default the file's own.

    Notes
    -----
    Source: RFC 9649, section 2.3. A chunk of odd length is followed by a byte of padding.
    """
    if not data.startswith(b"RIFF"):
        return
    declared = 8 + int.from_bytes(data[4:8], "little")
    end = min(len(data), declared if end is None else end)
    at = start
    while at + 8 <= end:
        inner = at + 8
        inner_end = inner + int.from_bytes(data[at + 4 : at + 8], "little")
        if inner_end > end:
            return
        after = inner_end + inner_end % 2
        yield Part(data, data[at : at + 4].decode("latin-1"), at, after, inner, inner_end)
        at = after
