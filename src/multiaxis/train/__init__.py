"""Training: one loop for every use, every model and every number of machines.

Recipes are values that load neither torch nor Accelerate; what trains needs the extra ``train``.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from multiaxis.errors import MissingExtraError

if TYPE_CHECKING:
    from multiaxis.train.dry import dry_run
    from multiaxis.train.loop import Outcome, train

_HOMES = {
    "Outcome": "multiaxis.train.loop",
    "dry_run": "multiaxis.train.dry",
    "train": "multiaxis.train.loop",
}

__all__ = ["Outcome", "dry_run", "train"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'multiaxis.train' has no attribute {name!r}")
    try:
        return getattr(importlib.import_module(_HOMES[name]), name)
    except ModuleNotFoundError as error:
        if error.name != "accelerate":
            raise
        raise MissingExtraError(
            "training needs accelerate, which is not installed: pip install 'multiaxis[train]'"
        ) from error
