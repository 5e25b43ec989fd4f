"""Files in a folder."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

from multiaxis.errors import ImageError

JUNK = {"desktop.ini", "thumbs.db"}
"""What systems leave in folders, lower case."""


def list_files(
    folder: str | os.PathLike[str], suffixes: Collection[str] | None, *, recursive: bool = False
) -> list[Path]:
    """List the files of a folder, sorted.

    Parameters
    ----------
    folder : path
    suffixes : collection of str or None
        Lower case, with the dot; None takes all.
    recursive : bool
        Whether folders inside count too.

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
        next(folder.iterdir(), None)  # rglob would answer "nothing" instead of failing
        found = list(folder.rglob("*") if recursive else folder.iterdir())
    except OSError as error:
        raise ImageError(f"cannot list {folder}: {error.strerror}; give a folder") from error
    return sorted(
        path
        for path in found
        if (suffixes is None or path.suffix.lower() in suffixes)
        and path.name.lower() not in JUNK
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and not path.is_dir()  # links that lead nowhere are told when they are read
    )
