"""One process at a time: a file that is locked while something is in work."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Generator
from pathlib import Path

from filelock import FileLock, Timeout


@contextlib.contextmanager
def hold(path: Path) -> Generator[None]:
    """Hold a lock file, and remove it at the end.

    The system frees the lock when its process dies, so a file that is left says nothing.

    Raises
    ------
    TimeoutError
        If another process holds it.
    OSError
        If it cannot be made.
    """
    lock = FileLock(path, timeout=0, thread_local=False)
    while True:
        try:
            lock.acquire()
        except Timeout as error:
            if path.exists():
                raise TimeoutError(str(path)) from error
            path.touch()  # what cannot be made looks held, too: this says why
            continue
        if path.exists():
            break
        lock.release()  # its last holder removed it in between: that one locks nobody out
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            path.unlink()  # while it is held, so that nobody else's is removed
        lock.release()
        if os.name == "nt":  # which removes no open files, and none that another has opened
            with contextlib.suppress(OSError):
                path.unlink()


def is_free(path: Path) -> bool:
    """Tell whether no process holds a lock file; one that is left behind is removed."""
    try:
        with hold(path):
            return True
    except OSError:  # TimeoutError is one
        return False
