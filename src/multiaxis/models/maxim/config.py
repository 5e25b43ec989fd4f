"""What a MAXIM can be configured to, and the published variants. No tensors here."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace

from multiaxis.models.fields import MOST, FieldChecks, Size, is_whole

_CHECKS = FieldChecks("MAXIM's field")
_require = _CHECKS.require
_A_SIZE = "two positive whole numbers, (rows, columns)"
# What is beyond is no configuration but an attack: a file's metadata may state anything.
_MOST = {
    "depth": 12,
    "num_stages": 100,
    "num_groups": 100,
    "num_bottleneck_blocks": 1000,
    "shuffle": 16,
}


@dataclass(frozen=True, kw_only=True)
class MaximConfig:
    """A configuration under the authors' field names, with the authors' defaults.

    Fields that the authors' code accepts and never uses are kept, so that their configurations can
    be passed on as they are, and have no effect here either: `lrelu_slope` and `grid_size_lr`.

    Attributes
    ----------
    features : int
        Channels at full resolution; level i has ``features * 2**i``.
    depth : int
        Levels of the U-Net; each halves the resolution.
    num_stages : int
        U-Nets in a row.
    num_groups : int
        Pairs of (multi-axis gated MLP, channel attention) in each block.
    use_bias : bool
        Biases of convolutions and dense layers; norms always have theirs.
    num_supervision_scales : int
        Scales with an input, a supervised attention module and an output; at most `depth`.
    lrelu_slope : float
        No effect: the authors never forward it, the slope is always 0.2.
    use_global_mlp : bool
        False leaves the multi-axis gated MLPs out of encoder and decoder; the bottleneck keeps its.
    use_cross_gating : bool
        False fuses stages and bridges by convolutions; the encoder's own cross gating stays.
    high_res_stages : int
        Levels below this use the ``_hr`` sizes, the others the ``_lr`` sizes.
    block_size_hr, grid_size_hr : tuple of int
        (rows, columns) at high-resolution levels.
    block_size_lr : tuple of int
        (rows, columns) of blocks **and** of the grid at low-resolution levels and the bottleneck.
    grid_size_lr : tuple of int
        No effect: the authors pass `block_size_lr` in its place.
    num_bottleneck_blocks : int
        Blocks at the lowest resolution.
    block_gmlp_factor, grid_gmlp_factor : int
        Widening inside the two halves of a multi-axis gated MLP.
    input_proj_factor : int
        Widening before the halves, in encoder and bottleneck; the decoder always uses 2.
    channels_reduction : int
        Squeeze factor of channel attention.
    num_outputs : int
        Channels out. Only with 3 do the supervised attention modules add the input image.
    dropout_rate : float
        Dropout after output projections while training; published models use 0.
    in_channels : int
        Channels in; the authors infer it from the input.
    shuffle : int
        Ours, for small models. Squares of this side are stacked into channels before the U-Net, and
        the result is unfolded behind it (pixel unshuffle and shuffle): the whole U-Net works at a
        fraction of the resolution. Above 1 only with one stage and one supervision scale.
    affine : bool
        Ours, for changes of light and colour. The head gives a matrix and an offset for the colours
        of each of those squares; they are smoothed, enlarged and applied to the input picture,
        whose detail never passes through the U-Net. Only with one stage and one scale.
    """

    features: int = 64
    depth: int = 3
    num_stages: int = 2
    num_groups: int = 1
    use_bias: bool = True
    num_supervision_scales: int = 1
    lrelu_slope: float = 0.2
    use_global_mlp: bool = True
    use_cross_gating: bool = True
    high_res_stages: int = 2
    block_size_hr: Size = (16, 16)
    block_size_lr: Size = (8, 8)
    grid_size_hr: Size = (16, 16)
    grid_size_lr: Size = (8, 8)
    num_bottleneck_blocks: int = 1
    block_gmlp_factor: int = 2
    grid_gmlp_factor: int = 2
    input_proj_factor: int = 2
    channels_reduction: int = 4
    num_outputs: int = 3
    dropout_rate: float = 0.0
    in_channels: int = 3
    shuffle: int = 1
    affine: bool = False

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name.startswith(("block_size", "grid_size")):
                size = _CHECKS.size(field.name, value, _A_SIZE)
                object.__setattr__(self, field.name, size)
            elif isinstance(field.default, bool):
                _require(isinstance(value, bool), field.name, value, "True or False")
            elif isinstance(field.default, int):
                least = 0 if field.name in {"high_res_stages", "num_bottleneck_blocks"} else 1
                most = _MOST.get(field.name, MOST)
                fits = is_whole(value, least, most)
                _require(fits, field.name, value, f"a whole number from {least} to {most}")
            else:
                is_number = isinstance(value, int | float) and not isinstance(value, bool)
                _require(is_number, field.name, value, "a number")
        self._check_combinations()

    def _check_combinations(self) -> None:
        _require(
            self.num_supervision_scales <= self.depth,
            "num_supervision_scales",
            self.num_supervision_scales,
            f"at most depth = {self.depth}",
        )
        _require(
            self.channels_reduction <= self.features,
            "channels_reduction",
            self.channels_reduction,
            f"at most features = {self.features}",
        )
        rate = self.dropout_rate
        _require(0 <= rate < 1, "dropout_rate", rate, "at least 0 and below 1")
        _require(
            self.num_outputs == self.in_channels or 1 in (self.num_outputs, self.in_channels),
            "num_outputs",
            self.num_outputs,
            f"1 or in_channels = {self.in_channels}, since the input image is added to the output",
        )
        for name, is_on in (("shuffle", self.shuffle > 1), ("affine", self.affine)):
            fits = self.num_stages == self.num_supervision_scales == 1
            fits = fits and self.num_outputs == self.in_channels
            accepted = (
                "its default, unless num_stages and num_supervision_scales are 1, and num_outputs "
                "is in_channels"
            )
            _require(fits or not is_on, name, getattr(self, name), accepted)
        for name in ("input_proj_factor", "block_gmlp_factor", "grid_gmlp_factor"):
            even = all(self._halved(name, f) for f in (self.features, 2 * self.features))
            _require(even, name, getattr(self, name), "a factor that gives an even width to halve")

    def _halved(self, name: str, width: int) -> bool:
        projected = width * self.input_proj_factor
        if name == "input_proj_factor":
            return projected % 2 == 0
        factor = getattr(self, name)
        return projected // 2 * factor % 2 == 0 and width * factor % 2 == 0

    @property
    def channels_seen(self) -> int:
        """Channels that the U-Net gets."""
        return self.in_channels * self.shuffle**2

    @property
    def channels_made(self) -> int:
        """Channels that the U-Net's head gives."""
        if self.affine:
            return self.num_outputs * (self.in_channels + 1)
        return self.num_outputs * self.shuffle**2

    def width(self, level: int) -> int:
        """Channels at a level (0 = the U-Net's full resolution)."""
        return self.features * 2**level

    def sizes(self, level: int) -> tuple[Size, Size]:
        """Block size and grid size at a level (0 = full resolution)."""
        if level < self.high_res_stages:
            return self.block_size_hr, self.grid_size_hr
        return self.block_size_lr, self.block_size_lr

    @property
    def size_multiple(self) -> Size:
        """Height and width of an input must be multiples of these (pixels)."""

        def along(axis: int) -> int:
            per_level = (
                2**level * math.lcm(*(size[axis] for size in self.sizes(level)))
                for level in range(self.depth)
            )
            return math.lcm(*per_level, 2**self.depth * self.block_size_lr[axis])

        return self.shuffle * along(0), self.shuffle * along(1)


_PUBLISHED = MaximConfig(num_groups=2, num_bottleneck_blocks=2, num_supervision_scales=3)
# Authors' run_eval.py: MODEL_VARIANT_DICT and the overrides of the evaluation.

VARIANTS: dict[str, MaximConfig] = {
    "maxim_s1": replace(_PUBLISHED, features=32, num_stages=1),
    "maxim_s2": replace(_PUBLISHED, features=32, num_stages=2),
    "maxim_s3": replace(_PUBLISHED, features=32, num_stages=3),
    "maxim_m1": replace(_PUBLISHED, features=64, num_stages=1),
    "maxim_m2": replace(_PUBLISHED, features=64, num_stages=2),
    "maxim_m3": replace(_PUBLISHED, features=64, num_stages=3),
}
"""The published variants, as evaluated (three supervision scales)."""
