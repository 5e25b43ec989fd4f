"""Pictures in a folder."""

from __future__ import annotations

import os
from pathlib import Path

from multiaxis.errors import ImageError
from multiaxis.images.formats import READABLE_SUFFIXES


def list_pictures(folder: str | os.PathLike[str], *, recursive: bool = False) -> list[Path]:
    """List the pictures of a folder, sorted.

    Parameters
    ----------
    folder : path
    recursive : bool
        Whether folders inside count too.

    Returns
    -------
    list of Path
        Files with a readable suffix. Hidden ones (``.DS_Store``, ``._photo.jpg``), those in
        hidden folders and other junk (``desktop.ini``, ``Thumbs.db``) are left out.

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
        if path.suffix.lower() in READABLE_SUFFIXES
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and path.is_file()
    )
