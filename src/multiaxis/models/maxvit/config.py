"""What a MaxViT can be configured to, and the published variants. No tensors here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from typing import Any, Literal

from multiaxis.models.fields import FieldChecks, Size, is_whole
from multiaxis.models.maxvit.fields import MaxViTFields

_CHECKS = FieldChecks("MaxViT's field")
_require = _CHECKS.require
STRIDE = 32  # pixels of the image for one of the last stage's map
_CHOICES: dict[str, tuple[object, ...]] = {
    "window_policy": ("pad", "fit", "fixed", "resize"),
    "flavour": ("authors", "torchvision"),
    "activation": ("gelu", "relu", "silu"),
    "relative_bias": ("per_head", "shared", None),
    "downsample_loc": ("depth_conv", "expand_conv", "inputs"),
    "pool_type": ("avg", "max"),
    "start": ("normal", "scaled"),
}
_PER_STAGE = ("depths", "widths")
_WIDEST_WINDOW = 256  # pixels: attention among 65,536 places
_MOST_BLOCKS = 1000
_MOST_RATIO = 1024
_RATES = ("drop_path", "bn_momentum", "ln_epsilon", "bn_epsilon", "se_ratio")


@dataclass(frozen=True, kw_only=True)
class MaxViTConfig:
    """A configuration; the defaults are the authors' tiny variant.

    Where a field has another name in the authors' code, it stands in brackets.

    Attributes
    ----------
    stem_widths : tuple of int
        Channels of the stem's two convolutions (``stem_hsize``).
    depths, widths : tuple of int
        Blocks and channels of each stage (``num_blocks``, ``hidden_size``).
    head_dim : int
        Channels of an attention head (``head_size``); divides every width.
    num_classes : int
        0 builds no logits: `forward` then gives features.
    head_hidden : int or None
        Width of the head's hidden layer (``cls_hsize``); -1 is the last width, 0 or None leaves it
        out, with its tanh.
    keep_hidden : bool
        Whether the hidden layer and its tanh stay where `num_classes` is 0, as timm keeps them.
        Otherwise `forward` gives the pooled and normalised features then.
    image_size : int or (rows, columns)
        Pixels of the images that the windows are made for: their sides over 32, rounded up, are
        `window_size` and `grid_size` where those are not given.
    window_size, grid_size : int or (rows, columns), optional
        Pixels of a block; cells of the grid; the same in all stages.
    scale_ratio : str, float or None
        Window over the window that bias tables are stored for, such as ``"384/224"``. By default
        tables are stored for `window_size`, or for 7 x 7 where `image_size` sets the windows.
    window_policy : str
        For maps that windows do not divide. ``"pad"``: padded and masked. ``"fit"``: windows follow
        each image (its sides over 32), tables are stretched, what still does not divide is padded.
        ``"fixed"``: refused. ``"resize"``: the picture is resized to the nearest size that windows
        divide, for classification; a `Backbone` has no such policy.
    in_channels : int
    out_indices : tuple of int, optional
        Levels whose maps a `Backbone` gives, 0 the stem and 1 to 4 the stages; negative ones count
        from the last. With it, nothing behind the last level is built and `num_classes` is 0.
    drop_path : float
        Rate of stochastic depth (1 - ``survival_prob``), rising over the blocks from 0 as
        ``drop_path * k / number of blocks``.
    drop_path_anneal : bool
        False gives every block the whole rate (``survival_prob_anneal``).
    expansion_rate : int
        Widening inside MBConv and the MLPs; 1 drops MBConv's first convolution.
    se_ratio : float
        Squeeze of squeeze-and-excitation, as a share of the block's width.
    kernel_size : int
        Of the stem's and the depthwise convolutions; odd.
    activation : str
        ``gelu``, ``relu`` or ``silu``.
    relative_bias : str or None
        ``per_head``, ``shared`` or None (``rel_attn_type``: 2d_multi_head, 2d_single_head, None).
    downsample_loc : str
        Where a stage's first block halves the map: ``depth_conv``, ``expand_conv`` or ``inputs``.
    pool_type : str
        ``avg`` or ``max``, of the shortcut that goes with it.
    ln_epsilon, bn_epsilon : float
    bn_momentum : float
        PyTorch's meaning: share of the new batch (authors: 0.99 of the old, for runs of hundreds
        of thousands of steps). Trainings of fewer than a few thousand steps want 0.1.
    start : str
        What random parameters start from. ``"normal"``: N(0, 0.02) everywhere, as the authors.
        ``"scaled"``: by each layer's width (convolutions as He et al., attention and MLPs as Glorot
        and Bengio, the head as PyTorch), which learns faster on small data. See `SMALL_DATA`.
    flavour : str
        ``torchvision`` computes what torchvision's `maxvit_t` does: symmetric padding, pooling over
        3 x 3 with counted zeros, the exact GELU, a projection in every first shortcut, no bias in
        the first convolution and in the logits.
    """

    stem_widths: tuple[int, ...] = (64, 64)
    depths: tuple[int, ...] = (2, 2, 5, 2)
    widths: tuple[int, ...] = (64, 128, 256, 512)
    head_dim: int = 32
    num_classes: int = 1000
    head_hidden: int | None = -1
    keep_hidden: bool = False
    image_size: int | Size = 224
    window_size: int | Size | None = None
    grid_size: int | Size | None = None
    scale_ratio: str | float | None = None
    window_policy: Literal["pad", "fit", "fixed", "resize"] = "pad"
    in_channels: int = 3
    out_indices: tuple[int, ...] | None = None
    drop_path: float = 0.0
    drop_path_anneal: bool = True
    expansion_rate: int = 4
    se_ratio: float = 0.25
    kernel_size: int = 3
    activation: Literal["gelu", "relu", "silu"] = "gelu"
    relative_bias: Literal["per_head", "shared"] | None = "per_head"
    downsample_loc: Literal["depth_conv", "expand_conv", "inputs"] = "depth_conv"
    pool_type: Literal["avg", "max"] = "avg"
    ln_epsilon: float = 1e-5
    bn_epsilon: float = 1e-3
    bn_momentum: float = 0.01
    start: Literal["normal", "scaled"] = "normal"
    flavour: Literal["authors", "torchvision"] = "authors"

    def __post_init__(self) -> None:
        for name in ("stem_widths", *_PER_STAGE):
            object.__setattr__(self, name, _whole_numbers(name, getattr(self, name)))
        _require(len(self.stem_widths) == 2, "stem_widths", self.stem_widths, "two widths")
        same = len(self.depths) == len(self.widths)
        _require(same, "depths", self.depths, f"as many numbers as widths = {self.widths}")
        few = len(self.depths) <= _MOST_BLOCKS and sum(self.depths) <= _MOST_BLOCKS
        _require(few, "depths", self.depths[:8], f"{_MOST_BLOCKS} blocks at most")
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name in _CHOICES:
                choices = _CHOICES[field.name]
                _require(value in choices, field.name, value, ", ".join(map(repr, choices)))
            elif field.name in _RATES:
                _require(_is_rate(value), field.name, value, "a number from 0 to below 1")
            elif isinstance(field.default, bool):
                _require(isinstance(value, bool), field.name, value, "True or False")
            elif field.name in ("head_dim", "in_channels", "expansion_rate", "kernel_size"):
                _require(is_whole(value, 1), field.name, value, "a whole number from 1 on")
        self._check_sizes()
        self._check_combinations()
        if self.out_indices is not None:
            object.__setattr__(self, "out_indices", _levels(self.out_indices, len(self.depths)))
            object.__setattr__(self, "num_classes", 0)
            keeps_sizes = self.window_policy != "resize"
            _require(keeps_sizes, "window_policy", "resize", "pad, fit or fixed, with out_indices")

    def _check_sizes(self) -> None:
        for name in ("image_size", "window_size", "grid_size"):
            value = getattr(self, name)
            if value is not None or name == "image_size":
                object.__setattr__(self, name, _size(name, value))
        for windows in (self.windows, self.table_windows):  # refuses a scale_ratio that gives none
            small = max(*windows[0], *windows[1]) <= _WIDEST_WINDOW
            _require(small, "window_size", windows, f"{_WIDEST_WINDOW} pixels a side at most")

    def _check_combinations(self) -> None:
        _require(self.kernel_size % 2 == 1, "kernel_size", self.kernel_size, "an odd number")
        _require(is_whole(self.num_classes, 0), "num_classes", self.num_classes, "0 or more")
        hidden = self.head_hidden
        _require(hidden is None or is_whole(hidden, -1), "head_hidden", hidden, "-1, 0 or more")
        uneven = [width for width in self.widths if width % self.head_dim]
        _require(not uneven, "head_dim", self.head_dim, f"a divisor of every width {self.widths}")
        expands = self.expansion_rate > 1 or self.downsample_loc != "expand_conv"
        _require(expands, "downsample_loc", self.downsample_loc, "another, without expand_conv")

    @property
    def windows(self) -> tuple[Size, Size]:
        """Block size and grid size, (rows, columns) each."""
        rows, columns = _size("image_size", self.image_size)
        fitting = (-(-rows // STRIDE), -(-columns // STRIDE))
        block_size = fitting if self.window_size is None else _size("", self.window_size)
        grid_size = fitting if self.grid_size is None else _size("", self.grid_size)
        return block_size, grid_size

    @property
    def table_windows(self) -> tuple[Size, Size]:
        """Windows that the bias tables of block and grid attention are stored for."""
        if self.scale_ratio is None:
            fits = (self.window_size is None, self.grid_size is None)
            stored = [(7, 7) if fit else w for fit, w in zip(fits, self.windows, strict=True)]
            return stored[0], stored[1]
        ratio = _ratio(self.scale_ratio)
        block_size, grid_size = (_scaled(window, ratio) for window in self.windows)
        return block_size, grid_size

    @property
    def hidden(self) -> int:
        """Width of the head's hidden layer; 0 where it has none."""
        if not (self.num_classes or self.keep_hidden):
            return 0
        return self.widths[-1] if self.head_hidden == -1 else self.head_hidden or 0

    @property
    def built_stages(self) -> int:
        """How many stages the model has: all, or those that `out_indices` asks for."""
        return len(self.depths) if self.out_indices is None else max(self.out_indices)

    @property
    def drop_rates(self) -> list[list[float]]:
        """Rate of stochastic depth of each block of each stage."""
        total, rates = sum(self.depths), list[list[float]]()
        for stage, depth in enumerate(self.depths):
            first = sum(self.depths[:stage])
            shares = [(first + k) / total if self.drop_path_anneal else 1.0 for k in range(depth)]
            rates.append([self.drop_path * share for share in shares])
        return rates


