"""A file of JSON lines that many processes add to, whole lines or none that count."""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from multiaxis.files.parts import lock

_SPECIAL = "it is a folder, device or pipe, not a regular file"


def append_line(path: Path, record: Mapping[str, Any]) -> None:
    """Add a record. A line that somebody could not finish is ended first.

    Raises
    ------
    OSError
        If the line did not get onto the disk whole: what is there of it will not count.
    """
    line = json.dumps(record, ensure_ascii=True).encode() + b"\n"
    handle = _open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
    try:
        lock(handle)  # else a line could be torn between the look at the end and the writing
        size = os.fstat(handle).st_size
        os.lseek(handle, max(size - 1, 0), os.SEEK_SET)
        if size and os.read(handle, 1) != b"\n":
            line = b"\n" + line
        if os.write(handle, line) < len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(handle)
    finally:
        os.close(handle)


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Read the records; lines that are damaged or cut short are left out.

    Raises
    ------
    OSError
        If there is something of that name that cannot be read.
    """
    try:
        handle = _open(path, os.O_RDONLY)
    except FileNotFoundError:
        return []
    with os.fdopen(handle, "rb") as file:
        return parse_lines(file.read())


def parse_lines(data: bytes) -> list[dict[str, Any]]:
    """Give the records of such a file."""
    return [record for record in map(_parse, data.split(b"\n")) if record is not None]


def check_lines(path: Path) -> None:
    """Find out whether records could be added; nothing is made where there is no file yet.

    Raises
    ------
    OSError
        If not.
    """
    try:
        os.close(_open(path, os.O_RDWR | os.O_APPEND))
    except FileNotFoundError:
        return


def _open(path: Path, flags: int) -> int:
    """Open a regular file; a pipe would wait for its other end."""
    try:
        is_special = not stat.S_ISREG(path.stat().st_mode)
    except FileNotFoundError:
        is_special = False
    if is_special:
        raise OSError(errno.EINVAL, _SPECIAL)
    more = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    return os.open(path, flags | more, 0o666)


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None
