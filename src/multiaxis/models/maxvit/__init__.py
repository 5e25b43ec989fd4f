"""MaxViT: convolution, block attention and grid attention, for seeing (ECCV 2022, 2204.01697)."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from multiaxis.models.maxvit.config import SMALL_DATA, VARIANTS, MaxViTConfig

if TYPE_CHECKING:
    from multiaxis.models.maxvit.backbone import Backbone
    from multiaxis.models.maxvit.field_of_view import reach
    from multiaxis.models.maxvit.network import MaxViT

__all__ = ["SMALL_DATA", "VARIANTS", "Backbone", "MaxViT", "MaxViTConfig", "reach"]


def __getattr__(name: str) -> Any:  # configurations load without torch
    homes = {"Backbone": "backbone", "MaxViT": "network", "reach": "field_of_view"}
    if name not in homes:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{homes[name]}"), name)
