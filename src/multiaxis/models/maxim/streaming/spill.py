"""Maps in files, for pictures whose maps do not fit into memory."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from math import prod
from pathlib import Path

import torch
from torch import Tensor

from multiaxis.errors import ImageError


def file_backed(folder: Path, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """Make a tensor that lies in a file; the kernel keeps in memory what it can.

    The file has no name any more once the tensor exists, so nothing is left lying whatever becomes
    of the process.

    Raises
    ------
    ImageError
        If the folder cannot be written to or is full.
    """
    count = prod(shape)
    size = count * dtype.itemsize
    try:
        handle, name = tempfile.mkstemp(prefix="multiaxis-", suffix=".map", dir=folder)
    except OSError as error:
        raise ImageError(
            f"cannot write to the spill folder {folder}: {error.strerror}; choose another"
        ) from error
    try:
        _reserve(handle, size)
        flat = torch.from_file(name, shared=True, size=count, dtype=dtype)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise ImageError(
            f"the spill folder {folder} is full: {size / 1e9:.1f} GB more are needed now; choose "
            "another, or make room"
        ) from error
    finally:
        os.close(handle)
        with contextlib.suppress(PermissionError):  # Windows keeps mapped files
            Path(name).unlink()
    return flat.view(shape)


def _reserve(handle: int, size: int) -> None:
    """Take the space now: a full disk behind a mapped file would kill the process later."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(handle, 0, size)
        return
    os.truncate(handle, size)
