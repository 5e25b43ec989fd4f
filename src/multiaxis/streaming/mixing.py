"""Token mixing piece by piece: the multi-axis gated MLP and the cross gating.

Both walk the windows of a map twice: once over blocks, once over the grid. A piece is gathered as
(tokens, windows, channels), so that mixing is one matrix product for either kind. Scales and shifts
of norms are folded into what follows them; concatenations in front of a dense layer are sums.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 (the name everyone uses)
from torch import Tensor, nn

from multiaxis.axis import CrossGating, GatedMlp, GatingWeights, MultiAxisGatedMlp, TokenMixing
from multiaxis.axis.layers import gelu
from multiaxis.streaming.pieces import (
    PIECE_BYTES,
    Size,
    gather,
    scatter,
    scatter_add,
    size_of,
    window_pieces,
    windows_view,
)


class Dense:
    """A dense layer as two tensors, composed in float64 from the model's.

    Parameters
    ----------
    weight : Tensor, shape (out, in)
    bias : Tensor, shape (out,), or None
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, dtype: torch.dtype) -> None:
        self.weight = weight.to(dtype).contiguous()
        self.bias = None if bias is None else bias.to(dtype)

    def __call__(self, x: Tensor) -> Tensor:
        """Apply to the last axis."""
        return F.linear(x, self.weight, self.bias)


class Norm:
    """Layer normalisation without its scale and shift, which are folded into what follows."""

    def __init__(self, norm: nn.LayerNorm) -> None:
        # Ones and zeros: torch's kernel with an affine part is the faster one in float32.
        self.shape = norm.normalized_shape
        self.ones = torch.ones_like(norm.weight)
        self.zeros = torch.zeros_like(norm.bias)
        self.eps = norm.eps

    def __call__(self, x: Tensor) -> Tensor:
        """Normalise the last axis."""
        return F.layer_norm(x, self.shape, self.ones, self.zeros, self.eps)


def after_norm(norm: nn.LayerNorm, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor]:
    """Fold a norm's scale and shift into the dense layer behind it, in float64."""
    shift = weight.double() @ norm.bias.double()
    folded = weight.double() * norm.weight.double()
    return folded, shift if bias is None else shift + bias.double()


class _Half:
    """One half of a multi-axis gated MLP, on windows of one kind."""

    def __init__(self, layer: MultiAxisGatedMlp, *, is_grid: bool) -> None:
        dtype = layer.project_in.weight.dtype
        self.is_grid = is_grid
        self.size = _pair(layer.grid_size if is_grid else layer.block_size)
        part = 0 if is_grid else 1  # the grid half comes first
        mlp: GatedMlp = layer.grid_mlp if is_grid else layer.block_mlp
        weight = layer.project_in.weight.chunk(2)[part]
        bias = _halves(layer.project_in.bias)[part]
        self.norm_in, self.norm, self.norm_gate = (
            Norm(layer.norm),
            Norm(mlp.norm),
            Norm(mlp.gate_norm),
        )
        self.enter = Dense(*after_norm(layer.norm, weight, bias), dtype)
        weights = mlp.project_in.weight.chunk(2)
        biases = _halves(mlp.project_in.bias)
        self.u, self.v = (
            Dense(*after_norm(mlp.norm, w, b), dtype) for w, b in zip(weights, biases, strict=True)
        )
        self._fold_mixing(mlp)
        outer = layer.project_out.weight.double().chunk(2, dim=1)[part]
        self.leave = Dense(outer, self._last_bias(layer, mlp, outer), dtype)
        self.leave_gated = Dense(outer @ mlp.project_out.weight.double(), None, dtype)

    def _fold_mixing(self, mlp: GatedMlp) -> None:
        """Gate = u * (scale * (T @ v) + offset): the norm's shift, the bias and the one in one."""
        dtype = mlp.mix.weight.dtype
        tokens = mlp.mix.weight.double()
        offset = tokens.sum(1)[:, None] * mlp.gate_norm.bias.double() + 1
        if mlp.mix.bias is not None:
            offset = offset + mlp.mix.bias.double()[:, None]
        self.tokens = mlp.mix.weight
        self.scale = mlp.gate_norm.weight
        self.offset = offset[:, None].to(dtype)  # (tokens, 1, channels)

    def _last_bias(self, layer: MultiAxisGatedMlp, mlp: GatedMlp, outer: Tensor) -> Tensor | None:
        if mlp.mix.bias is None:  # one switch for all biases
            return None
        through = outer @ mlp.project_out.bias.double()
        own = layer.project_out.bias.double()
        return through if self.is_grid else through + own  # once for both halves

    def __call__(self, x: Tensor, out: Tensor) -> None:
        """Write (the block half, with the shortcut) or add (the grid half) into `out`."""
        source = windows_view(x, self.size, is_grid=self.is_grid)
        target = windows_view(out, self.size, is_grid=self.is_grid)
        pixels = PIECE_BYTES // (x.shape[2] * x.element_size())
        for rows, columns in window_pieces(size_of(x), self.size, pixels):
            piece = gather(source, rows, columns)
            mixed = self._mix(piece)
            if self.is_grid:
                scatter_add(target, rows, columns, mixed)
            else:
                scatter(target, rows, columns, mixed.add_(piece))

    def _mix(self, piece: Tensor) -> Tensor:
        entered = gelu(self.enter(self.norm_in(piece)))
        normed = self.norm(entered)
        gate = mix_tokens(self.tokens, self.norm_gate(gelu(self.v(normed))))
        gate = torch.addcmul(self.offset, gate, self.scale).mul_(gelu(self.u(normed)))
        return self.leave(entered).add_(self.leave_gated(gate))


