"""Which form of a model runs a frame: in pieces, or whole on a GPU that has room for it."""

from __future__ import annotations

import copy
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from multiaxis.devices import full_precision
from multiaxis.memory import free_device_memory, give_back, is_out_of_memory, refusing
from multiaxis.models.maxim import Maxim, MaximConfig
from multiaxis.models.maxim.plan import largest_map, plain_memory
from multiaxis.models.maxim.streaming import Streamed, streamed
from multiaxis.progress import OnFraction, part_of

_MOST_VALUES = 2**31 - 1
"""Of a map on a GPU: CUDA's resizes count them in 32 bits (seen at 128 x 4096 x 4096)."""


class Engine:
    """A MAXIM made ready to restore on one device, in one precision.

    Parameters
    ----------
    model : Maxim
        In float32, on its device; its weights are taken as they are now.
    dtype : torch.dtype
        float32, bfloat16 or float16: of maps, and of arithmetic where the hardware has it.
    memory : str or int, optional
        As in `multiaxis.streamed`.
    spill : str or Path, optional
        As in `multiaxis.streamed`.
    """

    def __init__(
        self,
        model: Maxim,
        *,
        dtype: torch.dtype = torch.float32,
        memory: str | int | None = None,
        spill: str | Path | None = None,
    ) -> None:
        self.model, self.dtype = model, dtype
        self.device = next(model.parameters()).device
        self.memory, self.spill = memory, spill
        self._streamed = streamed(model, memory, dtype, spill=spill)

    @property
    def config(self) -> MaximConfig:
        """The model's configuration."""
        return self.model.config

    @property
    def size_multiple(self) -> tuple[int, int]:
        """What padded sides are multiples of: (rows, columns)."""
        return self.model.config.size_multiple

    def run(
        self, x: Tensor, *, exact: bool = False, on_progress: OnFraction | None = None
    ) -> Tensor:
        """Restore a batch.

        Parameters
        ----------
        x : Tensor of float32, shape (batch, channels, height, width)
            Padded as the model needs it, on `device`.
        exact : bool
            Whether to use float32 whatever `dtype` is.
        on_progress : callable, optional
            Receives the finished fraction; only what runs in pieces reports.

        Raises
        ------
        ImageError
            If it does not fit into memory.
        """
        if len(x) > 1 and not self._fits_whole(x):
            parts = [part_of(on_progress, k, len(x)) for k in range(len(x))]
            made = [self.run(x[k : k + 1], exact=exact, on_progress=p) for k, p in enumerate(parts)]
            return torch.cat(made)
        size = f"{x.shape[2]} x {x.shape[3]} pixels"
        with (
            full_precision(),
            refusing(self.device, f"{size}: use a smaller picture, or a machine with more memory"),
        ):
            if self._fits_whole(x):
                try:
                    return self._run_whole(x, exact=exact)
                except RuntimeError as error:
                    if not is_out_of_memory(error):
                        raise
                # The estimate was too low, or others took the memory meanwhile: go on in pieces.
                give_back(self.device)
            in_pieces = self._exact if exact else self._streamed
            return in_pieces(x, on_progress=on_progress)

    def _fits_whole(self, x: Tensor) -> bool:
        """Prefer whole maps on a GPU; a processor is quicker with pieces that fit its cache."""
        if self.device.type == "cpu" or self.memory is not None:
            return False
        free = free_device_memory(self.device)
        pixels = x.shape[0] * x.shape[2] * x.shape[3]
        if largest_map(self.config, pixels) > _MOST_VALUES:
            return False
        return free is None or plain_memory(self.config, pixels, self.dtype.itemsize) < free

    def _run_whole(self, x: Tensor, *, exact: bool) -> Tensor:
        with torch.inference_mode():
            if exact or self.dtype == torch.float32:
                return self.model(x)
            return self._narrow(x.to(self.dtype))

    @cached_property
    def _narrow(self) -> Maxim:
        return copy.deepcopy(self.model).to(self.dtype)

    @cached_property
    def _exact(self) -> Streamed:
        return streamed(self.model, self.memory, torch.float32, spill=self.spill)
