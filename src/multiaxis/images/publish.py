"""Putting bytes under a name, all of them or none."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from pathlib import Path

# What systems answer that have no hard links (FAT, some network folders).
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}


def publish(path: Path, data: bytes, *, overwrite: bool) -> None:
    """Write a file so that no other program, and no crash, ever sees a part of it.

    Parameters
    ----------
    path : Path
        Its folder must exist.
    data : bytes
        The whole content.
    overwrite : bool
        Whether a file of that name gives way. If not, also one that appears meanwhile stays.

    Raises
    ------
    FileExistsError
        If the name is taken and `overwrite` is false.
    OSError
        Whatever the system answers; nothing is left behind.
    """
    # A short name of its own: the wanted one may already be as long as a name can be.
    temporary = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        _write(temporary, data)
        if overwrite:
            temporary.replace(path)
        else:
            _claim(temporary, path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def try_folder(folder: Path) -> None:
    """Write an empty file and remove it: what rights promise is not always what is done.

    Raises
    ------
    OSError
        Whatever the system answers.
    """
    temporary = folder / f".{secrets.token_hex(8)}.part"
    try:
        _write(temporary, b"")
    except FileNotFoundError as error:
        if not folder.is_dir():
            raise
        # The folder is there and takes no files: /proc, for one, answers so.
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES)) from error
    temporary.unlink()


def _write(path: Path, data: bytes) -> None:
    # 0o666 leaves the final rights to the umask, as for any new file.
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    with os.fdopen(os.open(path, flags, 0o666), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _claim(temporary: Path, path: Path) -> None:
    """Move to a free name; a link fails where the name is taken, and a rename would not."""
    try:
        os.link(temporary, path)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        try:
            temporary.replace(path)
        except OSError:
            path.unlink()
            raise
