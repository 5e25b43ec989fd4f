"""Pictures in a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from multiaxis.errors import ImageError
from multiaxis.files.listing import JUNK, list_files
from multiaxis.images.formats import READABLE_SUFFIXES


@dataclass(frozen=True)
class Contents:
    """What a folder and the folders inside it hold.

    Attributes
    ----------
    pictures : list of Path
        What has a readable suffix, sorted: also broken links and pipes, which fail when read.
    others : list of Path
        The rest, without hidden files and junk.
    """

    pictures: list[Path]
    others: list[Path]


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
        Names with a readable suffix that are no folders. Hidden ones (``.DS_Store``,
        ``._photo.jpg``), those in hidden folders and other junk (``desktop.ini``, ``Thumbs.db``)
        are left out.

    Raises
    ------
    ImageError
        If the folder is missing or cannot be listed.
    """
    return list_files(folder, READABLE_SUFFIXES, recursive=recursive)


def walk_pictures(
    folder: str | os.PathLike[str], *, but: str | os.PathLike[str] | None = None
) -> Contents:
    """List all that a folder and the folders inside it hold; nothing vanishes on the way.

    Linked folders are walked, too, but not those that lead back to where they are.

    Parameters
    ----------
    folder : path
    but : path, optional
        A folder that does not belong to it where it lies inside, such as that of the targets.

    Raises
    ------
    ImageError
        If it, or a folder inside, is missing or cannot be listed.
    """
    folder = Path(folder)
    apart = _inside(folder.resolve(), Path(but).resolve()) if but is not None else None
    try:
        found = sorted(_walk(folder, folder / apart if apart else None, frozenset()))
    except OSError as error:
        where = error.filename or folder
        raise ImageError(f"cannot list {where}: {error.strerror}; give a folder") from error
    is_picture = [path.suffix.lower() in READABLE_SUFFIXES for path in found]
    return Contents(
        pictures=[path for path, yes in zip(found, is_picture, strict=True) if yes],
        others=[
            path
            for path, yes in zip(found, is_picture, strict=True)
            if not yes and path.name.lower() not in JUNK
        ],
    )


def _inside(folder: Path, other: Path) -> Path | None:
    return other.relative_to(folder) if folder in other.parents else None


def _walk(folder: Path, but: Path | None, above: frozenset[tuple[int, int]]) -> Iterator[Path]:
    status = folder.stat()
    here = status.st_dev, status.st_ino
    if here in above or folder == but:
        return
    for path in folder.iterdir():
        if path.name.startswith("."):
            continue
        if path.is_dir():
            yield from _walk(path, but, above | {here})
        else:
            yield path
