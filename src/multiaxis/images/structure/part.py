"""One chunk, segment or box: where it lies in the bytes of its file."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Part:
    """A named piece of a file; its bytes are copied only when asked for.

    Attributes
    ----------
    data : bytes
        The whole file.
    name : str
        Such as ``"tEXt"``, ``"APP1"`` or ``"colr"``.
    start, end : int
        Where it starts, header included, and where the next one starts.
    inner, inner_end : int
        Where its content starts and ends, header, check sum and padding excluded.
    """

    data: bytes = field(repr=False)
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
