"""Budgets, spilled maps, narrow maps, progress, and devices that run out of memory."""

from __future__ import annotations

import errno
import os
from importlib import import_module
from pathlib import Path

import pytest
import torch

import small_maxim
from multiaxis import streamed
from multiaxis.errors import ConfigError, ImageError
from multiaxis.memory import parse_bytes
from multiaxis.models.maxim import Maxim
from multiaxis.models.maxim.plan import maps_memory
from multiaxis.models.maxim.streaming.workspace import Sizes, Workspace

module = import_module("multiaxis.models.maxim.streaming.streamed")


def small() -> tuple[Maxim, torch.Tensor]:
    torch.manual_seed(0)
    model = Maxim(small_maxim.CONFIG).eval()
    rows, columns = model.config.size_multiple
    return model, torch.rand(1, 3, 2 * rows, 2 * columns)


@pytest.mark.parametrize(
    ("amount", "size"), [("4GB", 4 * 10**9), ("2 GiB", 1 << 31), ("500mb", 5 * 10**8), (7, 7)]
)
def test_amounts(amount: str | int, size: int) -> None:
    assert parse_bytes(amount) == size


@pytest.mark.parametrize("amount", ["", "four", "-1GB", "0", "1e3", "4 parsecs", 0, -5])
def test_amounts_that_are_none(amount: str | int) -> None:
    with pytest.raises(ConfigError, match="accepted is a positive amount"):
        parse_bytes(amount)


def test_too_small_a_budget_says_the_least_that_works() -> None:
    model, x = small()
    with pytest.raises(ImageError, match=r"allowed: the least that works is \d+\.\d GB"):
        streamed(model, memory="1MB")(x)


def test_spilled_maps_give_the_same_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With no room in memory at all, every map lies in a file, and none is left behind."""
    model, x = small()
    made: list[tuple[int, ...]] = []
    workspace = import_module("multiaxis.models.maxim.streaming.workspace")
    inner = workspace.file_backed

    def counted(folder: Path, shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
        made.append(shape)
        return inner(folder, shape, dtype)

    monkeypatch.setattr(workspace, "file_backed", counted)
    in_memory = streamed(model)(x)
    assert not made
    monkeypatch.setattr(module, "free_device_memory", lambda _: Sizes().workspace + 10**5)
    monkeypatch.setattr(module, "find_sizes", lambda _: Sizes())
    monkeypatch.setattr(module, "pictures_memory", lambda *_: 10**5)
    monkeypatch.setattr(module, "peak_memory", lambda *_: 10**9)
    assert torch.equal(streamed(model, spill=tmp_path)(x), in_memory)
    assert len(made) > 10
    assert not list(tmp_path.iterdir())


def test_memory_is_given_back_with_its_map() -> None:
    work = Workspace(
        device=torch.device("cpu"),
        storage=torch.float32,
        compute=torch.float32,
        sizes=Sizes(),
        memory=1000,
        spill=Path("/nowhere"),
    )
    first = work.new(10, 10, 2)
    with pytest.raises(ImageError, match="cannot write to the spill folder /nowhere"):
        work.new(10, 10, 2)
    del first
    assert work.new(10, 10, 2).shape == (10, 10, 2)


def test_a_full_spill_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("multiaxis.models.maxim.streaming.spill._reserve", full)
    spill = import_module("multiaxis.models.maxim.streaming.spill")
    with pytest.raises(ImageError, match="is full: "):
        spill.file_backed(tmp_path, (4, 4, 4), torch.float32)
    assert not list(tmp_path.iterdir())


def test_a_spill_folder_that_is_not_there() -> None:
    with pytest.raises(ConfigError, match="the spill folder 'none' does not exist"):
        streamed(small()[0], spill="none")


def test_out_of_memory_is_tried_again_once(monkeypatch: pytest.MonkeyPatch) -> None:
    model, x = small()
    expected = streamed(model)(x)
    run, tried = streamed(model), []
    inner = run._run

    def fail(image: torch.Tensor, sizes: Sizes, on_work: object) -> torch.Tensor:
        tried.append(sizes.piece)
        if len(tried) <= failures:
            raise torch.OutOfMemoryError("no more")
        return inner(image, sizes, on_work)

    monkeypatch.setattr(run, "_run", fail)
    failures = 1
    assert torch.allclose(run(x), expected, atol=1e-5)
    assert tried[1] < tried[0]
    tried.clear()
    failures = 2
    with pytest.raises(ImageError, match="ran out of memory .* and again in smaller pieces"):
        run(x)


@pytest.mark.thorough
@pytest.mark.parametrize("has_units", [False, True])
def test_narrow_maps(has_units: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "has_units", lambda *_: has_units)
    model, x = small()
    exact, run = streamed(model)(x), streamed(model, dtype=torch.bfloat16)
    assert run.compute == (torch.bfloat16 if has_units else torch.float32)
    found = run(x)
    assert found.dtype == torch.float32
    with torch.no_grad():
        plain = Maxim.forward(model.bfloat16(), x.bfloat16()).float()
    error, plain_error = ((y - exact).square().mean() for y in (found, plain))
    assert 0 < error < 2 * plain_error


@pytest.mark.thorough
def test_progress_ends_at_the_whole() -> None:
    model, x = small()
    seen: list[float] = []
    streamed(model)(x.repeat(2, 1, 1, 1), on_progress=seen.append)
    assert seen == sorted(seen)
    assert len(seen) > 100
    assert seen[-1] == pytest.approx(1, abs=0.02)


def test_the_plan_holds_what_is_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    """Count the bytes of all maps alive at once: at the most what the plan says."""
    model, x = small()
    alive = peak = 0
    new = Workspace.new

    def counting(self: Workspace, height: int, width: int, channels: int) -> torch.Tensor:
        nonlocal alive, peak
        import weakref

        made = new(self, height, width, channels)
        size = made.numel() * made.element_size()
        alive += size
        peak = max(peak, alive)

        def died() -> None:
            nonlocal alive
            alive -= size

        weakref.finalize(made, died)
        return made

    monkeypatch.setattr(Workspace, "new", counting)
    streamed(model)(x)
    planned = maps_memory(model.config, x.shape[2] * x.shape[3], 4)
    assert 0.9 * planned < peak <= planned, (peak, planned)
