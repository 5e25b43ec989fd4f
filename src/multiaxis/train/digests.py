"""Digests of a checkpoint's files: a bit that has flipped on a disk is not trained on."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path, PurePath
from typing import Any

_DIGESTS = "digests.json"


def seal(checkpoint: Path) -> None:
    """Write down the sha256 of every file of a folder."""
    found = {
        path.relative_to(checkpoint).as_posix(): _digest(path)
        for path in sorted(checkpoint.rglob("*"))
        if path.is_file() and path.name != _DIGESTS
    }
    (checkpoint / _DIGESTS).write_text(json.dumps(found, indent=1), "utf-8")


def damage(checkpoint: Path) -> str:
    """Say what is wrong with a sealed folder; nothing is loaded for it.

    Returns
    -------
    str
        Empty where each file is what was written. Files that were put there later do not count:
        nothing reads them.
    """
    seals = checkpoint / _DIGESTS
    if not seals.is_file():
        return f"it has no {_DIGESTS}: it is incomplete, or from an early version of multiaxis"
    try:
        stated = _stated(seals)
        for name, digest in stated.items():
            path = checkpoint / name
            if not path.is_file():
                return f"{name} is missing"
            if _digest(path) != digest:
                return f"{name} has changed since it was written"
    except (OSError, ValueError, RecursionError) as error:
        return f"it cannot be checked: {error}"
    return ""


def _stated(seals: Path) -> dict[str, Any]:
    stated = json.loads(seals.read_bytes())
    if not isinstance(stated, dict) or not stated:
        raise ValueError(f"{_DIGESTS} lists no files")
    for name in stated:
        if PurePath(name).is_absolute() or ".." in PurePath(name).parts:
            raise ValueError(f"{_DIGESTS} lists a file elsewhere")
    return stated


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
