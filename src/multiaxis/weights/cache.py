"""Where converted checkpoints live on this machine. No tensors here."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

from multiaxis.errors import WeightsError

HOME_VARIABLE = "MULTIAXIS_HOME"
OFFLINE_VARIABLE = "MULTIAXIS_OFFLINE"


def home() -> Path:
    """Return the cache folder: `MULTIAXIS_HOME`, else the platform's place for caches.

    Raises
    ------
    WeightsError
        If nothing says where this user's files are.
    """
    chosen = os.environ.get(HOME_VARIABLE)
    try:
        path = Path(chosen or platformdirs.user_cache_path("multiaxis")).expanduser()
    except (RuntimeError, KeyError) as error:
        raise _homeless() from error
    if path.parts[:1] == ("~",):
        raise _homeless()
    return path


def _homeless() -> WeightsError:
    return WeightsError(
        "there is no folder for the cache: this user has neither HOME nor a home of the system's "
        f"list; set the environment variable {HOME_VARIABLE} to a folder"
    )


def cached_path(name: str) -> Path:
    """Return where the checkpoint of that name lies, or would lie."""
    return home() / "weights" / f"{name}.safetensors"


def is_offline() -> bool:
    """Whether the environment forbids asking any source."""
    return os.environ.get(OFFLINE_VARIABLE, "").lower() not in {"", "0", "false", "no"}
