"""What a file may ask for: every number that it states is compared with the bytes that are there.

Files come from anywhere, and a header of a few bytes can state terabytes. So nothing is allocated
for a number that these functions have not seen, and `readable` is the one place where whatever a
parser raises on hostile bytes becomes a sentence.
"""

from __future__ import annotations

import math
import mmap
import os
import stat
import zipfile
import zlib
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from multiaxis.errors import MultiaxisError, WeightsError

MOST_ARRAYS = 50_000
"""In a file. The largest published checkpoint with its optimiser has some 6,000."""
MOST_AXES = 32
MOST_NAME = 1000
"""Characters of an array's name."""

_SMALL = 64 << 20
_RATIO = 32
_LONGEST = 1500  # characters of a message: three lines of a wide terminal, and a long path
_QUOTED = 200
_TELLING = (ValueError, zlib.error, zipfile.BadZipFile, EOFError)  # errors whose words suffice


def unpacked_limit(size: int) -> int:
    """Give the bytes that a file of that size may unpack to.

    Trained parameters hardly compress. Repetition beyond this is a bomb: archives whose entries are
    all zeros, tensors that show the same numbers a thousand times.
    """
    return max(_SMALL, _RATIO * size)


def check_array(name: object, shape: Sequence[object], itemsize: int, available: int) -> int:
    """Compare an array's stated shape with the bytes that are there for it.

    Returns
    -------
    int
        The bytes that it takes.

    Raises
    ------
    ValueError
        If it cannot be.
    """
    if not isinstance(name, str) or len(name) > MOST_NAME:
        raise ValueError(f"an array has the name {quoted(name)}")
    if len(shape) > MOST_AXES:
        raise ValueError(f"{quoted(name)} has {len(shape)} axes, more than {MOST_AXES}")
    sides: list[int] = []
    for side in shape:
        if isinstance(side, bool) or not isinstance(side, int) or not 0 <= side < 1 << 48:
            raise ValueError(f"{quoted(name)} has the shape {quoted(shape)}, which cannot be")
        sides.append(side)
    # Zeros count as ones: no library takes an endless axis beside an empty one.
    if math.prod(side or 1 for side in sides) * itemsize > available and 0 not in sides:
        raise ValueError(
            f"{quoted(name)} of the shape {quoted(tuple(sides))} takes more than the {available} "
            "bytes that are there, which cannot be"
        )
    if math.prod(side or 1 for side in sides) >= 1 << 48:
        raise ValueError(f"{quoted(name)} has the shape {quoted(tuple(sides))}, which cannot be")
    return math.prod(sides) * itemsize


def check_count(count: int) -> None:
    """Refuse more arrays than any model has.

    Raises
    ------
    ValueError
        If there are.
    """
    if count > MOST_ARRAYS:
        raise ValueError(f"it has {count} entries, and no checkpoint has more than {MOST_ARRAYS}")


def open_regular(path: Path) -> BinaryIO:
    """Open a file that ends; devices and pipes would be read for ever.

    Raises
    ------
    WeightsError
        If it is another kind of thing.
    OSError
        If it cannot be opened.
    """
    # A pipe without a writer makes a plain open wait for one.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    handle = os.open(path, flags)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise WeightsError(f"{path} is not a regular file: accepted are files and folders of files")
    return os.fdopen(handle, "rb")


def read_regular(path: Path, most: int) -> bytes:
    """Read a whole file that is to be small.

    Raises
    ------
    ValueError
        If it is larger.
    WeightsError
        If it is no regular file.
    """
    with open_regular(path) as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise ValueError(f"{path.name} is larger than {most} bytes")
    return data


def map_regular(path: Path) -> memoryview:
    """Map a file into memory; what is changed there never reaches the file."""
    with open_regular(path) as file:
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY))


@contextmanager
def readable(
    path: Path, what: str = "a readable checkpoint", remedy: str = "fetch it again"
) -> Generator[None]:
    """Turn whatever is raised inside into one sentence about a file.

    Parameters
    ----------
    path : Path
        The file, for the message.
    what : str
        What it should be, with its article.
    remedy : str
        What to do if it is not.

    Raises
    ------
    WeightsError
        For anything that is raised, of at most three lines. Other errors of ours pass as they are.
    """
    try:
        yield
    except WeightsError as error:
        text = str(error)
        if type(error) is WeightsError and shortened(text) != text:
            raise WeightsError(shortened(text)) from error
        raise
    except MultiaxisError:
        raise
    except Exception as error:  # parsers fail in any way on bytes that somebody chose
        raise WeightsError(shortened(_sentence(path, what, remedy, error))) from error


def _sentence(path: Path, what: str, remedy: str, error: Exception) -> str:
    text = next(iter(str(error).strip().splitlines()), "")
    if isinstance(error, OSError) and error.strerror:
        return f"cannot read {path}: {error.strerror}"
    if isinstance(error, MemoryError) or "can't allocate memory" in text:
        return f"there is not enough memory to read {path}: close other programs, or {remedy}"
    known = isinstance(error, _TELLING) and not isinstance(error, UnicodeError)
    reason = text if known and text else f"{type(error).__name__}: {text}".removesuffix(": ")
    return f"{path} is not {what} ({reason[:_QUOTED]}): {remedy}"


def shortened(text: str) -> str:
    """Put a message into one line that can be read at a glance."""
    line = " ".join(text.split("\n")).replace("\r", " ")
    half = _LONGEST // 2
    return line if len(line) <= _LONGEST else f"{line[:half]} ... {line[-half:]}"


def quoted(value: Any) -> str:
    """Show a value of a file, however long or deep it is."""
    if isinstance(value, tuple | list):
        shown = ", ".join(quoted(part) if _is_plain(part) else "..." for part in value[:8])
        more = ", ..." if len(value) > 8 else "," if len(value) == 1 else ""
        return f"({shown}{more})"
    if not _is_plain(value):
        return type(value).__name__
    if isinstance(value, int) and abs(value) >= 1 << 64:
        return "a number of more than 64 bits"
    text = repr(value[:_QUOTED] if isinstance(value, str | bytes) else value)
    return text if len(text) <= _QUOTED else f"{text[:_QUOTED]}..."


def _is_plain(value: object) -> bool:
    return value is None or isinstance(value, str | bytes | int | float)
