"""MAXIM: multi-axis gated MLPs in a U-Net, for restoring pictures (CVPR 2022, 2201.02973)."""

from multiaxis.models.maxim.config import VARIANTS, MaximConfig
from multiaxis.models.maxim.network import Maxim

__all__ = ["VARIANTS", "Maxim", "MaximConfig"]
