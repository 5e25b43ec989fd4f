"""Block and grid mixing and attention for any number of spatial axes; channels come last."""

from multiaxis.axis.attention import BlockAttention, GridAttention, WindowAttention
from multiaxis.axis.causal import CausalAttention
from multiaxis.axis.causal_state import CausalState
from multiaxis.axis.cross import CrossGating, GatingWeights
from multiaxis.axis.gating import GatedMlp, MultiAxisGatedMlp, TokenMixing
from multiaxis.axis.partition import block, grid, unblock, ungrid
from multiaxis.axis.relative import RelativeBias, resize_table

__all__ = [
    "BlockAttention",
    "CausalAttention",
    "CausalState",
    "CrossGating",
    "GatedMlp",
    "GatingWeights",
    "GridAttention",
    "MultiAxisGatedMlp",
    "RelativeBias",
    "TokenMixing",
    "WindowAttention",
    "block",
    "grid",
    "resize_table",
    "unblock",
    "ungrid",
]
