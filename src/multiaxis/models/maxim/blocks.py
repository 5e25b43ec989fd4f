"""The blocks of MAXIM's U-Nets. Maps are (batch, height, width, channels) throughout."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 (the name everyone uses)
from torch import Tensor, nn

from multiaxis.axis import CrossGating, MultiAxisGatedMlp
from multiaxis.axis.layers import dense, gelu, layer_norm, lecun_normal
from multiaxis.models.maxim.config import MaximConfig

LRELU_SLOPE = 0.2  # the authors' field lrelu_slope never reaches the block that would use it


class Conv2d(nn.Conv2d):
    """A convolution on channels-last maps, zeros outside, same size (or size / stride)."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int, *, stride: int = 1, bias: bool
    ) -> None:
        super().__init__(
            in_channels, out_channels, kernel, stride, padding=(kernel - 1) // 2, bias=bias
        )
        lecun_normal(self.weight.data, in_channels * kernel**2)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, input: Tensor) -> Tensor:
        """Convolve (batch, height, width, in_channels)."""
        # A channels-last map seen as (B, C, H, W) is torch's channels_last: nothing is copied.
        return super().forward(input.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


class Upsample(nn.ConvTranspose2d):
    """A 2x2 transposed convolution of stride 2: every pixel becomes a square of four."""

    def __init__(self, in_channels: int, out_channels: int, *, bias: bool) -> None:
        super().__init__(in_channels, out_channels, 2, 2, bias=bias)
        lecun_normal(self.weight.data, in_channels * 4)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Double (batch, height, width, in_channels) in height and width."""
        return super().forward(input.permute(0, 3, 1, 2), output_size).permute(0, 2, 3, 1)


class Rescale(nn.Module):
    """Resize bilinearly by a power of two, then a dense layer (authors: ``UpSampleRatio``).

    Shrinking is anti-aliased, as in JAX: without it a restored photograph is off by 39 dB.
    """

    def __init__(self, in_channels: int, out_channels: int, ratio: float, *, bias: bool) -> None:
        super().__init__()
        self.ratio = ratio
        self.project = dense(in_channels, out_channels, bias=bias, init=lecun_normal)

    def forward(self, x: Tensor) -> Tensor:
        """Resize (batch, height, width, channels) by `ratio`."""
        if self.ratio != 1:
            size = [int(n * self.ratio) for n in x.shape[1:3]]
            shrinks = self.ratio < 1
            # torch has no anti-aliased kernel for 16-bit floats on CPUs.
            source = x.float() if shrinks and x.dtype.itemsize == 2 else x
            resized = F.interpolate(
                source.permute(0, 3, 1, 2), size, mode="bilinear", antialias=shrinks
            )
            x = resized.permute(0, 2, 3, 1).to(x.dtype)
        return self.project(x)


class ChannelAttention(nn.Module):
    """Scale each channel by a gate made from the means over the whole map (``CALayer``)."""

    def __init__(self, channels: int, reduction: int, *, bias: bool) -> None:
        super().__init__()
        self.squeeze = dense(channels, channels // reduction, bias=bias, init=lecun_normal)
        self.excite = dense(channels // reduction, channels, bias=bias, init=lecun_normal)

    def forward(self, x: Tensor) -> Tensor:
        """Gate (batch, height, width, channels)."""
        means = x.mean(dim=(1, 2), keepdim=True)
        return x * torch.sigmoid(self.excite(F.relu(self.squeeze(means))))


class ConvAttention(nn.Module):
    """Two 3x3 convolutions and channel attention around a shortcut (authors: ``RCAB``)."""

    def __init__(self, channels: int, reduction: int, *, bias: bool) -> None:
        super().__init__()
        self.norm = layer_norm(channels)
        self.conv1 = Conv2d(channels, channels, 3, bias=bias)
        self.conv2 = Conv2d(channels, channels, 3, bias=bias)
        self.attention = ChannelAttention(channels, reduction, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Refine (batch, height, width, channels)."""
        y = F.leaky_relu(self.conv1(self.norm(x)), LRELU_SLOPE)
        return x + self.attention(self.conv2(y))


class DenseAttention(nn.Module):
    """A channel MLP and channel attention around a shortcut (authors: ``RDCAB``)."""

    def __init__(self, channels: int, reduction: int, *, bias: bool, dropout: float) -> None:
        super().__init__()
        self.norm = layer_norm(channels)
        self.dense1 = dense(channels, channels, bias=bias)
        self.dense2 = dense(channels, channels, bias=bias)
        self.dropout = nn.Dropout(dropout)
        self.attention = ChannelAttention(channels, reduction, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Refine (batch, height, width, channels)."""
        y = self.dense2(self.dropout(gelu(self.dense1(self.norm(x)))))
        return x + self.attention(y)


class CrossGatingBlock(nn.Module):
    """Bring two maps to one width, then let them gate each other (authors: ``CrossGatingBlock``).

    Parameters
    ----------
    config : MaximConfig
    level : int
        Resolution of the result; sets its width and the block and grid sizes.
    x_channels, y_channels : int
        Channels of the signal and of the gating signal.
    upsample_y : bool
        Whether the gating signal comes from the level below and is doubled first.
    """

    def __init__(
        self,
        config: MaximConfig,
        level: int,
        x_channels: int,
        y_channels: int,
        *,
        upsample_y: bool = False,
    ) -> None:
        super().__init__()
        width, bias = config.width(level), config.use_bias
        self.up_y = Upsample(y_channels, width, bias=bias) if upsample_y else None
        self.project_x = dense(x_channels, width, bias=bias, init=lecun_normal)
        self.project_y = dense(
            width if upsample_y else y_channels, width, bias=bias, init=lecun_normal
        )
        self.gate = CrossGating(
            width, *config.sizes(level), use_bias=bias, dropout=config.dropout_rate
        )

    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Gate the signal `x` with `y`; returns (x, y), both of the level's width."""
        if self.up_y is not None:
            y = self.up_y(y)
        return self.gate(self.project_x(x), self.project_y(y))


class MixingGroup(nn.Module):
    """One pair of multi-axis gated MLP (unless switched off) and convolutional attention."""

    def __init__(self, config: MaximConfig, level: int, *, projection_factor: int) -> None:
        super().__init__()
        width = config.width(level)
        self.mlp = (
            _multi_axis(config, width, *config.sizes(level), projection_factor=projection_factor)
            if config.use_global_mlp
            else None
        )
        self.refine = ConvAttention(width, config.channels_reduction, bias=config.use_bias)

    def forward(self, x: Tensor) -> Tensor:
        """Mix (batch, height, width, channels)."""
        return self.refine(x if self.mlp is None else self.mlp(x))


class LevelBlock(nn.Module):
    """What encoder and decoder do at one level (authors: ``UNetEncoderBlock`` without its ends)."""

    def __init__(
        self, config: MaximConfig, level: int, in_channels: int, *, projection_factor: int
    ) -> None:
        super().__init__()
        self.project = dense(
            in_channels, config.width(level), bias=config.use_bias, init=lecun_normal
        )
        self.groups = nn.ModuleList(
            MixingGroup(config, level, projection_factor=projection_factor)
            for _ in range(config.num_groups)
        )

    def forward(self, x: Tensor, skip: Tensor | None) -> Tensor:
        """Mix `x`, with `skip` behind it in the channels where there is one."""
        shortcut = self.project(x if skip is None else torch.cat([x, skip], dim=-1))
        x = shortcut
        for group in self.groups:
            x = group(x)
        return x + shortcut


class EncoderBlock(nn.Module):
    """One level of the encoder, gated by the stage before where there is one."""

    def __init__(
        self, config: MaximConfig, level: int, in_channels: int, *, is_gated: bool
    ) -> None:
        super().__init__()
        width = config.width(level)
        self.body = LevelBlock(
            config, level, in_channels, projection_factor=config.input_proj_factor
        )
        self.cross = CrossGatingBlock(config, level, width, width) if is_gated else None
        self.down = Conv2d(width, width, 4, stride=2, bias=config.use_bias)

    def forward(
        self, x: Tensor, skip: Tensor | None, earlier: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Return the map at half resolution and the bridge at full resolution of the level.

        `earlier` is the bridge plus the decoder's map of the stage before.
        """
        bridge = self.body(x, skip)
        if self.cross is not None and earlier is not None:
            bridge, _ = self.cross(bridge, earlier)
        return self.down(bridge), bridge


class DecoderBlock(nn.Module):
    """One level of the decoder: double the map, then mix it with the gated bridges."""

    def __init__(
        self, config: MaximConfig, level: int, in_channels: int, bridge_channels: int
    ) -> None:
        super().__init__()
        width = config.width(level)
        self.up = Upsample(in_channels, width, bias=config.use_bias)
        # The authors do not forward input_proj_factor to the decoder.
        self.body = LevelBlock(config, level, width + bridge_channels, projection_factor=2)

    def forward(self, x: Tensor, bridge: Tensor) -> Tensor:
        """Decode `x` from the level below with the bridges of this level."""
        return self.body(self.up(x), bridge)


class BottleneckBlock(nn.Module):
    """Mixing at the lowest resolution; block and grid both have the size `block_size_lr`."""

    def __init__(self, config: MaximConfig) -> None:
        super().__init__()
        width, bias, size = config.width(config.depth - 1), config.use_bias, config.block_size_lr
        self.project = dense(width, width, bias=bias, init=lecun_normal)
        self.mlps = nn.ModuleList(
            _multi_axis(config, width, size, size, projection_factor=config.input_proj_factor)
            for _ in range(config.num_groups)
        )
        self.refines = nn.ModuleList(
            DenseAttention(width, config.channels_reduction, bias=bias, dropout=config.dropout_rate)
            for _ in range(config.num_groups)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Mix (batch, height, width, channels)."""
        x = shortcut = self.project(x)
        for mlp, refine in zip(self.mlps, self.refines, strict=True):
            x = refine(mlp(x))
        return x + shortcut


class SupervisedAttention(nn.Module):
    """Make a stage's picture and let it point out what the next stage should see (``SAM``)."""

    def __init__(self, config: MaximConfig, level: int) -> None:
        super().__init__()
        width, bias = config.width(level), config.use_bias
        self.adds_image = config.num_outputs == 3  # as in the authors' code
        self.features = Conv2d(width, width, 3, bias=bias)
        self.picture = Conv2d(width, config.num_outputs, 3, bias=bias)
        self.mask = Conv2d(config.num_outputs, width, 3, bias=bias)

    def forward(self, x: Tensor, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return the attended features and the supervised picture of this stage and scale."""
        picture = self.picture(x)
        if self.adds_image:
            picture = picture + image
        return self.features(x) * torch.sigmoid(self.mask(picture)) + x, picture


def _multi_axis(
    config: MaximConfig,
    width: int,
    block_size: tuple[int, int],
    grid_size: tuple[int, int],
    *,
    projection_factor: int,
) -> MultiAxisGatedMlp:
    return MultiAxisGatedMlp(
        width,
        block_size,
        grid_size,
        projection_factor=projection_factor,
        block_factor=config.block_gmlp_factor,
        grid_factor=config.grid_gmlp_factor,
        use_bias=config.use_bias,
        dropout=config.dropout_rate,
    )
