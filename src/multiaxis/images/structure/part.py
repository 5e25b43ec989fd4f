"""One chunk, segment or box: where it lies in the bytes of its file."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol


class Data(Protocol):
    """What is asked of a file: `bytes` have it, and so has a window over an open file."""

    def __len__(self) -> int: ...

    def __getitem__(self, key: slice, /) -> bytes: ...

    def startswith(self, prefix: bytes | tuple[bytes, ...], start: int = ..., /) -> bool:
        """Compare the bytes at a place."""
        ...

    def find(self, part: bytes, start: int, end: int, /) -> int:
        """Find bytes between two places."""
        ...


@dataclass(frozen=True)
class Part:
    """A named piece of a file; its bytes are copied only when asked for.

    Attributes
    ----------
    data : bytes or Window
        The whole file.
    name : str
        Such as ``"tEXt"``, ``"APP1"`` or ``"colr"``.
    start, end : int
        Where it starts, header included, and where the next one starts.
    inner, inner_end : int
        Where its content starts and ends, header, check sum and padding excluded.
    """

    data: Data = field(repr=False)
    name: str
    start: int
    end: int
    inner: int
    inner_end: int

    @property
    def size(self) -> int:
        """Bytes of the content."""
        return self.inner_end - self.inner

    @property
    def body(self) -> bytes:
        """The content."""
        return self.data[self.inner : self.inner_end]

    @property
    def whole(self) -> bytes:
        """The piece as it stands in the file."""
        return self.data[self.start : self.end]
