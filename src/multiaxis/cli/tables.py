"""Tables of scores: where they go."""

from __future__ import annotations

import os
from pathlib import Path

from multiaxis.errors import ConfigError
from multiaxis.files.publish import try_folder


def prepare_tables(folder: Path, tables: list[Path], *, overwrite: bool) -> None:
    """Make the folder for the tables, and find out before the work whether it takes them."""
    for path in tables:
        if os.path.lexists(path) and not overwrite:
            raise ConfigError(f"the table {path} exists: pass --overwrite, or --csv FOLDER")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try_folder(folder)
    except OSError as error:
        raise ConfigError(
            f"cannot write tables into {folder}: {error.strerror}; name another folder with --csv"
        ) from error
