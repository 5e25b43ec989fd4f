"""Reading files, with a sentence for what the system refuses."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from multiaxis.errors import ImageError
from multiaxis.files.window import Window


def read_bytes(path: Path, name: object = None) -> bytes:
    """Read a file whole, through Python, which knows every name on every system.

    Parameters
    ----------
    path : Path
    name : object, optional
        What a message calls it, where that is not the path.

    Raises
    ------
    ImageError
        If it is missing, no regular file, or may not be read.
    """
    with _refusals(path, path if name is None else name):
        return path.read_bytes()


@contextmanager
def open_window(path: Path, name: object = None) -> Generator[Window]:
    """Open a file of which little is to be read.

    Parameters
    ----------
    path, name
        As of `read_bytes`.

    Raises
    ------
    ImageError
        As `read_bytes`.
    """
    name = path if name is None else name
    with _refusals(path, name):
        file = path.open("rb", buffering=0)
    with file:
        yield Window(file, os.fstat(file.fileno()).st_size, name)


@contextmanager
def _refusals(path: Path, name: object) -> Generator[None]:
    """Turn what the system answers into one sentence; ask it first what is read for ever."""
    try:
        if path.is_dir():
            raise ImageError(f"cannot read {name}: it is a folder; name a file")
        if path.exists() and not path.is_file():
            raise ImageError(f"cannot read {name}: it is a device or pipe, not a regular file")
        yield
    except FileNotFoundError as error:
        raise ImageError(f"cannot read {name}: there is no such file; check the path") from error
    except PermissionError as error:
        raise ImageError(
            f"cannot read {name}: permission denied; make the file readable for this user"
        ) from error
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        reason = getattr(error, "strerror", None) or str(error)
        raise ImageError(f"cannot read {name}: {reason}; name a readable file") from error
