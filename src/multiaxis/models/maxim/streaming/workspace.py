"""What a streamed pass works with: where its maps lie, in what precision, in what pieces."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path

import torch
from torch import Tensor

from multiaxis.models.maxim.plan import LEAST_PIECE, TEMPORARIES, piece_size
from multiaxis.models.maxim.streaming.pieces import Size, size_of, window_pieces
from multiaxis.models.maxim.streaming.spill import file_backed

_LEAST_ROWS = 16  # of a band for each row of a halo
_GPU_PIECE = 64 << 20  # fills thousands of cores, and is little beside their memory


@dataclass(frozen=True)
class Sizes:
    """How large the parts are that are computed at once. They change nothing but rounding.

    Attributes
    ----------
    piece : int
        Bytes of one gathered piece.
    band : int
        Bytes of one band for convolutions, which compute long enough on it to hide the memory.
    workspace : int
        Bytes that all pieces and bands may take together, whatever the picture.
    """

    piece: int = LEAST_PIECE
    band: int = 4 * LEAST_PIECE
    workspace: int = TEMPORARIES * LEAST_PIECE

    def smaller(self) -> Sizes:
        """Give the sizes to try again with, where a device ran out of memory."""
        return Sizes(self.piece // 4, self.band // 4, self.workspace // 4)


def find_sizes(device: torch.device) -> Sizes:
    """Choose sizes from the cache."""
    if device.type != "cpu":
        return Sizes(_GPU_PIECE, 2 * _GPU_PIECE, 16 * _GPU_PIECE)
    piece = piece_size(torch.get_num_threads())
    return Sizes(piece, max(piece, 4 * LEAST_PIECE), TEMPORARIES * piece)


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
        self._idle: dict[int, list[Tensor]] = {}  # memory of maps that died, by bytes

    def new(self, height: int, width: int, channels: int) -> Tensor:
        """Make a map; its content is undefined.

        Memory of a map that died is used again: fresh memory costs the kernel's page faults. What
        no map of the size asked for can use is freed first, so the peak is that of living maps.

        Raises
        ------
        ImageError
            If it must lie in a file, and the file cannot be made.
        """
        shape = (height, width, channels)
        size = prod(shape) * self.storage.itemsize
        if not self._idle.get(size):
            self._free_idle()
            if self.spill is not None and self._left is not None and size > self._left:
                return file_backed(self.spill, shape, self.storage)
            self._take(size)
            self._idle[size] = [torch.empty(prod(shape), dtype=self.storage, device=self.device)]
        memory = self._idle[size].pop()
        made = memory.view(shape)
        weakref.finalize(made, self.give_back, memory).atexit = False
        return made

    def give_back(self, memory: Tensor) -> None:
        """Take the memory of a map that died."""
        self._idle.setdefault(memory.nbytes, []).append(memory)

    def _free_idle(self) -> None:
        for size, idle in self._idle.items():
            self._take(-size * len(idle))
            idle.clear()

    def _take(self, size: int) -> None:
        if self._left is not None:
            self._left -= size

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

    def bands(self, x: Tensor, *, multiple: int = 1, halo: int = 0) -> Iterator[slice]:
        """Walk a map in bands of rows, beginning at multiples.

        They have about a piece's size; with a halo, which is computed twice, that of `Sizes.band`
        and some rows at least.
        """
        height, width, channels = x.shape
        row = width * channels * self.compute.itemsize
        rows = self.sizes.piece // row
        if halo:
            rows = max(self.sizes.band // row, min(_LEAST_ROWS * halo, 8 * self.sizes.band // row))
        step = max(rows // multiple, 1) * multiple
        for top in range(0, height, step):
            yield slice(top, min(top + step, height))
            self._tell((min(top + step, height) - top) * width * channels)

    def _tell(self, amount: int) -> None:
        if self._on_work is not None:
            self._on_work(amount)
