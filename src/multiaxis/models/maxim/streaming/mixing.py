"""Token mixing piece by piece: the multi-axis gated MLP and the cross gating.

Both walk the windows of a map twice: once over blocks, once over the grid. A piece is gathered as
(tokens, windows, channels), so that mixing is one matrix product for either kind. Scales and shifts
of norms are folded into what follows them; concatenations in front of a dense layer are sums.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from multiaxis.axis import CrossGating, GatedMlp, GatingWeights, MultiAxisGatedMlp, TokenMixing
from multiaxis.models.maxim.streaming.dense import Dense, Norm, after_norm, halves, precise
from multiaxis.models.maxim.streaming.pieces import Size, gather, scatter, scatter_add, windows_view
from multiaxis.models.maxim.streaming.workspace import Workspace


class _Half:
    """One half of a multi-axis gated MLP, on windows of one kind."""

    def __init__(self, layer: MultiAxisGatedMlp, dtype: torch.dtype, *, is_grid: bool) -> None:
        self.is_grid = is_grid
        self.size = _pair(layer.grid_size if is_grid else layer.block_size)
        part = 0 if is_grid else 1  # the grid half comes first
        mlp: GatedMlp = layer.grid_mlp if is_grid else layer.block_mlp
        weight = layer.project_in.weight.chunk(2)[part]
        bias = halves(layer.project_in.bias)[part]
        self.norm_in, self.norm = (Norm(n, dtype, folded=True) for n in (layer.norm, mlp.norm))
        self.norm_gate = Norm(mlp.gate_norm, dtype, folded=False)
        self.enter = Dense(*after_norm(layer.norm, weight, bias), dtype)
        weights = mlp.project_in.weight.chunk(2)
        biases = halves(mlp.project_in.bias)
        self.u, self.v = (
            Dense(*after_norm(mlp.norm, w, b), dtype) for w, b in zip(weights, biases, strict=True)
        )
        self.mix = _Mix(mlp.mix, dtype, constant=1)  # the gate is one and what is mixed
        outer = precise(layer.project_out.weight).chunk(2, dim=1)[part]
        self.leave = Dense(outer, self._last_bias(layer, mlp, outer), dtype)
        self.leave_gated = Dense(outer @ precise(mlp.project_out.weight), None, dtype)

    def _last_bias(self, layer: MultiAxisGatedMlp, mlp: GatedMlp, outer: Tensor) -> Tensor | None:
        if mlp.mix.bias is None:  # one switch for all biases
            return None
        through = outer @ precise(mlp.project_out.bias)
        own = precise(layer.project_out.bias)
        return through if self.is_grid else through + own  # once for both halves

    def __call__(self, x: Tensor, out: Tensor, work: Workspace) -> None:
        """Write (the block half, with the shortcut) or add (the grid half) into `out`."""
        source = windows_view(x, self.size, is_grid=self.is_grid)
        target = windows_view(out, self.size, is_grid=self.is_grid)
        for rows, columns in work.pieces(x, self.size):
            piece = gather(source, rows, columns, work.compute)
            if self.is_grid:
                scatter_add(target, rows, columns, self._mix(piece))
            else:
                scatter(target, rows, columns, self._mix(piece, shortcut=piece))

    def _mix(self, piece: Tensor, *, shortcut: Tensor | None = None) -> Tensor:
        entered = self.enter.activated(self.norm_in(piece))
        normed = self.norm(entered)
        gate = self.mix(self.norm_gate(self.v.activated(normed)))
        gate.mul_(self.u.activated(normed))
        leave = self.leave_gated
        gated = leave(gate) if shortcut is None else leave.added(gate, shortcut)
        return self.leave.added(entered, gated)


def _pair(size: tuple[int, ...]) -> Size:
    rows, columns = size
    return rows, columns


class _Mix:
    """`TokenMixing` of a gathered piece (tokens, windows, channels): one matrix product."""

    def __init__(self, layer: TokenMixing, dtype: torch.dtype, *, constant: float = 0) -> None:
        self.weight = layer.weight.to(dtype)
        bias = torch.full_like(layer.weight[:, :1], constant)
        if layer.bias is not None:
            bias = bias + layer.bias[:, None]
        self.bias = bias.to(dtype)

    def __call__(self, piece: Tensor) -> Tensor:
        return torch.addmm(self.bias, self.weight, piece.flatten(1)).view(piece.shape)


class MixedMap:
    """A `MultiAxisGatedMlp`, evaluated piece by piece.

    Parameters
    ----------
    layer : MultiAxisGatedMlp
    dtype : torch.dtype
        Of the folded weights.
    """

    def __init__(self, layer: MultiAxisGatedMlp, dtype: torch.dtype) -> None:
        self.block = _Half(layer, dtype, is_grid=False)
        self.grid = _Half(layer, dtype, is_grid=True)

    def __call__(self, x: Tensor, work: Workspace) -> Tensor:
        """Mix (height, width, channels) into a new map."""
        out = work.like(x)
        self.block(x, out, work)
        self.grid(x, out, work)
        return out


class _Gates:
    """`GatingWeights`: the block part in one walk, the grid part in another."""

    def __init__(self, layer: GatingWeights, dtype: torch.dtype) -> None:
        self.norm = Norm(layer.norm, dtype, folded=True)
        weights = layer.project_in.weight.chunk(2)
        biases = halves(layer.project_in.bias)
        self.grid_in, self.block_in = (
            Dense(*after_norm(layer.norm, w, b), dtype)
            for w, b in zip(weights, biases, strict=True)
        )
        self.grid_mix, self.block_mix = _Mix(layer.grid_mix, dtype), _Mix(layer.block_mix, dtype)
        outer = layer.project_out.weight.chunk(2, dim=1)
        self.grid_out = Dense(outer[0], None, dtype)
        self.block_out = Dense(outer[1], layer.project_out.bias, dtype)

    def block(self, a: Tensor, gated: Tensor) -> Tensor:
        """Gate a map by this one's blocks."""
        mixed = self.block_mix(self.block_in.activated(self.norm(a)))
        return self.block_out.multiplied(mixed, gated)

    def grid(self, a: Tensor, gated: Tensor) -> Tensor:
        """Gate a map by this one's grid."""
        mixed = self.grid_mix(self.grid_in.activated(self.norm(a)))
        return self.grid_out.multiplied(mixed, gated)