def _halves(bias: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
    if bias is None:
        return None, None
    first, second = bias.chunk(2)
    return first, second


def _pair(size: tuple[int, ...]) -> Size:
    rows, columns = size
    return rows, columns


def mix_tokens(weight: Tensor, piece: Tensor) -> Tensor:
    """Multiply (tokens, tokens) with (tokens, windows, channels)."""
    return torch.mm(weight, piece.flatten(1)).view(piece.shape)


class MixedMap:
    """A `MultiAxisGatedMlp`, evaluated piece by piece.

    Parameters
    ----------
    layer : MultiAxisGatedMlp
    """

    def __init__(self, layer: MultiAxisGatedMlp) -> None:
        self.block, self.grid = _Half(layer, is_grid=False), _Half(layer, is_grid=True)

    def __call__(self, x: Tensor) -> Tensor:
        """Mix (height, width, channels) into a new map."""
        out = torch.empty_like(x)
        self.block(x, out)
        self.grid(x, out)
        return out


class _Gates:
    """`GatingWeights`: the block part in one walk, the grid part in another."""

    def __init__(self, layer: GatingWeights) -> None:
        dtype = layer.project_in.weight.dtype
        self.norm = Norm(layer.norm)
        weights = layer.project_in.weight.chunk(2)
        biases = _halves(layer.project_in.bias)
        self.grid_in, self.block_in = (
            Dense(*after_norm(layer.norm, w, b), dtype)
            for w, b in zip(weights, biases, strict=True)
        )
        self.grid_mix, self.block_mix = layer.grid_mix, layer.block_mix
        outer = layer.project_out.weight.chunk(2, dim=1)
        self.grid_out = Dense(outer[0], None, dtype)
        self.block_out = Dense(outer[1], layer.project_out.bias, dtype)

    def block(self, a: Tensor) -> Tensor:
        mixed = _mix_with_bias(self.block_mix, gelu(self.block_in(self.norm(a))))
        return self.block_out(mixed)

    def grid(self, a: Tensor) -> Tensor:
        return self.grid_out(_mix_with_bias(self.grid_mix, gelu(self.grid_in(self.norm(a)))))


def _mix_with_bias(layer: TokenMixing, piece: Tensor) -> Tensor:
    mixed = mix_tokens(layer.weight, piece)
    return mixed if layer.bias is None else mixed.add_(layer.bias[:, None, None])


class _Side:
    """What one of the two maps goes through before and after it is gated."""

    def __init__(
        self,
        norm: nn.LayerNorm,
        project_in: nn.Linear,
        gating: GatingWeights,
        project_out: nn.Linear,
    ) -> None:
        dtype = project_in.weight.dtype
        self.norm = Norm(norm)
        self.project_in = Dense(*after_norm(norm, project_in.weight, project_in.bias), dtype)
        self.gates = _Gates(gating)
        self.project_out = Dense(project_out.weight, project_out.bias, dtype)

    def activate(self, piece: Tensor) -> Tensor:
        return gelu(self.project_in(self.norm(piece)))


class CrossGate:
    """A `CrossGating`, evaluated piece by piece, in place.

    Parameters
    ----------
    layer : CrossGating
    """

    def __init__(self, layer: CrossGating) -> None:
        self.block_size = _pair(layer.gating_x.block_size)
        self.grid_size = _pair(layer.gating_x.grid_size)
        self.x = _Side(layer.norm_x, layer.project_in_x, layer.gating_x, layer.project_out_x)
        self.y = _Side(layer.norm_y, layer.project_in_y, layer.gating_y, layer.project_out_y)

    def __call__(self, x: Tensor, y: Tensor) -> None:
        """Gate two maps (height, width, channels) with each other; both are overwritten."""
        gates_x, gates_y = torch.empty_like(x), torch.empty_like(y)
        pixels = PIECE_BYTES // (x.shape[2] * x.element_size())
        maps = [x, y, gates_x, gates_y]
        views = [windows_view(m, self.block_size, is_grid=False) for m in maps]
        for place in window_pieces(size_of(x), self.block_size, pixels):
            scatter(views[2], *place, self.x.gates.block(self.x.activate(gather(views[0], *place))))
            scatter(views[3], *place, self.y.gates.block(self.y.activate(gather(views[1], *place))))
        views = [windows_view(m, self.grid_size, is_grid=True) for m in maps]
        for place in window_pieces(size_of(x), self.grid_size, pixels):
            one, other, gate_x, gate_y = (gather(view, *place) for view in views)
            # Recomputed: cheaper than two more maps.
            a, b = self.x.activate(one), self.y.activate(other)
            gate_x += self.x.gates.grid(a)
            gate_y += self.y.gates.grid(b)
            other += self.y.project_out(gate_x.mul_(b))
            one += self.x.project_out(gate_y.mul_(a))
            one += other
            scatter(views[0], *place, one)
            scatter(views[1], *place, other)
