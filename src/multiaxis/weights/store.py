"""Whether converted checkpoints are whole, and what killed writers left of them."""

from __future__ import annotations

import glob
from contextlib import suppress
from pathlib import Path

from multiaxis.errors import WeightsError
from multiaxis.models.store import (
    StoreError,
    digest,
    read_metadata_of,
    read_safetensors,
    readable_safetensors,
    write_safetensors,
)

__all__ = [
    "StoreError",
    "clear_parts",
    "digest",
    "intact_digest",
    "is_intact",
    "read_metadata_of",
    "read_safetensors",
    "write_safetensors",
]


def is_intact(path: Path) -> bool:
    """Whether a written file still holds what was written."""
    return intact_digest(path) is not None


def intact_digest(path: Path) -> str | None:
    """Give the digest of a written file that still holds what was written; else None."""
    try:
        tensors, metadata = read_safetensors(path)
        with readable_safetensors(path):
            found = digest(tensors)
    except WeightsError:
        return None
    return found if metadata.get("digest") == found else None


def clear_parts(path: Path) -> None:
    """Remove what killed writers left of this file before there were folders with locks."""
    for old in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
        with suppress(OSError):
            old.unlink()
