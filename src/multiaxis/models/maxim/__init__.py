"""MAXIM: multi-axis gated MLPs in a U-Net, for restoring pictures (CVPR 2022, 2201.02973)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from multiaxis.models.maxim.config import VARIANTS, MaximConfig

if TYPE_CHECKING:
    from multiaxis.models.maxim.network import Maxim

__all__ = ["VARIANTS", "Maxim", "MaximConfig"]


def __getattr__(name: str) -> Any:  # configurations load without torch
    if name != "Maxim":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from multiaxis.models.maxim.network import Maxim

    return Maxim
