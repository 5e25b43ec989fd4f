"""The extensions of a GIF file: comments, application data, times."""

from __future__ import annotations

from collections.abc import Iterator

from multiaxis.images.structure.part import Part

_EXTENSION, _FRAME = 0x21, 0x2C
_NAMES = {0xFE: "comment", 0xFF: "application", 0xF9: "control", 0x01: "text"}


def extensions(data: bytes) -> Iterator[Part]:
    """Walk over the extensions of a GIF file in their order.

    Parameters
    ----------
    data : bytes
        The whole file; anything else has no extensions.

    Notes
    -----
    Source: GIF89a specification, sections 18 to 26. The content is a row of blocks, each behind
    its length.
    """
    if not data.startswith((b"GIF87a", b"GIF89a")) or len(data) < 13:
        return
    at = 13 + _table(data[10])
    while at + 10 < len(data):
        if data[at] == _EXTENSION:
            end = _behind_blocks(data, at + 2)
            yield Part(data, _NAMES.get(data[at + 1], "unknown"), at, end, at + 2, end)
            at = end
        elif data[at] == _FRAME:
            at = _behind_blocks(data, at + 10 + _table(data[at + 9]) + 1)
        else:
            return


def gif_note(data: bytes) -> str:
    """Say what a GIF file holds beside its frames, and no other format takes."""
    parts = list(extensions(data))
    comment = any(part.name == "comment" for part in parts)
    xmp = any(part.name == "application" and part.body[1:9] == b"XMP Data" for part in parts)
    named = [name for name, found in (("comment", comment), ("XMP", xmp)) if found]
    return (
        f"its {' and '.join(named)} {'are' if len(named) > 1 else 'is'} not kept" if named else ""
    )


def _table(packed: int) -> int:
    return 3 << ((packed & 7) + 1) if packed & 0x80 else 0


def _behind_blocks(data: bytes, at: int) -> int:
    while at < len(data) and data[at]:
        at += 1 + data[at]
    return min(at + 1, len(data))
