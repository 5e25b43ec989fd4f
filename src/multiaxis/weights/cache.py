"""Where converted checkpoints live on this machine. No tensors here."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

HOME_VARIABLE = "MULTIAXIS_HOME"


def home() -> Path:
    """Return the cache folder: `MULTIAXIS_HOME`, else the platform's place for caches."""
    chosen = os.environ.get(HOME_VARIABLE)
    return Path(chosen).expanduser() if chosen else platformdirs.user_cache_path("multiaxis")


def cached_path(name: str) -> Path:
    """Return where the checkpoint of that name lies, or would lie."""
    return home() / "weights" / f"{name}.safetensors"
