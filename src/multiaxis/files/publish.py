"""Putting bytes under a name, all of them or none."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from multiaxis.files.parts import new_part

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
    with new_part(path.parent) as part:
        part.write(data)
        if overwrite:
            part.path.replace(path)
        else:
            claim(part.path, path)


def try_folder(folder: Path) -> None:
    """Write an empty file and remove it: what rights promise is not always what is done.

    Raises
    ------
    OSError
        Whatever the system answers.
    """
    try:
        with new_part(folder) as part:
            part.write(b"")
    except FileNotFoundError as error:
        if not folder.is_dir():
            raise
        # The folder is there and takes no files: /proc, for one, answers so.
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES)) from error


def claim(temporary: Path, path: Path) -> None:
    """Move to a free name; a link fails where the name is taken, and a rename would not.

    Raises
    ------
    FileExistsError
        If the name is taken.
    OSError
        Whatever the system answers.
    """
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
