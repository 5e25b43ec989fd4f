"""Split a map into windows, by blocks or by a grid, and merge it back.

Both splits give the same layout, (batch, windows, tokens, channels), so that whatever mixes tokens
is written once and works for both:

* a *block* window is a rectangle of neighbouring pixels (local, its size is fixed);
* a *grid* window holds one pixel of every cell of a fixed grid, at the same place inside each cell
  (global, dilated: its tokens are as far apart as a cell is large).

Windows and tokens are numbered row by row. Source: MAXIM, section 3.2; MaxViT, section 3.2.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import cast

import numpy as np
import torch
from torch import Tensor

from multiaxis.errors import ConfigError, ShapeError


def sizes(given: object, name: str) -> tuple[int, ...]:
    """Check one size for each spatial axis, such as a window's.

    Parameters
    ----------
    given : sequence of int
    name : str
        What an error calls it.

    Raises
    ------
    ConfigError
        If it is no sequence, is empty, or holds something else than whole numbers from 1 on.
    """
    is_sequence = isinstance(given, Iterable) and not isinstance(given, str)
    values = tuple(cast(Iterable[int], given)) if is_sequence else ()
    # A size may be a symbol while a program for many sizes is exported.
    if not values or any(not _is_whole(value) or value < 1 for value in values):
        raise ConfigError(
            f"received the {name} {given!r}: accepted is a whole number from 1 on for each spatial "
            "axis, such as (7, 7)"
        )
    return values


def _is_whole(value: object) -> bool:
    return isinstance(value, (int, torch.SymInt, np.integer)) and not isinstance(value, bool)


def block(x: Tensor, block_size: Sequence[int]) -> Tensor:
    """Split the spatial axes into blocks of neighbouring pixels.

    Parameters
    ----------
    x : Tensor, shape (batch, *spatial, channels)
        Any dtype.
    block_size : sequence of int, one per spatial axis
        Pixels along each axis of a block; must divide `spatial`.

    Returns
    -------
    Tensor, shape (batch, windows, tokens, channels)
        tokens = product of `block_size`; token t of window w is pixel t of block w.

    Raises
    ------
    ShapeError
        If the ranks differ or an axis is not a multiple of its block size.

    Examples
    --------
    >>> import torch
    >>> block(torch.arange(4).view(1, 4, 1), (2,)).flatten(2).tolist()
    [[[0, 1], [2, 3]]]
    """
    counts = _quotients(x.shape[1:-1], block_size, "block")
    axes = len(counts)
    parts = x.reshape(
        x.shape[0], *_interleave(counts, block_size), x.shape[-1]
    )  # (batch, n1, b1, n2, b2, ..., channels)
    order = [0, *range(1, 2 * axes, 2), *range(2, 2 * axes + 1, 2), 2 * axes + 1]
    return parts.permute(order).reshape(
        x.shape[0], math.prod(counts), math.prod(block_size), x.shape[-1]
    )


def unblock(windows: Tensor, block_size: Sequence[int], spatial: Sequence[int]) -> Tensor:
    """Undo `block`.

    Parameters
    ----------
    windows : Tensor, shape (batch, windows, tokens, *channels)
        What `block` returned, or something of that shape; channels may have several axes, such as
        heads.
    block_size : sequence of int, one per spatial axis
        As given to `block`.
    spatial : sequence of int
        The spatial shape to go back to.

    Returns
    -------
    Tensor, shape (batch, *spatial, *channels)

    Raises
    ------
    ShapeError
        If `spatial` is not a multiple of `block_size`.
    """
    counts = _quotients(spatial, block_size, "block")
    axes = len(counts)
    batch, channels = windows.shape[0], windows.shape[3:]
    parts = windows.reshape(batch, *counts, *block_size, *channels)
    order = [0, *_interleave(range(1, axes + 1), range(axes + 1, 2 * axes + 1))]
    order += range(2 * axes + 1, parts.ndim)
    return parts.permute(order).reshape(batch, *spatial, *channels)


def grid(x: Tensor, grid_size: Sequence[int]) -> Tensor:
    """Split the spatial axes into a fixed grid; a window takes one pixel of every cell.

    Parameters
    ----------
    x : Tensor, shape (batch, *spatial, channels)
        Any dtype.
    grid_size : sequence of int, one per spatial axis
        Cells along each axis; must divide `spatial`.

    Returns
    -------
    Tensor, shape (batch, windows, tokens, channels)
        tokens = product of `grid_size`; token t of window w is the pixel at place w of cell t.

    Raises
    ------
    ShapeError
        If the ranks differ or an axis is not a multiple of its grid size.

    Examples
    --------
    >>> import torch
    >>> grid(torch.arange(4).view(1, 4, 1), (2,)).flatten(2).tolist()
    [[[0, 2], [1, 3]]]
    """
    cell = _quotients(x.shape[1:-1], grid_size, "grid")
    axes = len(cell)
    parts = x.reshape(
        x.shape[0], *_interleave(grid_size, cell), x.shape[-1]
    )  # (batch, g1, c1, g2, c2, ..., channels)
    order = [0, *range(2, 2 * axes + 1, 2), *range(1, 2 * axes, 2), 2 * axes + 1]
    return parts.permute(order).reshape(
        x.shape[0], math.prod(cell), math.prod(grid_size), x.shape[-1]
    )


def ungrid(windows: Tensor, grid_size: Sequence[int], spatial: Sequence[int]) -> Tensor:
    """Undo `grid`.

    Parameters
    ----------
    windows : Tensor, shape (batch, windows, tokens, *channels)
        What `grid` returned, or something of that shape; channels may have several axes, such as
        heads.
    grid_size : sequence of int, one per spatial axis
        As given to `grid`.
    spatial : sequence of int
        The spatial shape to go back to.

    Returns
    -------
    Tensor, shape (batch, *spatial, *channels)

    Raises
    ------
    ShapeError
        If `spatial` is not a multiple of `grid_size`.
    """
    cell = _quotients(spatial, grid_size, "grid")
    axes = len(cell)
    batch, channels = windows.shape[0], windows.shape[3:]
    parts = windows.reshape(batch, *cell, *grid_size, *channels)
    order = [0, *_interleave(range(axes + 1, 2 * axes + 1), range(1, axes + 1))]
    order += range(2 * axes + 1, parts.ndim)
    return parts.permute(order).reshape(batch, *spatial, *channels)


def _interleave(first: Sequence[int], second: Sequence[int]) -> list[int]:
    return [value for pair in zip(first, second, strict=True) for value in pair]


def _quotients(spatial: Sequence[int], size: Sequence[int], kind: str) -> list[int]:
    size = sizes(size, f"{kind} size")
    if len(spatial) != len(size):
        raise ShapeError(
            f"received {len(spatial)} spatial axes {tuple(spatial)} and a {kind} size of "
            f"{len(size)} axes {tuple(size)}: give one size per spatial axis of a channels-last map"
        )
    if any(n % s for n, s in zip(spatial, size, strict=True)):
        raise ShapeError(
            f"received the spatial shape {tuple(spatial)}: each axis must be a multiple of the "
            f"{kind} size {tuple(size)}; pad the map first"
        )
    return [n // s for n, s in zip(spatial, size, strict=True)]
