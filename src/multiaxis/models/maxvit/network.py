"""The network: stem and stages of blocks; with a head, a classifier."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from typing import Self

import torch
import torch.nn.functional as F  # noqa: N812 (the name everyone uses)
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from multiaxis.errors import ConfigError, ShapeError
from multiaxis.models.maxvit.blocks import (
    Head,
    MaxViTBlock,
    Stem,
    Windows,
)
from multiaxis.models.maxvit.config import STRIDE, MaxViTConfig
from multiaxis.models.maxvit.levels import levels_of
from multiaxis.models.maxvit.start import start_weights
from multiaxis.models.saved import LABELS, Saved


class Trunk(Saved):
    """The stem and the first stages, which `MaxViT` and `Backbone` have in common.

    Parameters
    ----------
    config : MaxViTConfig
    stages : int
        How many of the configuration's stages are built.

    Attributes
    ----------
    config : MaxViTConfig
    pyramid_channels, pyramid_strides : tuple of int
        Of the maps that `forward_pyramid` gives: the stem's and each stage's.
    """

    config: MaxViTConfig

    def __init__(self, config: MaxViTConfig, stages: int) -> None:
        super().__init__()
        self.config = config
        self.stem = Stem(config)
        widths = (config.stem_widths[-1], *config.widths[:stages])
        self.stages = nn.ModuleList(
            nn.ModuleList(
                MaxViTBlock(
                    before if k == 0 else width, width, config, halve=k == 0, drop_path=rate
                )
                for k, rate in enumerate(rates)
            )
            for before, width, rates in zip(
                widths[:-1], widths[1:], config.drop_rates[:stages], strict=True
            )
        )
        self.pyramid_channels = widths
        self.pyramid_strides = tuple(2 ** (level + 1) for level in range(len(widths)))
        self._checkpoints_gradients = False
        self._frozen = 0

    def init_weights(self) -> None:
        """Fill every parameter and statistic anew, as `config.start` says.

        For models that were built on the meta device and got memory by ``to_empty``, too.
        """
        start_weights(self, self.config.start)

    def forward_features(self, x: Tensor) -> Tensor:
        """Give the last stage's map, (batch, channels, height, width)."""
        *_, last = self._maps(x, len(self.stages))
        return last.permute(0, 3, 1, 2)

    def forward_pyramid(self, x: Tensor, levels: Sequence[int] | None = None) -> list[Tensor]:
        """Give feature maps of several resolutions.

        Parameters
        ----------
        x : Tensor, shape (batch, in_channels, height, width)
        levels : sequence of int, optional
            0 is the stem, 1 to 4 are the stages; all by default. Stages behind the last one asked
            for are not computed.

        Returns
        -------
        list of Tensor
            In the order of `levels`: (batch, pyramid_channels[level], height, width), with sides
            of the picture over pyramid_strides[level], rounded up.

        Raises
        ------
        ConfigError
            If a level does not exist.
        """
        known = range(len(self.pyramid_channels))
        wanted = list(known) if levels is None else list(levels)
        if not wanted or any(level not in known for level in wanted):
            raise ConfigError(f"received the levels {wanted}: give at least one of {list(known)}")
        maps = list(self._maps(x, max(wanted)))
        return [maps[level].permute(0, 3, 1, 2) for level in wanted]

    def set_grad_checkpointing(self, enable: bool = True) -> None:  # noqa: FBT001, FBT002 (timm's)
        """Recompute each block in the backward pass instead of keeping its maps."""
        self._checkpoints_gradients = enable

    def blocks(self) -> list[nn.Module]:
        """List the blocks that are worth compiling by themselves."""
        return [block for stage in self.stages for block in stage]  # pyright: ignore[reportGeneralTypeIssues]

    def forward_intermediates(
        self,
        x: Tensor,
        indices: int | Sequence[int] | None = None,
        *,
        norm: bool = False,
        stop_early: bool = False,
        output_fmt: str = "NCHW",
        intermediates_only: bool = False,
    ) -> list[Tensor] | tuple[Tensor, list[Tensor]]:
        """Give the last map and maps on the way, under the words of timm's models.

        Parameters
        ----------
        x : Tensor, shape (batch, in_channels, height, width)
        indices : int or sequence of int, optional
            Levels, negative ones from the last; or how many of the last ones. All by default.
        norm : bool
            Accepted is False: no norm follows the stages.
        stop_early : bool
            Whether nothing behind the last level asked for is computed; its map is the last then.
        output_fmt : str
            Accepted is ``"NCHW"``.
        intermediates_only : bool
            Whether the last map is left out of the result.

        Raises
        ------
        ConfigError
            If a level does not exist, or for another norm or format.
        """
        if norm or output_fmt != "NCHW":
            raise ConfigError(
                f"received norm={norm} and output_fmt={output_fmt!r}: accepted are False and 'NCHW'"
            )
        count = len(self.pyramid_channels)
        given = range(-indices, 0) if isinstance(indices, int) else indices or range(count)
        levels = [level + count if -count <= level < 0 else level for level in given]
        last = max(levels, default=0) if stop_early or intermediates_only else count - 1
        *maps, final = self.forward_pyramid(x, [*levels, last])
        return maps if intermediates_only else (final, maps)

    def group_matcher(self, coarse: bool = False) -> dict[str, str]:  # noqa: FBT001, FBT002 (timm's)
        """Tell timm's optimiser factory which parameters make a layer: the stem, each block."""
        return {"stem": r"^stem", "blocks": r"^stages\.(\d+)" + ("" if coarse else r"\.(\d+)")}

    def no_weight_decay(self) -> set[str]:
        """Tell timm's optimiser factory which matrices do not decay: the bias tables."""
        return {name for name, _ in self.named_parameters() if name.endswith("bias.table")}

    def freeze_stages(self, count: int) -> None:
        """Exclude the stem and the first stages from training, with their batch statistics.

        Parameters
        ----------
        count : int
            Stages to freeze; 0 freezes the stem alone, -1 nothing.
        """
        if not -1 <= count <= len(self.stages):
            raise ConfigError(
                f"received {count} stages to freeze: accepted is -1 to {len(self.stages)}"
            )
        self._frozen = count + 1
        parts: list[nn.Module] = [self.stem, *self.stages]
        for index, part in enumerate(parts):
            part.requires_grad_(index >= self._frozen)
        self.train(self.training)

    def train(self, mode: bool = True) -> Self:  # noqa: FBT001, FBT002 (torch's signature)
        """Switch to training (or evaluation); frozen stages stay in evaluation."""
        super().train(mode)
        parts: list[nn.Module] = [self.stem, *self.stages]
        for part in parts[: self._frozen]:
            part.eval()
        return self

    def _maps(self, x: Tensor, last: int) -> Iterator[Tensor]:
        """Yield the stem's map and those of the first stages, channels last."""
        x, windows = self.entering(x)
        x = self.stem(x.permute(0, 2, 3, 1).contiguous())
        yield x
        for stage in list(self.stages)[:last]:
            for block in stage:  # pyright: ignore[reportGeneralTypeIssues] (a ModuleList)
                x = self._run(block, x, windows)
            yield x

    def entering(self, x: Tensor) -> tuple[Tensor, Windows | None]:
        """Check a batch; give it as the stem sees it, and the windows that replace the own ones."""
        windows = self._windows(x)
        return (self._resized(x) if self.config.window_policy == "resize" else x), windows

    def _run(self, block: MaxViTBlock, x: Tensor, windows: Windows | None) -> Tensor:
        if not (self._checkpoints_gradients and torch.is_grad_enabled()):
            return block(x, windows)
        if torch.compiler.is_compiling():  # compilers write each buffer once by themselves
            return checkpoint(block, x, windows, use_reentrant=False)
        contexts = partial(_recomputing, block)
        return checkpoint(block, x, windows, use_reentrant=False, context_fn=contexts)

    def _windows(self, x: Tensor) -> Windows | None:
        """Check a batch; return the windows that replace the configured ones."""
        channels = self.config.in_channels
        if x.ndim != 4 or x.shape[1] != channels or 0 in x.shape[2:] or not x.is_floating_point():
            raise ShapeError(
                f"received {x.dtype} of shape {tuple(x.shape)}: accepted are floats of shape "
                f"(batch, {channels}, height, width); use x[None] for a single picture"
            )
        sides = x.shape[2:]
        if self.config.window_policy == "fit":
            fitting = (-(-sides[0] // STRIDE), -(-sides[1] // STRIDE))
            return fitting, fitting
        if self.config.window_policy == "fixed":
            self._check_sides(sides)
        return None

    def _multiples(self) -> list[int]:
        """Give what both windows divide, on each axis of a map."""
        return [math.lcm(*(size[axis] for size in self.config.windows)) for axis in range(2)]

    def _resized(self, x: Tensor) -> Tensor:
        """Resize pictures to the nearest size that the windows divide."""
        units = [multiple * self.pyramid_strides[-1] for multiple in self._multiples()]
        size = [
            max(1, round(side / unit)) * unit for side, unit in zip(x.shape[2:], units, strict=True)
        ]
        if size == list(x.shape[2:]):
            return x
        wide = x if x.dtype == torch.float64 else x.float()  # a CPU resizes no half precision
        return F.interpolate(wide, size, mode="bilinear", antialias=True).to(x.dtype)

    def _check_sides(self, sides: Sequence[int]) -> None:
        multiples = self._multiples()
        maps = [-(-side // stride) for side in sides for stride in self.pyramid_strides[1:]]
        each = [m for m in multiples for _ in self.pyramid_strides[1:]]
        if any(side % multiple for side, multiple in zip(maps, each, strict=True)):
            rows, columns = (m * self.pyramid_strides[-1] for m in multiples)
            block_size, grid_size = self.config.windows
            raise ShapeError(
                f"received pictures of {sides[0]} x {sides[1]} pixels: blocks of {block_size} and "
                f"a grid of {grid_size} divide the maps of heights that are multiples of {rows} "
                f"and widths that are multiples of {columns}; resize, or build the model with "
                "window_policy='pad', 'fit' or 'resize'"
            )


class MaxViT(Trunk):
    """MaxViT (arXiv 2204.01697): a backbone and classifier for images of any size.

    Pictures are (batch, channels, height, width), normalised as the checkpoint asks (see its
    card); feature maps come out in the same order, (batch, channels, height, width).

    Parameters
    ----------
    config : MaxViTConfig

    Attributes
    ----------
    config : MaxViTConfig
    pyramid_channels, pyramid_strides : tuple of int
        Of the maps that `forward_pyramid` gives: the stem's and each stage's.
    feature_info : list of dict
        The same in timm's words: ``num_chs``, ``reduction``, ``module``.

    Examples
    --------
    >>> model = MaxViT(MaxViTConfig(depths=(1, 1), widths=(32, 64), num_classes=5)).eval()
    >>> model(torch.zeros(1, 3, 50, 31)).shape
    torch.Size([1, 5])
    """

    def __init__(self, config: MaxViTConfig) -> None:
        if config.out_indices is not None:
            raise ConfigError(
                f"out_indices is {config.out_indices}, which is of a Backbone: build it with "
                "create_model(..., features_only=True), or leave out_indices out"
            )
        super().__init__(config, len(config.depths))
        self.head = Head(config)
        self.feature_info = levels_of(self.pyramid_channels, self.pyramid_strides)
        if config.start != "normal":  # layers are built with that one
            self.init_weights()

    def forward(self, x: Tensor) -> Tensor:
        """Classify pictures.

        Parameters
        ----------
        x : Tensor, shape (batch, in_channels, height, width)
            Normalised pictures of any size (with the window policy ``"fixed"``: of an allowed one).

        Returns
        -------
        Tensor, shape (batch, num_classes)
            Logits; with `num_classes` 0 the features, (batch, head_hidden_size).

        Raises
        ------
        ShapeError
            If the channels or the sides are others.
        """
        return self.forward_head(self.forward_features(x))

    def forward_head(self, features: Tensor, *, pre_logits: bool = False) -> Tensor:
        """Turn `forward_features` into logits, or into what the logits are made of."""
        return self.head(features.permute(0, 2, 3, 1), pre_logits=pre_logits)

    @property
    def num_classes(self) -> int:
        """How many logits there are."""
        return self.config.num_classes

    @property
    def num_features(self) -> int:
        """Channels of the last stage's map."""
        return self.config.widths[-1]

    @property
    def head_hidden_size(self) -> int:
        """Width of what logits are made of, and of the output where `num_classes` is 0."""
        return self.config.hidden or self.num_features

    def get_classifier(self) -> nn.Module:
        """Give the layer that makes the logits; an identity where there is none."""
        return nn.Identity() if self.head.logits is None else self.head.logits

    def reset_classifier(
        self, num_classes: int, head_hidden: int | None = -1, *, keep_hidden: bool = False
    ) -> None:
        """Replace the hidden layer and the logits by fresh ones.

        Parameters
        ----------
        num_classes : int
            0 takes the logits off: `forward` then gives features.
        head_hidden : int or None
            As in `MaxViTConfig`.
        keep_hidden : bool
            Whether the hidden layer that there is stays, with its weights, as timm's does.

        Raises
        ------
        ConfigError
            If there is none to keep, or another one is asked for.
        """
        kept = self.head.hidden if keep_hidden else None
        if keep_hidden and (kept is None or head_hidden not in (-1, kept.out_features)):
            there = "none" if kept is None else str(kept.out_features)
            raise ConfigError(
                f"keep_hidden is True with head_hidden={head_hidden}, and the hidden layer's width "
                f"is {there}: leave one of them out"
            )
        self.config = replace(
            self.config,
            num_classes=num_classes,
            head_hidden=self.config.head_hidden if keep_hidden else head_hidden,
            keep_hidden=keep_hidden,
        )
        self.about.pop(LABELS, None)
        norm, fresh = self.head.norm, Head(self.config)
        self.head = fresh.to(norm.weight.device, norm.weight.dtype).train(self.training)
        self.head.norm = norm
        self.head.hidden = fresh.hidden if kept is None else kept


def _recomputing(
    block: nn.Module,
) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    """Give the contexts of a block's forward pass and of its recomputation."""
    return nullcontext(), _buffers_kept(block)


@contextmanager
def _buffers_kept(block: nn.Module) -> Generator[None]:
    """Let norms see a batch without counting it a second time."""
    kept = [(buffer, buffer.clone()) for buffer in block.buffers()]
    try:
        yield
    finally:
        with torch.no_grad():
            for buffer, before in kept:
                buffer.copy_(before)
