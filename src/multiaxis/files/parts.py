"""Files on their way to a name. Each is locked by who writes it, which tells it from a stray one.

The system frees a lock when its process ends, however that ends: no clock and no process number has
to be trusted. Windows needs no lock, since it does not remove what is open.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

if sys.platform != "win32":
    import fcntl

_NAME = re.compile(r"\.[0-9a-f]{16}\.part")
_tidied: set[str] = set()
"""Folders that this process has looked into."""


class Part:
    """A file without its name yet.

    Attributes
    ----------
    path : Path
        A hidden name of its own: the wanted one may already be as long as a name can be.
    """

    def __init__(self, path: Path, handle: int) -> None:
        self.path, self._handle = path, handle
        self._is_open = True

    def write(self, data: bytes) -> None:
        """Write all of it, and wait until it is on the disk."""
        with os.fdopen(self._handle, "wb", closefd=False) as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if sys.platform == "win32":  # what is open cannot be given another name
            self.close()

    def close(self) -> None:
        """Let go of the file, and with it of the lock."""
        if self._is_open:
            self._is_open = False
            os.close(self._handle)


@contextmanager
def new_part(folder: Path) -> Generator[Part]:
    """Make an empty file, locked until it is removed or has got another name.

    What killed processes left in the folder goes the first time that this process uses it.

    Raises
    ------
    OSError
        Whatever the system answers.
    """
    if str(folder) not in _tidied:
        _tidied.add(str(folder))
        clear_parts(folder)
    part = _make(folder)
    try:
        yield part
    finally:
        if sys.platform == "win32":
            part.close()
        with contextlib.suppress(OSError):
            part.path.unlink()
        part.close()


def clear_parts(folder: Path) -> None:
    """Remove the files that nobody writes any more. Tidying up never fails."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if _NAME.fullmatch(entry.name):
                with contextlib.suppress(OSError):  # in use, or another user's
                    _remove(entry.path)


def _make(folder: Path) -> Part:
    # 0o666 leaves the final rights to the umask, as for any new file.
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    while True:
        path = folder / f".{secrets.token_hex(8)}.part"
        handle = os.open(path, flags, 0o666)
        lock(handle)
        if os.fstat(handle).st_nlink:
            return Part(path, handle)
        os.close(handle)  # somebody tidied up between the two steps


def lock(handle: int) -> None:
    """Lock an open file against others that do, where the file system knows locks."""
    if sys.platform != "win32":
        with contextlib.suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX)


def _remove(path: str) -> None:
    if sys.platform == "win32":
        Path(path).unlink()
        return
    handle = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_NOFOLLOW)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        Path(path).unlink()
    finally:
        os.close(handle)
