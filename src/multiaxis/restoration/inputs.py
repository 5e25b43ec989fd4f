"""From words to files: folders and patterns become the pictures that they hold."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from multiaxis.errors import ImageError
from multiaxis.images import READABLE_SUFFIXES, list_pictures
from multiaxis.images.formats import READABLE_NAMES

_JUNK = {"desktop.ini", "thumbs.db"}


@dataclass(frozen=True)
class Inputs:
    """What the words stand for.

    Attributes
    ----------
    paths : tuple of Path
        Each file once, in order.
    places : dict of Path to Path
        Where each lies in the folder that was named; only its own name for a file.
    refused : tuple of (Path, str)
        Words that stand for nothing, and why.
    others : tuple of Path
        Files in folders that are of no kind that is read.
    earlier : tuple of Path
        Outputs of an earlier run, left out.
    """

    paths: tuple[Path, ...]
    places: dict[Path, Path]
    refused: tuple[tuple[Path, str], ...]
    others: tuple[Path, ...]
    earlier: tuple[Path, ...]


def find_inputs(
    words: Sequence[str],
    suffix: str | None,
    *,
    recursive: bool = False,
    without: Path | None = None,
) -> Inputs:
    """Find the files that words stand for.

    Parameters
    ----------
    words : sequence of str
        Files, folders and shell patterns.
    suffix : str or None
        What outputs beside their inputs have appended to their names; None where outputs lie
        elsewhere.
    recursive : bool
        Whether folders inside folders count too.
    without : Path, optional
        A folder whose files are left out: the outputs', where it lies among the inputs.
    """
    paths: dict[Path, Path] = {}
    outside = None if without is None else os.path.realpath(without)
    others: dict[Path, None] = {}
    earlier: dict[Path, None] = {}
    refused: list[tuple[Path, str]] = []
    for word in words:
        try:
            found, foreign = _expand(word, recursive=recursive)
        except ImageError as error:
            refused.append((Path(word), str(error)))
            continue
        except (OSError, ValueError) as error:  # ValueError: a null character in the name
            reason = getattr(error, "strerror", None) or str(error)
            refused.append((Path(word), f"cannot look up {word}: {reason}; check the name"))
            continue
        outputs = _outputs(found, suffix) if suffix and found != [Path(word)] else []
        earlier.update(dict.fromkeys(outputs))
        others.update(dict.fromkeys(foreign))
        root = Path(word)
        for path in found:
            if path in earlier or (path != root and outside and _lies_in(path, outside)):
                continue
            place = path.relative_to(root) if path != root and root.is_dir() else Path(path.name)
            paths.setdefault(path, place)
    return Inputs(tuple(paths), paths, tuple(refused), tuple(others), tuple(earlier))


def _lies_in(path: Path, folder: str) -> bool:
    return os.path.realpath(path).startswith(folder + os.sep)


def _expand(word: str, *, recursive: bool) -> tuple[list[Path], list[Path]]:
    """Return the pictures that a word stands for, and the files beside them of other kinds."""
    if not word:
        raise ImageError("an input is empty: name a file, a folder or a pattern")
    path = Path(word)
    found, others = [path], list[Path]()
    if path.is_dir():
        found, others = list_pictures(path, recursive=recursive), _others(path)
    elif not path.exists() and glob.has_magic(word):
        matches = map(Path, glob.iglob(word, recursive=True))  # noqa: PTH207 (absolute too)
        found = sorted(match for match in matches if match.is_file())
    if not found:
        hint = "" if recursive or not path.is_dir() else "; add --recursive for folders inside it"
        raise ImageError(f"{path} holds no pictures to restore ({READABLE_NAMES}){hint}")
    return found, others


def _others(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() not in READABLE_SUFFIXES
        and not path.name.startswith(".")
        and path.name.lower() not in _JUNK
        and path.is_file()
    )


def _outputs(paths: list[Path], suffix: str) -> list[Path]:
    """Pick out what an earlier run wrote beside its input."""
    present = {(path.parent, path.stem) for path in paths}

    def is_output(path: Path) -> bool:
        source = path.parent, path.stem.removesuffix(suffix)
        return path.stem.endswith(suffix) and source in present

    return [path for path in paths if is_output(path)]