def _is_rate(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1


def _whole_numbers(name: str, value: object) -> tuple[int, ...]:
    good = isinstance(value, Sequence) and len(value) > 0 and all(is_whole(v, 1) for v in value)
    _require(good, name, value, "whole numbers from 1 on")
    return tuple(value)  # pyright: ignore[reportArgumentType]


def _levels(value: object, stages: int) -> tuple[int, ...]:
    """Count levels from the stem on."""
    accepted = f"different levels from {-stages - 1} to {stages}, at least one"
    given: tuple[Any, ...] = tuple(value) if isinstance(value, Sequence) else ()
    whole = all(is_whole(level, -stages - 1, stages) for level in given)
    levels = tuple(level % (stages + 1) for level in given) if whole else ()
    _require(0 < len(levels) == len(set(levels)), "out_indices", value, accepted)
    return levels


def _size(name: str, value: object) -> Size:
    pair = (value, value) if isinstance(value, int) else value
    return _CHECKS.size(name, pair, "a whole number from 1 on, or two as (rows, columns)")


def _ratio(value: object) -> Fraction:
    """Read ``'384/224'`` or a number, exactly; nothing is evaluated."""
    try:
        is_text = isinstance(value, str)
        if is_text and (len(value) > 40 or "e" in value.lower()):  # else 1e9999999 takes minutes
            value = float(value)
        ratio = Fraction(value)  # pyright: ignore[reportArgumentType, reportCallIssue]
    except (ValueError, TypeError, ZeroDivisionError, OverflowError):
        ratio = Fraction(0)
    fits = Fraction(1, _MOST_RATIO) <= ratio <= _MOST_RATIO
    accepted = f"a positive number, 1/{_MOST_RATIO} to {_MOST_RATIO}, or text such as '384/224'"
    _require(fits, "scale_ratio", value, accepted)
    return ratio


def _scaled(window: Size, ratio: Fraction) -> Size:
    rows, columns = (max(1, round(side / ratio)) for side in window)
    return rows, columns


_TINY = MaxViTConfig()
_LARGE_DEPTHS = (2, 6, 14, 2)

# Authors' hp/vision.py; nano and pico are ours, for CPUs and tests, and have no weights.
VARIANTS: dict[str, MaxViTConfig] = {
    "maxvit_pico": replace(
        _TINY, stem_widths=(16, 16), widths=(16, 32, 64, 128), depths=(1, 1, 2, 1), head_dim=16
    ),
    "maxvit_nano": replace(
        _TINY, stem_widths=(32, 32), widths=(32, 64, 128, 256), depths=(1, 2, 3, 1)
    ),
    "maxvit_tiny": _TINY,
    "maxvit_small": replace(_TINY, widths=(96, 192, 384, 768)),
    "maxvit_base": replace(_TINY, widths=(96, 192, 384, 768), depths=_LARGE_DEPTHS),
    "maxvit_large": replace(
        _TINY, stem_widths=(128, 128), widths=(128, 256, 512, 1024), depths=_LARGE_DEPTHS
    ),
    "maxvit_xlarge": replace(
        _TINY, stem_widths=(192, 192), widths=(192, 384, 768, 1536), depths=_LARGE_DEPTHS
    ),
    "maxvit_tiny_torchvision": replace(_TINY, flavour="torchvision"),
}


SMALL_DATA: MaxViTFields = {"start": "scaled", "bn_momentum": 0.1}
"""Fields for a training on small data, of a few hundred or thousand steps: ``**SMALL_DATA``."""


def adopt(start: MaxViTConfig, found: MaxViTConfig, config: Mapping[str, Any]) -> MaxViTConfig:
    """Configure a variant for a checkpoint, as far as the user leaves it open.

    Parameters
    ----------
    start : MaxViTConfig
        The variant.
    found : MaxViTConfig
        Of the checkpoint: gives the number of classes, the image size and the windows that tables
        are stored for.
    config : mapping of str to value
        Fields that the user sets.
    """
    if find_variant(found) == find_variant(start):
        # With what shapes do not show, where the file states it.
        start = replace(found, out_indices=start.out_indices)
    given = {"num_classes": found.num_classes, **config}
    if given.keys() & {"window_size", "grid_size", "scale_ratio"}:
        return replace(start, **given)
    adopted = replace(start, **{"image_size": found.image_size, **given})
    (rows, columns), stored = adopted.windows[0], found.table_windows[0]
    if rows == columns and found.table_windows == (stored, stored) and stored[0] == stored[1]:
        # Tables stay as they are; what the windows need is stretched when it is used.
        return replace(adopted, scale_ratio=f"{rows}/{stored[0]}")
    return adopted


def find_variant(config: MaxViTConfig) -> str | None:
    """Name the variant that a configuration is of, whatever its head and windows."""
    keys = ("stem_widths", "depths", "widths", "head_dim", "flavour")
    for name, variant in VARIANTS.items():
        if all(getattr(config, key) == getattr(variant, key) for key in keys):
            return name
    return None
