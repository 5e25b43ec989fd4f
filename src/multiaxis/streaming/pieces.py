"""Parts of a map that can be computed alone: windows for token mixing, tiles for convolutions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812 (the name everyone uses)
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


@dataclass(frozen=True)
class Tile:
    """A rectangle of a map, to be computed with what lies around it.

    Attributes
    ----------
    top, bottom, left, right : int
        Pixels of the map, end exclusive.
    """

    top: int
    bottom: int
    left: int
    right: int

    def write(self, target: Tensor, values: Tensor) -> None:
        """Write (height, width, channels) into its place in a map."""
        target[self.top : self.bottom, self.left : self.right] = values


def tiles(spatial: Size, pixels: int, *, width: int, multiple: int = 1) -> Iterator[Tile]:
    """Cut a map into tiles of about `pixels` pixels, wide rather than high.

    Parameters
    ----------
    spatial : (height, width)
    pixels : int
        Of a tile.
    width : int
        Pixels of a tile's longer side, at most.
    multiple : int
        Tiles begin at multiples of this.
    """
    rows, columns = spatial
    wide = min(columns, width)
    high = max(pixels // wide // multiple, 1) * multiple
    wide = max(wide // multiple, 1) * multiple
    for top in range(0, rows, high):
        for left in range(0, columns, wide):
            yield Tile(top, min(top + high, rows), left, min(left + wide, columns))


def around(x: Tensor, tile: Tile, halo: int, dtype: torch.dtype) -> Tensor:
    """Copy a tile with `halo` pixels around it, zeros where the map ends.

    Parameters
    ----------
    x : Tensor, shape (height, width, channels)
    """
    missing = beyond(size_of(x), tile, halo)
    rows = slice(tile.top - halo + missing[0], tile.bottom + halo - missing[1])
    columns = slice(tile.left - halo + missing[2], tile.right + halo - missing[3])
    part = x[rows, columns].to(dtype)
    return F.pad(part, (0, 0, missing[2], missing[3], missing[0], missing[1]))


def beyond(spatial: Size, tile: Tile, halo: int) -> tuple[int, int, int, int]:
    """Count the pixels of a halo that lie outside the map: above, below, left, right."""
    height, width = spatial
    return (
        max(halo - tile.top, 0),
        max(tile.bottom + halo - height, 0),
        max(halo - tile.left, 0),
        max(tile.right + halo - width, 0),
    )


def clear_beyond(x: Tensor, missing: tuple[int, int, int, int]) -> Tensor:
    """Set the pixels outside the map to zero, in place (height, width, channels)."""
    above, below, left, right = missing
    if above:
        x[:above] = 0
    if below:
        x[-below:] = 0
    if left:
        x[:, :left] = 0
    if right:
        x[:, -right:] = 0
    return x
