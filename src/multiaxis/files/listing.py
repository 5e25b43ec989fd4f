"""Files in a folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from multiaxis.errors import ImageError

OnError = Callable[[OSError], None]

JUNK = {"desktop.ini", "thumbs.db"}
"""What systems leave in folders, lower case."""


def list_files(
    folder: str | os.PathLike[str],
    suffixes: Collection[str] | None,
    *,
    recursive: bool = False,
    on_error: OnError | None = None,
) -> list[Path]:
    """List the files of a folder, sorted.

    Parameters
    ----------
    folder : path
    suffixes : collection of str or None
        Lower case, with the dot; None takes all.
    recursive : bool
        Whether folders inside count too; linked ones do not.
    on_error : callable, optional
        Receives the error of a folder inside that cannot be listed, and the rest is listed. By
        default it is raised.

    Returns
    -------
    list of Path
        Hidden ones (``.DS_Store``, ``._photo.jpg``), those in hidden folders and other junk
        (``desktop.ini``, ``Thumbs.db``) are left out.

    Raises
    ------
    ImageError
        If the folder is missing or cannot be listed.
    """
    folder = Path(folder)
    try:
        next(folder.iterdir(), None)
        return sorted(
            path
            for path in _walk(folder, on_error or _raise, recursive=recursive)
            if (suffixes is None or path.suffix.lower() in suffixes)
            and not path.name.startswith(".")
            and path.name.lower() not in JUNK
        )
    except OSError as error:
        where = error.filename or folder
        raise ImageError(f"cannot list {where}: {error.strerror}; give a folder") from error


def _walk(folder: Path, on_error: OnError, *, recursive: bool) -> Iterator[Path]:
    """Yield what is no folder: also links that lead nowhere, which are told when they are read."""
    for place, inside, names in os.walk(folder, onerror=on_error):
        yield from (Path(place, name) for name in names)
        inside[:] = [name for name in inside if recursive and not name.startswith(".")]


def _raise(error: OSError) -> None:
    raise error
