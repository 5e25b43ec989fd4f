"""Tiles that overlap and fade into each other: an approximation for when whole frames do not fit.

A MAXIM sees its whole input: its grid mixes all of it, and its channel attention averages over it.
A tile is restored as if it were the whole picture, so the result is another function of the
picture than the exact one (measured in docs/speed.md).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from multiaxis.errors import ConfigError

OVERLAP = 4
"""A tile shares one part in so many of its side with the next one."""

LEAST = 64
"""Pixels of the smallest tile's side."""

Place = tuple[slice, slice]


def check_tile(tile: int) -> None:
    """Refuse a side that makes no sense.

    Raises
    ------
    ConfigError
        If it is less than `LEAST` pixels.
    """
    if tile < LEAST:
        raise ConfigError(f"the tile is {tile} pixels: accepted is a side of {LEAST} or more")


def cut(height: int, width: int, tile: int) -> list[Place]:
    """Cover a frame with square tiles, evenly spread, that overlap by a quarter or more.

    Parameters
    ----------
    height, width : int
        Of the frame.
    tile : int
        Side in pixels; tiles are smaller only where the frame is.

    Returns
    -------
    list of (slice, slice)
        Rows and columns of each tile.

    Examples
    --------
    >>> [(rows.start, rows.stop) for rows, _ in cut(1000, 10, 400)]
    [(0, 400), (300, 700), (600, 1000)]
    """
    return [(rows, columns) for rows in _spread(height, tile) for columns in _spread(width, tile)]


def blend(shape: Sequence[int], places: Sequence[Place], parts: Sequence[Tensor]) -> Tensor:
    """Put tiles together, each fading linearly to its edges where others overlap it.

    Parameters
    ----------
    shape : sequence of int
        Of the frames: (batch, height, width, channels).
    places : sequence of (slice, slice)
        From `cut`.
    parts : sequence of Tensor, shape (batch, tile height, tile width, channels)
    """
    total = torch.zeros(*shape, device=parts[0].device)
    weights = torch.zeros(shape[1], shape[2], 1, device=parts[0].device)
    for (rows, columns), part in zip(places, parts, strict=True):
        down, along = (_fade(side.stop - side.start, part.device) for side in (rows, columns))
        fade = down[:, None] * along
        total[:, rows, columns] += part * fade[..., None]
        weights[rows, columns] += fade[..., None]
    return total / weights


def _spread(length: int, tile: int) -> list[slice]:
    if length <= tile:
        return [slice(0, length)]
    step = tile - tile // OVERLAP
    count = -(-(length - tile) // step) + 1
    starts = np.linspace(0, length - tile, count).round().astype(int)
    return [slice(int(start), int(start) + tile) for start in starts]


def _fade(length: int, device: torch.device) -> Tensor:
    """Rise from the edge over the overlap; never zero, so that borders of the frame are covered."""
    ramp = (torch.arange(length, device=device) + 0.5) / max(length // OVERLAP, 1)
    return torch.minimum(ramp, ramp.flip(0)).clamp(max=1)
