"""The network: stem and stages of blocks; with a head, a classifier."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from typing import Self

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from multiaxis.axis.layers import dense, layer_norm
from multiaxis.errors import ConfigError, ShapeError
from multiaxis.models.maxvit.blocks import (
    Conv2d,
    MaxViTBlock,
    Windows,
    activation,
    batch_norm,
    channels_first,
    channels_last,
)
from multiaxis.models.maxvit.config import STRIDE, MaxViTConfig
from multiaxis.models.maxvit.start import start_weights
from multiaxis.models.saved import LABELS, Saved


class Stem(nn.Module):
    """Two convolutions; the first halves the picture, nothing follows the second."""

    def __init__(self, config: MaxViTConfig) -> None:
        super().__init__()
        first, second = config.stem_widths
        torchvision = config.flavour == "torchvision"
        self.conv1 = Conv2d(
            config.in_channels,
            first,
            config.kernel_size,
            stride=2,
            bias=not torchvision,
            symmetric=torchvision,
        )
        self.norm: nn.Module = batch_norm(first, config)
        self.conv2 = Conv2d(first, second, config.kernel_size)
        self.activation = activation(config)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (batch, height, width, in_channels) to ceil(side / 2)."""
        y = self.activation(self.norm(self.conv1(channels_first(x))))
        return channels_last(self.conv2(y))


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
        windows = self._windows(x)
        x = self.stem(x.permute(0, 2, 3, 1).contiguous())
        yield x
        for stage in list(self.stages)[:last]:
            for block in stage:  # pyright: ignore[reportGeneralTypeIssues] (a ModuleList)
                x = self._run(block, x, windows)
            yield x

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

    def _check_sides(self, sides: Sequence[int]) -> None:
        multiples = [
            math.lcm(*(size[axis] for size in self.config.windows)) for axis in range(len(sides))
        ]
        maps = [-(-side // stride) for side in sides for stride in self.pyramid_strides[1:]]
        each = [m for m in multiples for _ in self.pyramid_strides[1:]]
        if any(side % multiple for side, multiple in zip(maps, each, strict=True)):
            rows, columns = (m * self.pyramid_strides[-1] for m in multiples)
            block_size, grid_size = self.config.windows
            raise ShapeError(
                f"received pictures of {sides[0]} x {sides[1]} pixels: blocks of {block_size} and "
                f"a grid of {grid_size} divide the maps of heights that are multiples of {rows} "
                f"and widths that are multiples of {columns}; resize, or build the model with "
                "window_policy='pad' or 'fit'"
            )


class Head(nn.Module):
    """Mean over the map, LayerNorm, a hidden layer with tanh where there is one, logits."""

    def __init__(self, config: MaxViTConfig) -> None:
        super().__init__()
        width, hidden, classes = config.widths[-1], config.hidden, config.num_classes
        self.norm = layer_norm(width, eps=config.ln_epsilon)
        self.hidden = dense(width, hidden) if hidden and classes else None
        bias = config.flavour != "torchvision"
        self.logits = dense(hidden or width, classes, bias=bias) if classes else None

    def forward(self, features: Tensor) -> Tensor:
        """Turn a map (batch, height, width, channels) into logits (batch, classes)."""
        x = self.norm(features.mean(dim=(1, 2)))
        if self.hidden is not None:
            x = torch.tanh(self.hidden(x))
        return x if self.logits is None else self.logits(x)


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
            Logits; with `num_classes` 0 the pooled and normalised features.

        Raises
        ------
        ShapeError
            If the channels or the sides are others.
        """
        return self.forward_head(self.forward_features(x))

    def forward_head(self, features: Tensor) -> Tensor:
        """Turn `forward_features` into logits."""
        return self.head(features.permute(0, 2, 3, 1))

    def reset_classifier(self, num_classes: int, head_hidden: int | None = -1) -> None:
        """Replace the hidden layer and the logits by fresh ones.

        Parameters
        ----------
        num_classes : int
            0 takes the head off: `forward` then gives pooled and normalised features.
        head_hidden : int or None
            As in `MaxViTConfig`.
        """
        self.config = replace(self.config, num_classes=num_classes, head_hidden=head_hidden)
        self.about.pop(LABELS, None)
        norm, fresh = self.head.norm, Head(self.config)
        self.head = fresh.to(norm.weight.device, norm.weight.dtype).train(self.training)
        self.head.norm = norm


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
