"""A U-Net made ready: it runs whole maps, and refuses what does not fit."""

from __future__ import annotations

import copy
from functools import cached_property

import torch
from torch import Tensor

from multiaxis.devices import full_precision
from multiaxis.errors import ImageError
from multiaxis.memory import free_device_memory, parse_bytes, process_memory, refusing
from multiaxis.progress import OnFraction
from multiaxis.tasks.restore.refine.config import DenoiserConfig
from multiaxis.tasks.restore.refine.unet import Unet

_SPARE = 1.15  # what allocators and kernels take more than the maps; with `_FIXED`, as measured
_FIXED = 128 << 20


class WholeEngine:
    """A U-Net on one device, in one precision; a `multiaxis.tasks.restore.frame.Runner`.

    Parameters
    ----------
    model : Unet
        In float32, on its device; its weights are taken as they are now.
    dtype : torch.dtype
        As of `multiaxis.tasks.restore.engine.Engine`.
    memory : str or int, optional
        The most memory that the process may hold; by default the free memory.
    """

    def __init__(self, model: Unet, *, dtype: torch.dtype, memory: str | int | None = None) -> None:
        self.model, self.dtype = model, dtype
        self.memory = None if memory is None else parse_bytes(memory)
        self.device = next(model.parameters()).device

    @property
    def size_multiple(self) -> tuple[int, int]:
        """What padded sides are multiples of: (rows, columns)."""
        return self.model.config.size_multiple

    def run(
        self, x: Tensor, *, exact: bool = False, on_progress: OnFraction | None = None
    ) -> Tensor:
        """Run a batch; arguments and errors are those of `multiaxis.tasks.restore.engine.Engine`.

        Raises
        ------
        ImageError
            If it does not fit into memory; as a rule before anything is computed.
        """
        del on_progress  # one pass reports nothing
        pixels = len(x) * x.shape[2] * x.shape[3]
        self._check_memory(pixels)
        what = f"{x.shape[2]} x {x.shape[3]} pixels: use smaller tiles (--tile)"
        with full_precision(), refusing(self.device, what), torch.inference_mode():
            if exact or self.dtype == torch.float32:
                return self.model(x)
            return self._narrow(x.to(self.dtype))

    def _check_memory(self, pixels: int) -> None:
        # A processor's kernels widen 16 bits.
        item = 4 if self.device.type == "cpu" else self.dtype.itemsize
        needed = whole_memory(self.model.config, pixels, item)
        free = free_device_memory(self.device)
        room = needed if free is None else free
        if self.memory is not None:
            held = (process_memory() or 0) if self.device.type == "cpu" else 0
            room = min(room, max(self.memory - held, 0))
        if needed > room:
            raise ImageError(
                f"a U-Net, which runs whole maps only, takes about {needed / 1e9:.1f} GB of memory "
                f"for {pixels / 1e6:.1f} megapixels, and {room / 1e9:.1f} GB are free or allowed: "
                "use tiles (--tile 512) or smaller ones, or a refiner with a MAXIM as denoiser"
            )

    @cached_property
    def _narrow(self) -> Unet:
        return copy.deepcopy(self.model).to(self.dtype)


def whole_memory(config: DenoiserConfig, pixels: int, item_size: int) -> int:
    """Estimate what a U-Net's maps take at the worst moment, which is at full size on the way up.

    Parameters
    ----------
    config : DenoiserConfig
    pixels : int
    item_size : int
        Bytes of a value.

    Returns
    -------
    int
        Bytes.
    """
    kept = config.groups + 1  # from the way down, and the block: twice as wide with two levels
    maps = config.features * (kept + 6 * min(config.depth, 2))
    return round(_SPARE * item_size * pixels * maps) + _FIXED
