"""Relative position bias: what attention adds to a logit for the way from query to key."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from multiaxis.axis.layers import is_recorded, normal
from multiaxis.errors import ShapeError

Window = tuple[int, ...]
"""Tokens along each spatial axis of a window."""


@functools.lru_cache(maxsize=256)
def _index(window: Window) -> NDArray[np.intp]:
    """Where (query, key) looks into the flattened table; key minus query on each axis."""
    places = np.stack(np.unravel_index(np.arange(math.prod(window)), window), axis=-1)
    # An array, not a tensor: a tensor that an exporter fakes must not be kept.
    offsets = places[None, :] - places[:, None] + np.array(window) - 1  # (query, key, axis)
    return np.asarray(np.ravel_multi_index(tuple(np.moveaxis(offsets, -1, 0)), table_sizes(window)))


def _index_tensor(window: Window) -> Tensor:
    if not torch.compiler.is_compiling():
        return torch.from_numpy(_index(window))
    # A compiler reads tensor operations, and makes a constant of them.
    index = torch.zeros((), dtype=torch.int64)
    for axis, (size, table) in enumerate(zip(window, table_sizes(window), strict=True)):
        place = torch.arange(size).reshape([-1 if k == axis else 1 for k in range(len(window))])
        place = place.expand(window).reshape(-1)
        index = index * table + place[None, :] - place[:, None] + size - 1
    return index


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

    Notes
    -----
    Source: MaxViT, appendix A.1; the authors' field ``scale_ratio`` does this at every step.
    """
    for axis, size in enumerate(table_sizes(window), start=1):
        if table.shape[axis] != size:
            matrix = _interpolation(table.shape[axis], size).to(table.device)
            stretched = table.float().movedim(axis, -1) @ matrix.T
            table = stretched.movedim(-1, axis).to(table.dtype)
    return table


def _interpolation(old: int, new: int) -> Tensor:
    """Weights (new, old) of linear interpolation."""
    place = ((torch.arange(new, dtype=torch.float64) + 0.5) * old / new - 0.5).clamp(0, old - 1)
    return (1 - (place[:, None] - torch.arange(old)).abs()).clamp(min=0).float()


class RelativeBias(nn.Module):
    """A learnt table of biases, laid out for all pairs of tokens in a window.

    ``bias[head, query, key] = table[head, key - query + size - 1]``, on each axis. Without
    gradients the layout is kept until the table changes. Source: MaxViT, section 3.3; authors'
    ``relative_bias``.

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
        self.table = nn.Parameter(torch.empty(heads, *table_sizes(window)))
        normal(self.table.data, 0)
        self._kept: tuple[object, Tensor, Tensor] | None = None  # (stamp, table, layout)

    def forward(self, window: Sequence[int]) -> Tensor:
        """Lay the table out for a window: (heads, tokens, tokens) as (head, query, key)."""
        window = tuple(window)
        if len(window) != self.table.ndim - 1:
            raise ShapeError(
                f"received a window of {len(window)} axes {window}: the bias table has "
                f"{self.table.ndim - 1}"
            )
        wants_gradient = torch.is_grad_enabled() and self.table.requires_grad
        if wants_gradient or is_recorded():
            return self._layout(window)
        stamp = self._stamp(window)
        if self._kept is None or self._kept[0] != stamp or self._changed_unseen(self._kept[1]):
            self._kept = stamp, self.table.detach().clone(), self._layout(window)
        return self._kept[2]

    def _layout(self, window: Window) -> Tensor:
        index = _index_tensor(window).to(self.table.device)
        return resize_table(self.table, window).flatten(1)[:, index]

    def _stamp(self, window: Window) -> object:
        table = self.table
        # Counts writes in place, except those through `.data`.
        version = None if table.is_inference() else table._version  # pyright: ignore[reportPrivateUsage]
        inference = torch.is_inference_mode_enabled()
        return window, table.data_ptr(), version, table.dtype, table.device, inference

    def _changed_unseen(self, kept: Tensor) -> bool:
        """Whether `.data` was written; not asked on a GPU, which would have to be waited for."""
        return self.table.device.type == "cpu" and not torch.equal(self.table, kept)
