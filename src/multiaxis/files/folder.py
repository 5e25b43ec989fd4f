"""Folders for unfinished files: one process works in each, and those of killed ones are removed."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

_LOCK = ".lock"
_TRIES = 100


@contextmanager
def own_folder(parent: Path, prefix: str) -> Generator[Path]:
    """Make a folder for a while; remove those that killed processes left beside it.

    A folder is in use for as long as its lock is held, which the system frees when a process dies.

    Parameters
    ----------
    parent : Path
        Where it is made.
    prefix : str
        What its name begins with; all of that name are such folders.

    Raises
    ------
    OSError
        If it cannot be made.
    """
    clear_left(parent, prefix)
    folder, lock = _make(parent, prefix)
    try:
        yield folder
    finally:
        lock.release()
        shutil.rmtree(folder, ignore_errors=True)


def clear_left(parent: Path, prefix: str) -> None:
    """Remove the folders that nobody works in any more."""
    with suppress(OSError):
        for folder in list(parent.glob(f"{prefix}*")):
            if not folder.is_symlink() and folder.is_dir():
                _remove(folder)


def _remove(folder: Path) -> None:
    # Where a file system knows no locks, nothing is removed.
    with suppress(OSError, Timeout, NotImplementedError), FileLock(folder / _LOCK, timeout=0):
        shutil.rmtree(folder, ignore_errors=True)


def _make(parent: Path, prefix: str) -> tuple[Path, FileLock]:
    for _ in range(_TRIES):
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        lock = FileLock(folder / _LOCK, thread_local=False)
        with suppress(FileNotFoundError, Timeout):
            with suppress(NotImplementedError):
                lock.acquire(timeout=0)
            # Somebody may have taken it for a left one, and been quicker.
            if not lock.is_locked or (folder / _LOCK).exists():
                return folder, lock
            lock.release()
    raise FileNotFoundError(f"{parent} does not keep what is made in it")
