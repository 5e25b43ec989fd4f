"""Whose names MaxViT's parameters may have in a checkpoint, and how they are told."""

OURS = "multiaxis' MaxViT"
AUTHORS = "the authors' MaxViT"
TIMM = "timm's MaxViT"
TORCHVISION = "torchvision's MaxViT"

_LEAF = r"[\w.]*\.(weight|bias)$"  # no moments of an optimiser, which have longer names

ORIGINS = {
    OURS: rf"stages\.\d+\.\d+\.mbconv\.{_LEAF}",
    AUTHORS: r"(?:.*/)?block_\d\d_\d\d/mbconv/",  # its names may begin with anything
    TIMM: rf"stages[._]\d+\.blocks\.\d+\.attn_(block|grid)\.{_LEAF}",
    TORCHVISION: rf"blocks\.\d+\.layers\.\d+\.layers\.MBconv\.{_LEAF}",
}
"""A pattern of names that only that origin has, from where its names begin."""
