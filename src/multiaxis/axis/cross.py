"""Cross gating: two maps of equal shape gate each other through multi-axis weights."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from multiaxis.axis.gating import TokenMixing
from multiaxis.axis.layers import check_channels, dense, gelu, layer_norm, lecun_normal
from multiaxis.axis.partition import block, grid, sizes, unblock, ungrid


class GatingWeights(nn.Module):
    """Gates for every pixel and channel, from grid mixing beside block mixing.

    Unlike the gated MLP there is no inner norm and no inner gate; the token biases start at one.
    Source: authors' ``GetSpatialGatingWeights`` (``SplitHeadMultiAxisGating`` in checkpoints).

    Parameters
    ----------
    channels : int
        Channels in and out.
    block_size, grid_size : sequence of int, one per spatial axis
        Window of the block half; cells of the grid half. Both must divide the map.
    use_bias : bool
        Whether dense layers have a bias; the norm always does.
    dropout : float
        Rate of the dropout on the output projection while training.
    """

    def __init__(
        self,
        channels: int,
        block_size: Sequence[int],
        grid_size: Sequence[int],
        *,
        use_bias: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.block_size = sizes(block_size, "block_size")
        self.grid_size = sizes(grid_size, "grid_size")
        self.norm = layer_norm(channels)
        self.project_in = dense(channels, 2 * channels, bias=use_bias, init=lecun_normal)
        self.grid_mix = TokenMixing(math.prod(self.grid_size), bias=use_bias, bias_init=1.0)
        self.block_mix = TokenMixing(math.prod(self.block_size), bias=use_bias, bias_init=1.0)
        self.project_out = dense(2 * channels, channels, bias=use_bias, init=lecun_normal)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Turn a map (batch, *spatial, channels) into gates of the same shape."""
        check_channels(x, self.norm.normalized_shape[0])
        spatial = x.shape[1:-1]
        u, v = gelu(self.project_in(self.norm(x))).chunk(2, dim=-1)
        u = ungrid(self.grid_mix(grid(u, self.grid_size)), self.grid_size, spatial)
        v = unblock(self.block_mix(block(v, self.block_size)), self.block_size, spatial)
        return self.dropout(self.project_out(torch.cat([u, v], dim=-1)))


class CrossGating(nn.Module):
    """Two maps gate each other: each is multiplied by gates made from the other.

    Source: MAXIM, figure 2 (d); the middle of the authors' ``CrossGatingBlock``.

    Parameters
    ----------
    channels : int
        Channels of both maps.
    block_size, grid_size : sequence of int, one per spatial axis
        As in `GatingWeights`.
    use_bias : bool
        Whether dense layers have a bias; norms always do.
    dropout : float
        Rate of the dropout on output projections while training.
    """

    def __init__(
        self,
        channels: int,
        block_size: Sequence[int],
        grid_size: Sequence[int],
        *,
        use_bias: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()

        def gating() -> GatingWeights:
            return GatingWeights(
                channels, block_size, grid_size, use_bias=use_bias, dropout=dropout
            )

        def project() -> nn.Linear:
            return dense(channels, channels, bias=use_bias, init=lecun_normal)

        self.norm_x, self.norm_y = layer_norm(channels), layer_norm(channels)
        self.project_in_x, self.project_in_y = project(), project()
        self.gating_x, self.gating_y = gating(), gating()
        self.project_out_x, self.project_out_y = project(), project()
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Gate the signal `x` and the gating signal `y`, both (batch, *spatial, channels).

        Returns
        -------
        x, y : Tensor, shape (batch, *spatial, channels)
            `y` gated by `x`, plus its input; `x` gated by `y`, plus its input and the new `y`.
        """
        for each in (x, y):
            check_channels(each, self.norm_x.normalized_shape[0])
        a = gelu(self.project_in_x(self.norm_x(x)))
        b = gelu(self.project_in_y(self.norm_y(y)))
        y = y + self.dropout(self.project_out_y(b * self.gating_x(a)))
        x = x + self.dropout(self.project_out_x(a * self.gating_y(b))) + y
        return x, y