class _Side:
    """What one of the two maps goes through before it is gated, and its gates."""

    def __init__(
        self, norm: nn.LayerNorm, project_in: nn.Linear, gating: GatingWeights, dtype: torch.dtype
    ) -> None:
        self.norm = Norm(norm, dtype, folded=True)
        self.project_in = Dense(*after_norm(norm, project_in.weight, project_in.bias), dtype)
        self.gates = _Gates(gating, dtype)

    def activate(self, piece: Tensor) -> Tensor:
        return self.project_in.activated(self.norm(piece))


class CrossGate:
    """A `CrossGating`, evaluated piece by piece.

    Both outputs are sums over the two kinds of windows, so what the blocks give is added up while
    the grid's part is still missing: gates are never kept as maps.

    Parameters
    ----------
    layer : CrossGating
    dtype : torch.dtype
        Of the folded weights.
    """

    def __init__(self, layer: CrossGating, dtype: torch.dtype) -> None:
        self.block_size = _pair(layer.gating_x.block_size)
        self.grid_size = _pair(layer.gating_x.grid_size)
        self.x = _Side(layer.norm_x, layer.project_in_x, layer.gating_x, dtype)
        self.y = _Side(layer.norm_y, layer.project_in_y, layer.gating_y, dtype)
        # The bias once: with the blocks.
        self.out_x, self.out_y = (
            (Dense(out.weight, out.bias, dtype), Dense(out.weight, None, dtype))
            for out in (layer.project_out_x, layer.project_out_y)
        )

    def __call__(
        self, x: Tensor, y: Tensor, work: Workspace, *, keep_y: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """Gate two maps (height, width, channels) with each other.

        Returns
        -------
        tuple of Tensor
            New maps: `x` gated, with `y` gated added to it; and `y` gated, if it is kept.
        """
        out, out_y = work.like(x), work.like(y) if keep_y else None
        for is_grid, size in enumerate((self.block_size, self.grid_size)):
            view = partial(windows_view, size=size, is_grid=bool(is_grid))
            sources, target = [view(x), view(y)], view(out)
            target_y = None if out_y is None else view(out_y)
            for place in work.pieces(x, size):
                one, other = (gather(source, *place, work.compute) for source in sources)
                gated, gated_y = self._gate(one, other, is_grid=is_grid)
                put = scatter_add if is_grid else scatter
                put(target, *place, gated)
                if target_y is not None:
                    put(target_y, *place, gated_y)
        return out, out_y

    def _gate(self, one: Tensor, other: Tensor, *, is_grid: int) -> tuple[Tensor, Tensor]:
        """Return what a piece gives to both outputs; blocks bring the shortcuts, the grid none."""
        a, b = self.x.activate(one), self.y.activate(other)
        gates_x, gates_y = self.x.gates, self.y.gates
        if is_grid:
            gated_y = self.out_y[1](gates_x.grid(a, b))
            return self.out_x[1].added(gates_y.grid(b, a), gated_y), gated_y
        gated_y = self.out_y[0].added(gates_x.block(a, b), other)
        return self.out_x[0].added(gates_y.block(b, a), one).add_(gated_y), gated_y
