"""Names of files as their file system tells them apart."""

from __future__ import annotations

import functools
import unicodedata
from pathlib import Path


def fold_name(path: Path) -> str:
    """Give one text for all names of a file that its file system takes for one.

    Parameters
    ----------
    path : Path
        Absolute, without links.
    """
    folder = next((parent for parent in path.parents if parent.exists()), path.parent)
    if not _ignores_case(folder):
        return str(path)
    return unicodedata.normalize("NFC", str(path)).casefold()


@functools.lru_cache(maxsize=4096)
def _ignores_case(folder: Path) -> bool:
    """Tell whether the file system of a folder takes names that differ in case for one."""
    for place in (folder, *folder.parents):
        other = place.with_name(place.name.swapcase()) if place.name else place
        if other != place:
            try:
                return other.samefile(place)
            except OSError:
                return False
    return False
