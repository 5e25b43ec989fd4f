"""The place of an output: tried before the work, and every refusal in a sentence."""

from __future__ import annotations

import errno
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path, PurePath

from multiaxis.errors import ImageError
from multiaxis.files.address import Remote
from multiaxis.files.publish import publish, try_folder

_DENIED = "permission denied, or the folder is read-only; choose a folder that can be written"
_FULL = "the disk is full; free some space, or choose another folder"
_REASONS = {
    errno.ENOENT: "its folder does not exist; make it first",
    errno.ENOTDIR: "its folder is a file; choose a folder",
    errno.EISDIR: "that name is a folder; choose the name of a file",
    errno.EACCES: _DENIED,
    errno.EPERM: _DENIED,
    errno.EROFS: _DENIED,
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.ENAMETOOLONG: "the name is too long for the file system; choose a shorter one",
}


@contextmanager
def refusals(path: PurePath | Remote) -> Generator[None]:
    """Turn what the system answers to writing into one sentence.

    Raises
    ------
    ImageError
    """
    try:
        yield
    except FileExistsError as error:
        raise ImageError(
            f"cannot write {path}: it exists; choose another name, or allow overwriting"
        ) from error
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        number = getattr(error, "errno", None)
        reason = _REASONS.get(number) if number else None
        reason = reason or getattr(error, "strerror", None) or str(error)
        raise ImageError(f"cannot write {path}: {reason}") from error


def check_place(path: Path, *, overwrite: bool) -> None:
    """Find out before the work of encoding what publishing would find out after it.

    Raises
    ------
    ImageError
        Says why not.
    """
    with refusals(path):
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not overwrite and os.path.lexists(path):  # a dangling link is a taken name too
            raise FileExistsError
        path.parent.stat()


def make_folder(folder: Path) -> None:
    """Make a folder for outputs, and those above it.

    Raises
    ------
    ImageError
        Says why not.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ImageError(
            f"cannot create the folder {folder}: {error.strerror}; choose another with -o"
        ) from error


def try_place(path: Path, *, overwrite: bool) -> None:
    """Find out before long work whether a file could be written.

    Raises
    ------
    ImageError
        Says why not.
    """
    check_place(path, overwrite=overwrite)
    with refusals(path):
        try_folder(path.parent)


def put(path: Path, data: bytes, *, overwrite: bool) -> None:
    """Write a file whole under its name; see `publish`.

    Raises
    ------
    ImageError
        Says why not.
    """
    check_place(path, overwrite=overwrite)
    with refusals(path):
        publish(path, data, overwrite=overwrite)
