"""What a streamed pass works with: where its maps lie, in what precision, in what pieces."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path

import torch
from torch import Tensor

from multiaxis.memory import level2_cache
from multiaxis.streaming.pieces import Size, Tile, size_of, tiles, window_pieces
from multiaxis.streaming.spill import file_backed

_LEAST_PIECE = 1 << 20  # below 256 KiB the calls cost more than the work; flat from there to 2 MiB
_GPU_PIECE = 64 << 20  # fills thousands of cores, and is little beside their memory


@dataclass(frozen=True)
class Sizes:
    """How large the parts are that are computed at once. They change nothing but rounding.

    Attributes
    ----------
    piece : int
        Bytes of one gathered piece.
    tile : int
        Bytes of one tile for convolutions, which compute long enough on it to hide the memory.
    width : int
        Pixels of a tile's longer side: rows of a halo cost less than columns.
    """

    piece: int = _LEAST_PIECE
    tile: int = 4 * _LEAST_PIECE
    width: int = 1024

    def smaller(self) -> Sizes:
        """Give the sizes to try again with, where a device ran out of memory."""
        return Sizes(self.piece // 4, self.tile // 4, self.width)


def find_sizes(device: torch.device) -> Sizes:
    """Choose sizes from the cache: a piece fills a quarter of all threads' level 2 together."""
    if device.type != "cpu":
        return Sizes(_GPU_PIECE, 2 * _GPU_PIECE, 4096)
    piece = max(torch.get_num_threads() * (level2_cache() or 0) // 4, _LEAST_PIECE)
    return Sizes(piece, 4 * piece)


class Workspace:
    """Makes maps and cuts them, for one pass.

    Parameters
    ----------
    device : torch.device
    storage : torch.dtype
        Of maps between two steps.
    compute : torch.dtype
        Inside pieces, and of the weights.
    sizes : Sizes
    memory : int, optional
        Bytes of maps that may lie in memory; further ones lie in files.
    spill : Path, optional
        Folder for those files.
    on_work : callable, optional
        Receives the amount of work of every finished piece (pixels times channels).
    """

    def __init__(
        self,
        *,
        device: torch.device,
        storage: torch.dtype,
        compute: torch.dtype,
        sizes: Sizes,
        memory: int | None = None,
        spill: Path | None = None,
        on_work: Callable[[int], None] | None = None,
    ) -> None:
        self.device, self.storage, self.compute = device, storage, compute
        self.sizes, self.spill, self._on_work = sizes, spill, on_work
        self._left = memory

    def new(self, height: int, width: int, channels: int) -> Tensor:
        """Make a map; its content is undefined.

        Raises
        ------
        ImageError
            If it must lie in a file, and the file cannot be made.
        """
        shape = (height, width, channels)
        size = prod(shape) * self.storage.itemsize
        if self.spill is not None and self._left is not None:
            if size > self._left:
                return file_backed(self.spill, shape, self.storage)
            self._left -= size
            made = torch.empty(shape, dtype=self.storage, device=self.device)
            weakref.finalize(made, self._give_back, size)
            return made
        return torch.empty(shape, dtype=self.storage, device=self.device)

    def _give_back(self, size: int) -> None:
        if self._left is not None:
            self._left += size

    def like(self, x: Tensor) -> Tensor:
        """Make a map of the size of another."""
        height, width, channels = x.shape
        return self.new(height, width, channels)

    def pieces(self, x: Tensor, size: Size) -> Iterator[tuple[slice, slice]]:
        """Walk the windows of a map, as `window_pieces`."""
        channels = x.shape[2]
        pixels = self.sizes.piece // (channels * self.compute.itemsize)
        for rows, columns in window_pieces(size_of(x), size, pixels):
            yield rows, columns
            windows = (rows.stop - rows.start) * (columns.stop - columns.start)
            self._tell(windows * size[0] * size[1] * channels)

    def tiles(self, x: Tensor, *, multiple: int = 1) -> Iterator[Tile]:
        """Walk the tiles of a map, as `multiaxis.streaming.pieces.tiles`."""
        channels = x.shape[2]
        pixels = self.sizes.tile // (channels * self.compute.itemsize)
        for tile in tiles(size_of(x), pixels, width=self.sizes.width, multiple=multiple):
            yield tile
            self._tell((tile.bottom - tile.top) * (tile.right - tile.left) * channels)

    def bands(self, x: Tensor, *, multiple: int = 1) -> Iterator[slice]:
        """Walk a map in bands of rows of about a piece's size, beginning at multiples."""
        height, width, channels = x.shape
        rows = self.sizes.piece // (width * channels * self.compute.itemsize) // multiple
        step = max(rows, 1) * multiple
        for top in range(0, height, step):
            yield slice(top, min(top + step, height))
            self._tell((min(top + step, height) - top) * width * channels)

    def _tell(self, amount: int) -> None:
        if self._on_work is not None:
            self._on_work(amount)
