"""The multi-axis gated MLP: half of the channels mix inside blocks, half across the grid."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from multiaxis.axis.layers import check_channels, dense, gelu, layer_norm, normal
from multiaxis.axis.partition import block, grid, sizes, unblock, ungrid


class TokenMixing(nn.Module):
    """A dense layer over the tokens of each window, the same for every channel.

    Parameters
    ----------
    tokens : int
        Tokens in a window.
    bias : bool
        Whether each output token has a bias.
    bias_init : float
        Start value of the biases.
    """

    def __init__(self, tokens: int, *, bias: bool = True, bias_init: float = 0.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(tokens, tokens))  # (output token, input token)
        normal(self.weight.data, tokens)
        self.bias = nn.Parameter(torch.full((tokens,), bias_init)) if bias else None

    def forward(self, windows: Tensor) -> Tensor:
        """Mix (..., tokens, channels) along the tokens; the shape stays."""
        mixed = torch.matmul(self.weight, windows)
        return mixed if self.bias is None else mixed + self.bias[:, None]


class GatedMlp(nn.Module):
    """A gated MLP on the tokens of each window.

    Half of the widened channels, mixed over the tokens, gates the other half:
    ``u * (mix(norm(v)) + 1)``. Source: MAXIM, section 3.2 after gMLP; the authors'
    ``BlockGmlpLayer`` and ``GridGmlpLayer`` are this one layer on two kinds of windows.

    Parameters
    ----------
    channels : int
        Channels in and out.
    tokens : int
        Tokens in a window.
    factor : int
        Widening before the split into halves; ``channels * factor`` must be even.
    use_bias : bool
        Whether dense layers have a bias; norms always do.
    dropout : float
        Rate of the dropout on the output projection while training.
    """

    def __init__(
        self,
        channels: int,
        tokens: int,
        *,
        factor: int = 2,
        use_bias: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        half = channels * factor // 2
        self.norm = layer_norm(channels)
        self.project_in = dense(channels, 2 * half, bias=use_bias)
        self.gate_norm = layer_norm(half)
        self.mix = TokenMixing(tokens, bias=use_bias)
        self.project_out = dense(half, channels, bias=use_bias)
        self.dropout = nn.Dropout(dropout)

    def forward(self, windows: Tensor) -> Tensor:
        """Mix (..., tokens, channels) inside each window; the shape stays."""
        u, v = gelu(self.project_in(self.norm(windows))).chunk(2, dim=-1)
        gated = u * (self.mix(self.gate_norm(v)) + 1)
        return windows + self.dropout(self.project_out(gated))


class MultiAxisGatedMlp(nn.Module):
    """Grid mixing of the first half of the channels beside block mixing of the second half.

    Every output pixel depends on its whole block and on its place in every grid cell, at a cost
    linear in the pixels. Source: MAXIM, figure 2 (c); authors' ``MultiAxisGmlpLayer``.

    Parameters
    ----------
    channels : int
        Channels in and out.
    block_size, grid_size : sequence of int, one per spatial axis
        Window of the block half; cells of the grid half. Both must divide the map.
    projection_factor : int
        Widening before the split into halves; ``channels * projection_factor`` must be even.
    block_factor, grid_factor : int
        Widening inside each half's `GatedMlp`.
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
        projection_factor: int = 2,
        block_factor: int = 2,
        grid_factor: int = 2,
        use_bias: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.block_size = sizes(block_size, "block_size")
        self.grid_size = sizes(grid_size, "grid_size")
        half = channels * projection_factor // 2
        self.norm = layer_norm(channels)
        self.project_in = dense(channels, 2 * half, bias=use_bias)
        self.grid_mlp = GatedMlp(
            half, math.prod(grid_size), factor=grid_factor, use_bias=use_bias, dropout=dropout
        )
        self.block_mlp = GatedMlp(
            half,
            math.prod(block_size),
            factor=block_factor,
            use_bias=use_bias,
            dropout=dropout,
        )
        self.project_out = dense(2 * half, channels, bias=use_bias)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Mix a map (batch, *spatial, channels); the shape stays."""
        check_channels(x, self.norm.normalized_shape[0])
        spatial = x.shape[1:-1]
        u, v = gelu(self.project_in(self.norm(x))).chunk(2, dim=-1)
        u = ungrid(self.grid_mlp(grid(u, self.grid_size)), self.grid_size, spatial)
        v = unblock(self.block_mlp(block(v, self.block_size)), self.block_size, spatial)
        return x + self.dropout(self.project_out(torch.cat([u, v], dim=-1)))
