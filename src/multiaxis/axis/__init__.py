"""Block and grid mixing for any number of spatial dimensions; tensors are channels last."""

from multiaxis.axis.cross import CrossGating, GatingWeights
from multiaxis.axis.gating import GatedMlp, MultiAxisGatedMlp, TokenMixing
from multiaxis.axis.partition import block, grid, unblock, ungrid

__all__ = [
    "CrossGating",
    "GatedMlp",
    "GatingWeights",
    "MultiAxisGatedMlp",
    "TokenMixing",
    "block",
    "grid",
    "unblock",
    "ungrid",
]
