"""Slow, obvious references: loops over windows and single pixels, no reshapes."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor
from torch.nn import functional as F

from multiaxis.axis import (
    BlockAttention,
    CrossGating,
    GatedMlp,
    GatingWeights,
    GridAttention,
    MultiAxisGatedMlp,
    TokenMixing,
)


def positions(spatial: tuple[int, ...]) -> list[tuple[int, ...]]:
    return list(itertools.product(*map(range, spatial)))


def block_windows(spatial: tuple[int, ...], size: tuple[int, ...]) -> list[list[tuple[int, ...]]]:
    """For each block, in order, the pixels in it, in order."""
    return [
        [p for p in positions(spatial) if all(q // s == c for q, s, c in zip(p, size, corner))]
        for corner in positions(tuple(n // s for n, s in zip(spatial, size)))
    ]


def grid_windows(spatial: tuple[int, ...], size: tuple[int, ...]) -> list[list[tuple[int, ...]]]:
    """For each place inside a cell, in order, the pixel there of every cell, in order."""
    cell = tuple(n // s for n, s in zip(spatial, size))
    return [
        [p for p in positions(spatial) if all(q % c == o for q, c, o in zip(p, cell, offset))]
        for offset in positions(cell)
    ]


def split(x: Tensor, windows: list[list[tuple[int, ...]]]) -> Tensor:
    """(batch, *spatial, channels) to (batch, windows, tokens, channels), pixel by pixel."""
    return torch.stack(
        [
            torch.stack([torch.stack([sample[p] for p in window]) for window in windows])
            for sample in x
        ]
    )


def norm(x: Tensor, layer: torch.nn.LayerNorm) -> Tensor:
    mean = x.mean(-1, keepdim=True)
    variance = ((x - mean) ** 2).mean(-1, keepdim=True)
    return (x - mean) / torch.sqrt(variance + 1e-6) * layer.weight + layer.bias


def tanh_gelu(x: Tensor) -> Tensor:
    return 0.5 * x * (1 + torch.tanh(0.7978845608028654 * (x + 0.044715 * x**3)))


def mix_tokens(x: Tensor, layer: TokenMixing, windows: list[list[tuple[int, ...]]]) -> Tensor:
    """Mix each window of a map in place; pixels are looked up one by one."""
    out = torch.empty_like(x)
    for window in windows:
        for t, p in enumerate(window):
            mixed = sum(layer.weight[t, s] * x[(slice(None), *q)] for s, q in enumerate(window))
            out[(slice(None), *p)] = mixed if layer.bias is None else mixed + layer.bias[t]
    return out


def gated_mlp(x: Tensor, layer: GatedMlp, windows: list[list[tuple[int, ...]]]) -> Tensor:
    y = tanh_gelu(F.linear(norm(x, layer.norm), layer.project_in.weight, layer.project_in.bias))
    half = y.shape[-1] // 2
    u, v = y[..., :half], y[..., half:]
    gate = mix_tokens(norm(v, layer.gate_norm), layer.mix, windows) + 1
    return x + F.linear(u * gate, layer.project_out.weight, layer.project_out.bias)


def multi_axis(x: Tensor, layer: MultiAxisGatedMlp) -> Tensor:
    spatial = tuple(x.shape[1:-1])
    y = tanh_gelu(F.linear(norm(x, layer.norm), layer.project_in.weight, layer.project_in.bias))
    half = y.shape[-1] // 2
    u = gated_mlp(y[..., :half], layer.grid_mlp, grid_windows(spatial, layer.grid_size))
    v = gated_mlp(y[..., half:], layer.block_mlp, block_windows(spatial, layer.block_size))
    out = torch.cat([u, v], -1)
    return x + F.linear(out, layer.project_out.weight, layer.project_out.bias)


def gating_weights(x: Tensor, layer: GatingWeights) -> Tensor:
    spatial = tuple(x.shape[1:-1])
    y = tanh_gelu(F.linear(norm(x, layer.norm), layer.project_in.weight, layer.project_in.bias))
    half = y.shape[-1] // 2
    u = mix_tokens(y[..., :half], layer.grid_mix, grid_windows(spatial, layer.grid_size))
    v = mix_tokens(y[..., half:], layer.block_mix, block_windows(spatial, layer.block_size))
    out = torch.cat([u, v], -1)
    return F.linear(out, layer.project_out.weight, layer.project_out.bias)


def cross_gating(x: Tensor, y: Tensor, layer: CrossGating) -> tuple[Tensor, Tensor]:
    a = tanh_gelu(
        F.linear(norm(x, layer.norm_x), layer.project_in_x.weight, layer.project_in_x.bias)
    )
    b = tanh_gelu(
        F.linear(norm(y, layer.norm_y), layer.project_in_y.weight, layer.project_in_y.bias)
    )
    gate_a, gate_b = gating_weights(a, layer.gating_x), gating_weights(b, layer.gating_y)
    out_y, out_x = layer.project_out_y, layer.project_out_x
    new_y = F.linear(b * gate_a, out_y.weight, out_y.bias) + y
    new_x = F.linear(a * gate_b, out_x.weight, out_x.bias) + new_y + x
    return new_x, new_y


def attention(
    x: Tensor, layer: BlockAttention | GridAttention, size: tuple[int, ...] | None = None
) -> Tensor:
    """Attend pixel by pixel; windows are those of the padded map, without the padded pixels."""
    size = layer.window if size is None else size
    spatial = tuple(x.shape[1:-1])
    padded = tuple(-(-n // s) * s for n, s in zip(spatial, size))
    is_block = isinstance(layer, BlockAttention)
    windows = (block_windows if is_block else grid_windows)(padded, size)
    inside = list(itertools.product(*map(range, size)))
    qkv = x @ layer.qkv.weight.T + layer.qkv.bias
    heads, width = layer.heads, layer.head_dim
    out = torch.zeros(*x.shape[:-1], heads, width, dtype=x.dtype)
    for window in windows:
        real = [t for t, p in enumerate(window) if all(q < n for q, n in zip(p, spatial))]
        for t, h in itertools.product(real, range(heads)):
            at = (slice(None), *window[t])
            q = qkv[at][:, h * width : (h + 1) * width]
            logits, values = [], []
            for s in real:
                other = qkv[(slice(None), *window[s])]
                k = other[:, (heads + h) * width : (heads + h + 1) * width]
                logit = (q * k).sum(-1) / width**0.5
                if layer.bias is not None:
                    table = layer.bias.table[h if layer.bias.table.shape[0] > 1 else 0]
                    place = [b - a + n - 1 for a, b, n in zip(inside[t], inside[s], size)]
                    logit = logit + table[tuple(place)]
                logits.append(logit)
                values.append(other[:, (2 * heads + h) * width : (2 * heads + h + 1) * width])
            weights = torch.stack(logits).softmax(0)
            out[(*at, h)] = (weights[..., None] * torch.stack(values)).sum(0)
    return out.flatten(-2) @ layer.out.weight.T + layer.out.bias
