"""Relative position bias: what attention adds to a logit for the way from query to key."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from multiaxis.axis.layers import is_recorded, normal
from multiaxis.axis.partition import sizes
from multiaxis.errors import ShapeError

Window = tuple[int, ...]
"""Tokens along each spatial axis of a window."""


def _index(window: Window, device: torch.device) -> Tensor:
    """Where (query, key) looks into the flattened table; key minus query on each axis."""
    # Arithmetic throughout: compilers and exporters make a constant of it.
    index = torch.zeros((), dtype=torch.int64, device=device)
    for axis, (size, table) in enumerate(zip(window, table_sizes(window), strict=True)):
        place = torch.arange(size, device=device)
        place = place.reshape([-1 if k == axis else 1 for k in range(len(window))])
        place = place.expand(window).reshape(-1)
        index = index * table + place[None, :] - place[:, None] + size - 1
    return index


@functools.lru_cache(maxsize=16)
def _kept_index(window: Window, device: torch.device) -> Tensor:
    with torch.inference_mode(mode=False):  # so that training may use it too
        return _index(window, device)


def table_sizes(window: Sequence[int]) -> Window:
    """Give the spatial shape of the table that serves a window: ``2 * size - 1`` on each axis."""
    return tuple(2 * size - 1 for size in window)


def resize_table(table: Tensor, window: Sequence[int]) -> Tensor:
    """Stretch a table to serve another window: linear on each axis, half-pixel centres, no filter.

    Parameters
    ----------
    table : Tensor, shape (heads, *sizes)
        Sizes are odd, ``2 * size - 1`` of the window that the table was made for.
    window : sequence of int
        Tokens along each axis of the window to serve.

    Returns
    -------
    Tensor, shape (heads, *table_sizes(window))
        `table` itself where the sizes agree. Differentiable.

    Raises
    ------
    ShapeError
        If the ranks differ.
    ConfigError
        If `window` is no sequence of whole numbers from 1 on.

    Notes
    -----
    Source: MaxViT, appendix A.1; the authors' field ``scale_ratio`` does this at every step.
    """
    wanted = table_sizes(sizes(window, "window"))
    if len(wanted) != table.ndim - 1:
        raise ShapeError(
            f"received a table of shape {tuple(table.shape)} and the window {tuple(window)}: a "
            "table is (heads, *sizes) with one size for each axis of the window"
        )
    for axis, size in enumerate(wanted, start=1):
        if table.shape[axis] != size:
            matrix = _interpolation(table.shape[axis], size).to(table.device)
            # A sum, not a matrix product, which autocast would round.
            stretched = (table.float().movedim(axis, -1)[..., None, :] * matrix).sum(-1)
            table = stretched.movedim(-1, axis).to(table.dtype)
    return table


def _interpolation(old: int, new: int) -> Tensor:
    """Weights (new, old) of linear interpolation."""
    place = ((torch.arange(new, dtype=torch.float64) + 0.5) * old / new - 0.5).clamp(0, old - 1)
    return (1 - (place[:, None] - torch.arange(old)).abs()).clamp(min=0).float()


class RelativeBias(nn.Module):
    """A learnt table of biases, laid out for all pairs of tokens in a window.

    ``bias[head, query, key] = table[head, key - query + size - 1]``, on each axis. On a processor
    and without gradients, the layout is kept until the table's numbers change.
    Source: MaxViT, section 3.3; authors' ``relative_bias``.

    Parameters
    ----------
    heads : int
        1 shares one table among all heads.
    window : sequence of int
        Tokens along each axis of the window that the table is stored for. It can serve any other,
        stretched by `resize_table`.

    Attributes
    ----------
    table : Parameter, shape (heads, *table_sizes(window))
    """

    def __init__(self, heads: int, window: Sequence[int]) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.empty(heads, *table_sizes(sizes(window, "window"))))
        normal(self.table.data, 0)
        self._kept: _Kept | None = None

    def forward(self, window: Sequence[int]) -> Tensor:
        """Lay the table out for a window: (heads, tokens, tokens) as (head, query, key)."""
        window = sizes(window, "window")
        if len(window) != self.table.ndim - 1:
            raise ShapeError(
                f"received a window of {len(window)} axes {window}: the bias table has "
                f"{self.table.ndim - 1}"
            )
        wants_gradient = torch.is_grad_enabled() and self.table.requires_grad
        if wants_gradient or is_recorded() or not self._is_plain():
            return self._layout(window)
        kept = self._kept  # one reading: other threads may keep theirs
        if kept is None or not kept.serves(self.table, window):
            inference = torch.is_inference_mode_enabled()
            copy = self.table.detach().clone()
            kept = self._kept = _Kept(copy, window, inference, self._layout(window))
        return kept.layout

    def _layout(self, window: Window) -> Tensor:
        device = self.table.device
        index = _index(window, device) if is_recorded() else _kept_index(window, device)
        return resize_table(self.table, window).flatten(1)[:, index]

    def _is_plain(self) -> bool:
        """Whether the table's numbers can be compared at once: not on a GPU, nor if distributed."""
        return type(self.table) is nn.Parameter and self.table.device.type == "cpu"


@dataclass(frozen=True)
class _Kept:
    """A layout with the table that it was made of."""

    table: Tensor
    window: Window
    inference: bool  # gradients cannot be computed through what inference mode made
    layout: Tensor

    def serves(self, table: Tensor, window: Window) -> bool:
        return (
            self.window == window
            and self.inference == torch.is_inference_mode_enabled()
            and self.table.dtype == table.dtype
            and torch.equal(self.table, table)
        )
