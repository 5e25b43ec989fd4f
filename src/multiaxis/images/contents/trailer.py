"""What follows the end of a JPEG picture: films, other pictures, a maker's own data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from multiaxis.images.structure import boxes, jpeg_end

_PICTURE = b"\xff\xd8\xff"
_SAMSUNG_END = b"SEFT"
_SAMSUNG_HEAD = b"SEFH"
_FILM_NAME = b"MotionPhoto_Data"

Kind = Literal["picture", "film", "samsung", "unknown"]


@dataclass(frozen=True)
class Piece:
    """One of them.

    Attributes
    ----------
    kind : str
        ``"picture"``, ``"film"``, ``"samsung"`` or ``"unknown"``.
    start, end : int
        Where it lies in the file.
    films, pictures : bool
        Whether a Samsung trailer holds some.
    """

    kind: Kind
    start: int
    end: int
    films: bool = False
    pictures: bool = False


def split_trailer(data: bytes, at: int) -> list[Piece]:
    """Split what follows a picture into its pieces; padding is none.

    Parameters
    ----------
    data : bytes
        The whole file.
    at : int
        Where the picture ends.
    """
    last = _samsung(data, at)
    end = last.start if last else len(data)
    found: list[Piece] = []
    while at < end:
        piece = _piece(data, at, end)
        if piece.kind != "unknown" or data[at : piece.end].strip(b"\0\xff\r\n "):
            found.append(piece)
        at = piece.end
    return [*found, last] if last else found


def _piece(data: bytes, at: int, end: int) -> Piece:
    if data.startswith(_PICTURE, at):
        return Piece("picture", at, min(jpeg_end(data, at), end))
    if data[at + 4 : at + 8] == b"ftyp":
        after = at
        for box in boxes(data, at, end):
            if not (box.name.isascii() and box.name.isprintable()):
                break
            after = box.end
        if after > at:  # what fills the room behind it counts to it, as its offset does
            return Piece("film", at, _next(data, after, end))
    return Piece("unknown", at, _next(data, at + 1, end))


def _next(data: bytes, at: int, end: int) -> int:
    """Find where the next picture or film starts."""
    following = (data.find(_PICTURE, at, end), data.find(b"ftyp", at + 4, end) - 4)
    return min((place for place in following if place >= at), default=end)


def _samsung(data: bytes, at: int) -> Piece | None:
    """Find Samsung's trailer, which is read from its end.

    Notes
    -----
    Its directory lies behind its blocks: a mark, a version, a count, and for each block its type,
    how far before the mark it starts, and its length; then the length of the directory.
    """
    if not data.endswith(_SAMSUNG_END) or len(data) < at + 20:
        return None
    head = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    if head < at or not data.startswith(_SAMSUNG_HEAD, head):
        return None
    count = min(int.from_bytes(data[head + 8 : head + 12], "little"), (len(data) - head - 20) // 12)
    start, films, pictures = head, False, False
    for row in range(head + 12, head + 12 + 12 * count, 12):
        place = head - int.from_bytes(data[row + 4 : row + 8], "little")
        length = int.from_bytes(data[row + 8 : row + 12], "little")
        if place < at or place + length > head:
            return None
        start = min(start, place)
        # Type, length of the name, name, content.
        name_end = place + 8 + int.from_bytes(data[place + 4 : place + 8], "little")
        films |= data[place + 8 : min(name_end, place + 64)] == _FILM_NAME
        pictures |= data.startswith(_PICTURE, name_end) and name_end < place + length
    return Piece("samsung", start, len(data), films, pictures)
