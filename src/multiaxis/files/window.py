"""A file that is looked into: only what is asked for is read, and it is known what that was."""

from __future__ import annotations

from typing import BinaryIO

from multiaxis.errors import ImageError

_AT_LEAST = 64  # bytes that are read at once: numbers lie beside each other


class Window:
    """An open file as a row of bytes.

    It has what walkers over headers ask of `bytes`: length, slices, `startswith` and `find`.

    Parameters
    ----------
    file : binary file
        Without a buffer; it stays open as long as the window is used.
    size : int
        Its length in bytes. Where the file has become shorter meanwhile, it goes on with zeros.
    name : object
        What messages call it.
    """

    def __init__(self, file: BinaryIO, size: int, name: object) -> None:
        self._file, self._size, self._name = file, size, name
        self._pieces: dict[int, bytes] = {}
        self._last = 0
        self.bytes_read = 0

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, key: slice) -> bytes:
        """Read a slice; steps are none of it.

        Raises
        ------
        ImageError
            If the system does not give it.
        """
        start, stop, _ = key.indices(self._size)
        if stop <= start:
            return b""
        last = self._pieces.get(self._last, b"")
        if not self._last <= start <= stop <= self._last + len(last):
            last = self._read(start, max(stop - start, min(_AT_LEAST, self._size - start)))
        return last[start - self._last : stop - self._last]

    def startswith(self, prefix: bytes | tuple[bytes, ...], start: int = 0, /) -> bool:
        """Compare the bytes at a place, as `bytes` does."""
        longest = max(map(len, prefix)) if isinstance(prefix, tuple) else len(prefix)
        return self[start : start + longest].startswith(prefix)

    def find(self, part: bytes, start: int, end: int, /) -> int:
        """Find bytes between two places, as `bytes` does."""
        found = self[start:end].find(part)
        return found if found < 0 else start + found

    def stand_in(self) -> bytes:
        """Give bytes as many as the file has: what was read stands at its place, others are 0."""
        parts, at = list[bytes](), 0
        for start, piece in sorted(self._pieces.items()):
            fresh = piece[max(0, at - start) :]
            if fresh:
                begin = max(start, at)
                parts += [bytes(begin - at), fresh]
                at = begin + len(fresh)
        return b"".join([*parts, bytes(self._size - at)])

    def _read(self, start: int, length: int) -> bytes:
        parts, left = list[bytes](), length
        try:
            self._file.seek(start)
            while left and (part := self._file.read(left)):  # systems give 2 GB at most at once
                parts.append(part)
                left -= len(part)
        except OSError as error:
            raise ImageError(
                f"cannot read {self._name}: {error.strerror}; name a readable file"
            ) from error
        self.bytes_read += length - left
        found = b"".join([*parts, bytes(left)])
        if length >= len(self._pieces.get(start, b"")):
            self._pieces[start] = found
        self._last = start
        return found
