"""A pass keeps to its budget of memory, counted as a GPU's allocator counts."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import small_maxim
from multiaxis import streamed
from multiaxis.errors import ImageError
from multiaxis.models.maxim import Maxim
from multiaxis.models.maxim.plan import peak_memory
from multiaxis.models.maxim.streaming.workspace import Sizes, find_sizes
from multiaxis.tasks.restore.engine import Engine

module = import_module("multiaxis.models.maxim.streaming.streamed")
CONFIG = replace(small_maxim.CONFIG, features=8)


class Ledger(TorchDispatchMode):
    """Counts the bytes of all tensors that are made inside and alive, as `torch.cuda` does."""

    def __init__(self) -> None:
        super().__init__()
        self.alive = self.peak = 0
        self.known = weakref.WeakKeyDictionary[Any, int]()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        for x in tree_leaves((args, kwargs)):
            if isinstance(x, Tensor):  # it was there before
                self.known.setdefault(x.untyped_storage(), 0)
        made = func(*args, **(kwargs or {}))
        for x in tree_leaves(made):
            if isinstance(x, Tensor) and x.untyped_storage() not in self.known:
                storage = x.untyped_storage()
                size = self.known[storage] = storage.nbytes()
                weakref.finalize(storage, self.died, size)
                self.alive += size
                self.peak = max(self.peak, self.alive)
        return made

    def died(self, size: int) -> None:
        self.alive -= size


def peak_of(run: Callable[[], Any], device: torch.device) -> int:
    """Count the bytes that a call holds at its worst moment beside what was there before."""
    if device.type == "cpu":
        with Ledger() as ledger:
            run()
        return ledger.peak
    before = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    run()
    return torch.cuda.max_memory_allocated(device) - before


def like_a_gpu(monkeypatch: pytest.MonkeyPatch, piece: int) -> Sizes:
    """Use a GPU's proportions at the size of a test, and count no memory of the process."""
    gpu = find_sizes(torch.device("cuda"))
    sizes = Sizes(piece, gpu.band * piece // gpu.piece, gpu.workspace * piece // gpu.piece)
    monkeypatch.setattr(module, "find_sizes", lambda _: sizes)
    monkeypatch.setattr(module, "LEAST_PIECE", 1 << 12)
    monkeypatch.setattr(module, "process_memory", lambda: 0)
    monkeypatch.setattr(module, "free_device_memory", lambda _: 80 << 30)
    monkeypatch.setattr("multiaxis.models.maxim.streaming.dense.fuses", lambda *_: False)
    return sizes


@pytest.mark.thorough
@pytest.mark.parametrize(
    "dtype", [torch.float32, pytest.param(torch.float16, marks=pytest.mark.slow)], ids=str
)
def test_a_pass_takes_what_was_planned(
    dtype: torch.dtype, device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a processor with small pieces; a GPU's own memory for convolutions would be more there."""
    torch.manual_seed(0)
    model = Maxim(CONFIG).eval().to(device)
    if device.type == "cpu":
        height, width, sizes = 128, 32, like_a_gpu(monkeypatch, 1 << 16)
    else:
        height, width, sizes = 2048, 1024, find_sizes(device)
    x, pixels = torch.rand(1, 3, height, width, device=device), height * width
    planned = peak_memory(CONFIG, pixels, dtype.itemsize, sizes.workspace)
    with pytest.raises(ImageError, match="the least that works is"):
        streamed(model, memory=planned // 40, dtype=dtype)(x)
    run = streamed(model, memory=planned, dtype=dtype)
    taken = peak_of(lambda: run(x), device)
    # Measured: of the 16 pieces that are planned beside the maps, a processor uses 8.4. An H200
    # took 70 % of the plan in float32, 41 % in 16 bits.
    assert (0.6 if device.type == "cpu" else 0.3) * planned < taken <= planned, (taken, planned)
    # With less, pieces are smaller.
    small = peak_memory(CONFIG, pixels, dtype.itemsize, sizes.smaller().workspace)
    run = streamed(model, memory=small, dtype=dtype)
    assert peak_of(lambda: run(x), device) <= small
    with pytest.raises(ImageError) as refused:
        streamed(model, memory=1000, dtype=dtype).check_memory(pixels)
    assert ("spill folder" in str(refused.value)) == (device.type == "cpu")


def test_a_map_of_too_many_values_is_never_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """CUDA's resizes count values in 32 bits, however much memory there is."""
    monkeypatch.setattr("multiaxis.tasks.restore.engine.free_device_memory", lambda _: 1 << 50)
    engine = Engine(small_maxim.model())
    engine.device = torch.device("cuda")
    side = 1 << 14
    deepest = engine.config.features * 2 ** (engine.config.depth - 1)
    rows = (2**31 - 1) // (deepest * side)
    for height, fits in ((rows, True), (rows + 1, False)):
        assert engine._fits_whole(torch.empty(1, 3, height, side, device="meta")) == fits
