"""MaxViT: convolution, block attention and grid attention, for seeing (ECCV 2022, 2204.01697)."""

from multiaxis.models.maxvit.config import VARIANTS, MaxViTConfig
from multiaxis.models.maxvit.groups import parameter_groups
from multiaxis.models.maxvit.network import MaxViT

__all__ = ["VARIANTS", "MaxViT", "MaxViTConfig", "parameter_groups"]
