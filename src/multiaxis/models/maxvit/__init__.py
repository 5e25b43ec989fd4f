"""MaxViT: convolution, block attention and grid attention, for seeing (ECCV 2022, 2204.01697)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from multiaxis.models.maxvit.config import VARIANTS, MaxViTConfig

if TYPE_CHECKING:
    from multiaxis.models.maxvit.network import MaxViT

__all__ = ["VARIANTS", "MaxViT", "MaxViTConfig"]


def __getattr__(name: str) -> Any:  # configurations load without torch
    if name != "MaxViT":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from multiaxis.models.maxvit.network import MaxViT

    return MaxViT
