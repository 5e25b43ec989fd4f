"""The parts of MaxViT. Blocks take and give maps of (batch, height, width, channels).

Convolutions, batch norms and pools take (batch, channels, height, width), as torch's own do: tools
replace them by others of that order. The memory stays channels-last, so that nothing is copied.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812 (the name everyone uses)
from torch import Tensor, nn

from multiaxis.axis import BlockAttention, GridAttention
from multiaxis.axis.layers import dense, gelu, layer_norm, normal
from multiaxis.axis.padding import is_nothing, missing_pixels
from multiaxis.models.maxvit.config import MaxViTConfig, Size

Windows = tuple[Size, Size]
"""Block size and grid size."""


def activation(config: MaxViTConfig) -> Callable[[Tensor], Tensor]:
    """Pick the activation of convolutions and MLPs."""
    if config.activation == "gelu" and config.flavour == "torchvision":
        return F.gelu
    return {"gelu": gelu, "relu": F.relu, "silu": F.silu}[config.activation]


class Conv2d(nn.Conv2d):
    """A convolution with TensorFlow's SAME padding: out = ceil(in / stride), at any size.

    `kernel` is odd, `stride` 1 or 2. `symmetric` pads both ends alike, as torchvision does.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        *,
        stride: int = 1,
        groups: int = 1,
        bias: bool = True,
        symmetric: bool = False,
    ) -> None:
        super().__init__(
            in_channels, out_channels, kernel, stride, kernel // 2, groups=groups, bias=bias
        )
        self.symmetric = symmetric
        normal(self.weight.data, 0)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, input: Tensor) -> Tensor:
        """Convolve (batch, in_channels, height, width)."""
        compiles = torch.compiler.is_compiling()
        if self.stride == (1, 1) or self.kernel_size == (1, 1) or (self.symmetric and not compiles):
            return self.convolve(input, [n // 2 for n in self.kernel_size])
        odd = missing_pixels(input.shape[2:], (2, 2))
        reach = self.kernel_size[0] // 2
        if self.groups == 1 or torch.is_grad_enabled() or compiles:
            # An even side gets one zero less. The copy is cheap: with a wider padding instead,
            # oneDNN's gradient of depthwise weights takes up to five times as long.
            ends = [(reach - 1 + n, reach) for n in reversed(odd)]
            pads = [pad for end in ends for pad in (end[::-1] if self.symmetric else end)]
            x = F.pad(input, pads)
            return self.convolve(x, [0, 0])
        # Without gradients, padding both ends alike is faster: such a side gets two more zeros, and
        # the output that they add in front is dropped.
        padding = [reach + 1 - n for n in odd]
        y = self.convolve(input, padding)
        return y[:, :, 1 - odd[0] :, 1 - odd[1] :]

    def convolve(self, x: Tensor, padding: list[int]) -> Tensor:
        """Convolve behind a padding with zeros at both ends of the height and of the width."""
        return F.conv2d(x, self.weight, self.bias, self.stride, padding, groups=self.groups)


def channels_first(x: Tensor) -> Tensor:
    """View a map (batch, height, width, channels) as (batch, channels, height, width)."""
    return x.permute(0, 3, 1, 2)


def channels_last(x: Tensor) -> Tensor:
    """Undo `channels_first`."""
    return x.permute(0, 2, 3, 1)


def batch_norm(channels: int, config: MaxViTConfig) -> nn.BatchNorm2d:
    """Build a batch norm with the authors' constants."""
    return nn.BatchNorm2d(channels, eps=config.bn_epsilon, momentum=config.bn_momentum)


class DropPath(nn.Module):
    """Stochastic depth: while training, drop a residual branch of some samples, scale the others.

    Parameters
    ----------
    rate : float
        Probability of being dropped; what is kept is divided by 1 - `rate`.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def extra_repr(self) -> str:
        """Tell the rate."""
        return f"rate={self.rate:.4g}"

    def forward(self, x: Tensor) -> Tensor:
        """Drop whole samples of (batch, ...)."""
        if not self.training or self.rate == 0:
            return x
        kept = torch.rand(x.shape[0], *[1] * (x.ndim - 1), device=x.device) >= self.rate
        return x * (kept.to(x.dtype) / (1 - self.rate))


class Pool(nn.Module):
    """Halve a map: the mean (or maximum) of 2 x 2 pixels, of the real ones only at odd borders.

    The torchvision flavour takes the mean of 3 x 3 with the zeros around the map counted in.
    """

    def __init__(self, config: MaxViTConfig) -> None:
        super().__init__()
        self.kind = "torchvision" if config.flavour == "torchvision" else config.pool_type

    def forward(self, x: Tensor) -> Tensor:
        """Pool (batch, channels, height, width) to ceil(side / 2)."""
        odd = missing_pixels(x.shape[2:], (2, 2))
        if torch.compiler.is_compiling() and not is_nothing(odd):
            return self._pool_padded(x, odd)
        if self.kind == "torchvision":
            return F.avg_pool2d(x, 3, 2, padding=1)
        if self.kind == "max":
            return F.max_pool2d(x, 2, 2, ceil_mode=True)
        return F.avg_pool2d(x, 2, 2, ceil_mode=True, count_include_pad=False)

    def _pool_padded(self, x: Tensor, odd: list[int]) -> Tensor:
        """Pool a padded map: the sizes that `ceil_mode` makes of symbols are beyond a compiler."""
        height, width = odd
        if self.kind == "torchvision":
            return F.avg_pool2d(F.pad(x, (1, width, 1, height)), 3, 2)
        pads = (0, width, 0, height)
        if self.kind == "max":
            return F.max_pool2d(F.pad(x, pads, value=-math.inf), 2, 2)
        shares = F.avg_pool2d(F.pad(x.new_ones(1, 1, *x.shape[2:]), pads), 2, 2)
        return F.avg_pool2d(F.pad(x, pads), 2, 2) / shares


class SqueezeExcite(nn.Module):
    """Scale each channel by a gate made from the means over the whole map."""

    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.squeeze = dense(channels, squeezed)
        self.excite = dense(squeezed, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Gate (batch, height, width, channels)."""
        return x * self.gate(x.mean(dim=(1, 2), keepdim=True))

    def gate(self, means: Tensor) -> Tensor:
        """Make the gate of the means over a map, (batch, 1, 1, channels)."""
        # SiLU whatever the model's activation is.
        return torch.sigmoid(self.excite(F.silu(self.squeeze(means))))


class MbConv(nn.Module):
    """Inverted residual: widen, convolve each channel, squeeze and excite, project back.

    Source: MaxViT, section 3.3; authors' ``MBConvBlock``. The widening is of the output's width.

    Parameters
    ----------
    in_channels, channels : int
        In and out.
    config : MaxViTConfig
    halve : bool
        Whether the map's sides are halved.
    drop_path : float
        Rate of stochastic depth.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        config: MaxViTConfig,
        *,
        halve: bool,
        drop_path: float,
    ) -> None:
        super().__init__()
        place = config.downsample_loc if halve else None
        expands = config.expansion_rate > 1
        wide = channels * config.expansion_rate if expands else in_channels
        torchvision = config.flavour == "torchvision"
        self.pre_norm: nn.Module = batch_norm(in_channels, config)
        self.pool_inputs = Pool(config) if place == "inputs" else None
        self.expand_stride = 2 if place == "expand_conv" else 1
        self.expand = dense(in_channels, wide, bias=False) if expands else None
        self.expand_norm: nn.Module | None = batch_norm(wide, config) if expands else None
        self.depthwise = Conv2d(
            wide,
            wide,
            config.kernel_size,
            stride=2 if place == "depth_conv" else 1,
            groups=wide,
            bias=False,
            symmetric=torchvision,
        )
        self.depthwise_norm: nn.Module = batch_norm(wide, config)
        self.squeeze_excite = SqueezeExcite(wide, max(1, int(channels * config.se_ratio)))
        self.project = dense(wide, channels)
        self.pool_shortcut = Pool(config) if halve else None
        differs = in_channels != channels or (torchvision and halve)
        self.project_shortcut = dense(in_channels, channels) if differs else None
        self.drop_path = DropPath(drop_path)
        self.activation = activation(config)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (batch, height, width, in_channels) to ceil(side / stride)."""
        y = self.project(self.squeeze_excite(self.widen(x)))
        return self.shortcut(x) + self.drop_path(y)

    def widen(self, x: Tensor) -> Tensor:
        """Give the wide map, (batch, height, width, channels * expansion_rate), not yet gated."""
        y = self.pre_norm(channels_first(x))
        if self.pool_inputs is not None:
            y = self.pool_inputs(y)
        if self.expand is not None and self.expand_norm is not None:
            y = y[:, :, :: self.expand_stride, :: self.expand_stride]
            y = self.expand_norm(channels_first(self.expand(channels_last(y))))
            y = channels_first(self.activation(channels_last(y)))
        return self.activation(channels_last(self.depthwise_norm(self.depthwise(y))))

    def shortcut(self, x: Tensor) -> Tensor:
        """Give what goes around the convolutions, in their shape."""
        if self.pool_shortcut is not None:
            x = channels_last(self.pool_shortcut(channels_first(x)))
        if self.project_shortcut is not None:
            x = self.project_shortcut(x)
        return x


class AttentionLayer(nn.Module):
    """Attention and then an MLP, each behind a LayerNorm and around a shortcut.

    Parameters
    ----------
    attention : BlockAttention or GridAttention
    channels : int
    config : MaxViTConfig
    drop_path : float
        Rate of stochastic depth, drawn for each of the two branches.
    """

    def __init__(
        self,
        attention: BlockAttention | GridAttention,
        channels: int,
        config: MaxViTConfig,
        *,
        drop_path: float,
    ) -> None:
        super().__init__()
        wide = channels * config.expansion_rate
        self.norm = layer_norm(channels, eps=config.ln_epsilon)
        self.attention = attention
        self.mlp_norm = layer_norm(channels, eps=config.ln_epsilon)
        self.expand = dense(channels, wide)
        self.project = dense(wide, channels)
        self.drop_path = DropPath(drop_path)
        self.activation = activation(config)

    def forward(self, x: Tensor, window: Size | None) -> Tensor:
        """Attend on (batch, height, width, channels) of any size; the shape stays."""
        x = x + self.drop_path(self.attention(self.norm(x), window))
        return x + self.drop_path(self.project(self.activation(self.expand(self.mlp_norm(x)))))


class MaxViTBlock(nn.Module):
    """Convolution, then attention inside blocks, then attention across the grid.

    Source: MaxViT, figure 2. Parameters as in `MbConv`.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        config: MaxViTConfig,
        *,
        halve: bool,
        drop_path: float,
    ) -> None:
        super().__init__()
        self.mbconv = MbConv(in_channels, channels, config, halve=halve, drop_path=drop_path)
        kinds = (BlockAttention, GridAttention)
        self.block, self.grid = (
            AttentionLayer(
                kind(
                    channels,
                    config.head_dim,
                    window,
                    table_window=table_window,
                    relative_bias=config.relative_bias,
                ),
                channels,
                config,
                drop_path=drop_path,
            )
            for kind, window, table_window in zip(
                kinds, config.windows, config.table_windows, strict=True
            )
        )

    def forward(self, x: Tensor, windows: Windows | None = None) -> Tensor:
        """Mix (batch, height, width, in_channels); `windows` replace the configured ones."""
        block_size, grid_size = windows or (None, None)
        return self.grid(self.block(self.mbconv(x), block_size), grid_size)


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


class Head(nn.Module):
    """Mean over the map, LayerNorm, a hidden layer with tanh where there is one, logits."""

    def __init__(self, config: MaxViTConfig) -> None:
        super().__init__()
        width, hidden, classes = config.widths[-1], config.hidden, config.num_classes
        self.norm = layer_norm(width, eps=config.ln_epsilon)
        self.hidden = dense(width, hidden) if hidden else None
        bias = config.flavour != "torchvision"
        self.logits = dense(hidden or width, classes, bias=bias) if classes else None

    def forward(self, features: Tensor, *, pre_logits: bool = False) -> Tensor:
        """Turn a map (batch, height, width, channels) into logits (batch, classes)."""
        x = self.norm(features.mean(dim=(1, 2)))
        if self.hidden is not None:
            x = torch.tanh(self.hidden(x))
        return x if self.logits is None or pre_logits else self.logits(x)
