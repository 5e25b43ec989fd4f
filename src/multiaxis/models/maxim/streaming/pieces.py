"""Parts of a map that can be computed alone: windows for token mixing, bands for convolutions."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

Size = tuple[int, int]


def size_of(x: Tensor) -> Size:
    """Give height and width of a map (height, width, channels)."""
    return x.shape[0], x.shape[1]


def windows_view(x: Tensor, size: Size, *, is_grid: bool) -> Tensor:
    """View a map as windows without copying.

    Parameters
    ----------
    x : Tensor, shape (height, width, channels)
        Contiguous.
    size : (rows, columns)
        Of a block, or cells of the grid; divides the map.
    is_grid : bool
        Whether windows are those of `multiaxis.axis.grid` instead of `multiaxis.axis.block`.

    Returns
    -------
    Tensor, shape (rows, columns, window rows, window columns, channels)
        Tokens first; the two axes behind them count the windows.
    """
    (height, width, channels), (a, b) = x.shape, size
    if is_grid:
        return x.view(a, height // a, b, width // b, channels).permute(0, 2, 1, 3, 4)
    return x.view(height // a, a, width // b, b, channels).permute(1, 3, 0, 2, 4)


def window_pieces(spatial: Size, size: Size, pixels: int) -> Iterator[tuple[slice, slice]]:
    """Cut the windows of a map into runs of about `pixels` pixels.

    Parameters
    ----------
    spatial : (height, width)
        Of the map.
    size : (rows, columns)
        Of a window.
    pixels : int
        Of a piece; at least one window is in each.

    Yields
    ------
    rows, columns : slice
        Of the windows, for the third and fourth axis of `windows_view`.
    """
    rows, columns = spatial[0] // size[0], spatial[1] // size[1]
    count = max(pixels // (size[0] * size[1]), 1)
    wide = min(count, columns)
    high = max(count // columns, 1)
    for top in range(0, rows, high):
        for left in range(0, columns, wide):
            yield slice(top, min(top + high, rows)), slice(left, min(left + wide, columns))


def gather(view: Tensor, rows: slice, columns: slice, dtype: torch.dtype) -> Tensor:
    """Copy a piece of a `windows_view`: (tokens, windows, channels), contiguous."""
    part = view[:, :, rows, columns]
    a, b, high, wide, channels = part.shape
    return part.reshape(a * b, high * wide, channels).to(dtype)


def scatter(view: Tensor, rows: slice, columns: slice, piece: Tensor) -> None:
    """Write a piece back to where `gather` took it from."""
    part = view[:, :, rows, columns]
    part.copy_(piece.view(part.shape))


def scatter_add(view: Tensor, rows: slice, columns: slice, piece: Tensor) -> None:
    """Add a piece to where `gather` took it from."""
    part = view[:, :, rows, columns]
    part.add_(piece.view(part.shape))


def with_halo(rows: slice, halo: int, height: int) -> tuple[slice, slice]:
    """Add rows on both sides of a band, as far as the map has them.

    Returns
    -------
    slice, slice
        Of the map, with the halo; and of those rows, the band.
    """
    top, bottom = max(rows.start - halo, 0), min(rows.stop + halo, height)
    return slice(top, bottom), slice(rows.start - top, rows.stop - top)
