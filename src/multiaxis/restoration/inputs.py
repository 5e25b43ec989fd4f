"""From words to files: folders and patterns become the pictures that they hold."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from multiaxis.errors import ImageError
from multiaxis.images import READABLE_SUFFIXES, list_pictures

_JUNK = {"desktop.ini", "thumbs.db"}


@dataclass(frozen=True)
class Inputs:
    """What the words stand for.

    Attributes
    ----------
    paths : tuple of Path
        Each file once, in order.
    refused : tuple of (Path, str)
        Words that stand for nothing, and why.
    others : tuple of Path
        Files in folders that are of no kind that is read.
    earlier : tuple of Path
        Outputs of an earlier run, left out.
    """

    paths: tuple[Path, ...]
    refused: tuple[tuple[Path, str], ...]
    others: tuple[Path, ...]
    earlier: tuple[Path, ...]


def find_inputs(words: Sequence[str], suffix: str | None) -> Inputs:
    """Find the files that words stand for.

    Parameters
    ----------
    words : sequence of str
        Files, folders and shell patterns.
    suffix : str or None
        What outputs beside their inputs have appended to their names; None where outputs lie
        elsewhere.
    """
    paths: dict[Path, None] = {}
    others: dict[Path, None] = {}
    earlier: dict[Path, None] = {}
    refused: list[tuple[Path, str]] = []
    for word in words:
        try:
            found, foreign = _expand(word)
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
        paths.update(dict.fromkeys(path for path in found if path not in set(outputs)))
    return Inputs(tuple(paths), tuple(refused), tuple(others), tuple(earlier))


def _expand(word: str) -> tuple[list[Path], list[Path]]:
    """Return the pictures that a word stands for, and the files beside them of other kinds."""
    if not word:
        raise ImageError("an input is empty: name a file, a folder or a pattern")
    path = Path(word)
    found, others = [path], list[Path]()
    if path.is_dir():
        found, others = list_pictures(path), _others(path)
    elif not path.exists() and glob.has_magic(word):
        matches = map(Path, glob.iglob(word, recursive=True))  # noqa: PTH207 (absolute too)
        found = sorted(match for match in matches if match.is_file())
    if not found:
        kinds = " ".join(sorted(READABLE_SUFFIXES))
        raise ImageError(f"{path} holds no pictures to restore ({kinds})")
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
    present = set(paths)

    def is_output(path: Path) -> bool:
        return path.stem.endswith(suffix) and (
            path.with_name(path.stem.removesuffix(suffix) + path.suffix) in present
        )

    return [path for path in paths if is_output(path)]
