"""The fields of `MaxViTConfig` as keyword arguments, for editors: a test compares both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypedDict

from multiaxis.models.fields import Size


class MaxViTFields(TypedDict, total=False):
    """What `create_model` takes beside a name; `MaxViTConfig` says what the fields mean."""

    stem_widths: Sequence[int]
    depths: Sequence[int]
    widths: Sequence[int]
    head_dim: int
    num_classes: int
    head_hidden: int | None
    keep_hidden: bool
    image_size: int | Size
    window_size: int | Size | None
    grid_size: int | Size | None
    scale_ratio: str | float | None
    window_policy: Literal["pad", "fit", "fixed", "resize"]
    in_channels: int
    out_indices: Sequence[int] | None
    drop_path: float
    drop_path_anneal: bool
    expansion_rate: int
    se_ratio: float
    kernel_size: int
    activation: Literal["gelu", "relu", "silu"]
    relative_bias: Literal["per_head", "shared"] | None
    downsample_loc: Literal["depth_conv", "expand_conv", "inputs"]
    pool_type: Literal["avg", "max"]
    ln_epsilon: float
    bn_epsilon: float
    bn_momentum: float
    start: Literal["normal", "scaled"]
    flavour: Literal["authors", "torchvision"]
