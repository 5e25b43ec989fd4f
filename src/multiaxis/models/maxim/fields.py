"""The fields of `MaximConfig` as keyword arguments, for editors: a test compares both."""

from __future__ import annotations

from typing import TypedDict

from multiaxis.models.fields import Size


class MaximFields(TypedDict, total=False):
    """What `create_model` takes beside a name; `MaximConfig` says what the fields mean."""

    features: int
    depth: int
    num_stages: int
    num_groups: int
    use_bias: bool
    num_supervision_scales: int
    lrelu_slope: float
    use_global_mlp: bool
    use_cross_gating: bool
    high_res_stages: int
    block_size_hr: Size
    block_size_lr: Size
    grid_size_hr: Size
    grid_size_lr: Size
    num_bottleneck_blocks: int
    block_gmlp_factor: int
    grid_gmlp_factor: int
    input_proj_factor: int
    channels_reduction: int
    num_outputs: int
    dropout_rate: float
    in_channels: int
    shuffle: int
    affine: bool
