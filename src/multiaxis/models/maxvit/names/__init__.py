"""Whose names MaxViT's parameters may have in a checkpoint, and how they are told."""

OURS = "multiaxis' MaxViT"
AUTHORS = "the authors' MaxViT"
TIMM = "timm's MaxViT"
TORCHVISION = "torchvision's MaxViT"

ORIGINS = {
    OURS: r"stages\.\d+\.\d+\.mbconv\.",
    AUTHORS: r"(^|/)block_\d\d_\d\d/mbconv/",
    TIMM: r"stages\.\d+\.blocks\.\d+\.(attn_block|attn_grid)\.",
    TORCHVISION: r"blocks\.\d+\.layers\.\d+\.layers\.MBconv\.",
}
"""A pattern of a name that only that origin has."""
