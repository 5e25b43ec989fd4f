"""Files at addresses are worked on here: brought first, put back last."""

from __future__ import annotations

import secrets
import shutil
import tempfile
import threading
from collections.abc import Generator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from multiaxis.files import remote
from multiaxis.files.address import Remote, Where

_PREFIX = "multiaxis-"
_LOCK = ".lock"


@contextmanager
def open_folder() -> Generator[Path]:
    """Make a temporary folder; remove it at the end, and those of processes that were killed.

    A folder belongs to the process that holds its lock, which the system frees when that dies.
    """
    _clear_left()
    while True:
        with tempfile.TemporaryDirectory(prefix=_PREFIX, ignore_cleanup_errors=True) as name:
            lock = Path(name, _LOCK)
            with FileLock(lock, thread_local=False):  # closed by another thread, perhaps
                if lock.exists():  # else another process cleared it away before it was locked
                    yield lock.parent
                    return


def _clear_left() -> None:
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with suppress(OSError, Timeout):  # another user's, or still in use
            if (folder / _LOCK).exists():  # else nothing says that it is ours
                with FileLock(folder / _LOCK, timeout=0):
                    shutil.rmtree(folder)


class Scratch:
    """A temporary folder, made when it is first needed."""

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._opened = ExitStack()
        self._lock = threading.Lock()

    def __enter__(self) -> Scratch:
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    @contextmanager
    def bring(self, where: Where) -> Generator[Path]:
        """Give a path with the content of an input, for a while.

        Raises
        ------
        ImageError
            If an address does not give it.
        """
        if isinstance(where, Path):
            yield where
            return
        with self.place(where) as path:
            remote.fetch(where, path)
            yield path

    @contextmanager
    def place(self, where: Remote) -> Generator[Path]:
        """Give a free path with the suffix of an address; what is there is removed at the end."""
        with self._lock:  # one file is read while another is written
            if self._folder is None:
                self._folder = self._opened.enter_context(open_folder())
        path = self._folder / f"{secrets.token_hex(8)}{where.suffix}"
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)
