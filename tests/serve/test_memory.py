"""What jobs are thought to take, and in which memory."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from multiaxis.serve.options import Options
from multiaxis.serve.process import Process
from multiaxis.serve.service import Service
from multiaxis.serve.settings import Settings
from multiaxis.serve.spool import Spool
from multiaxis.serve.worker import Order, Role
from multiaxis.tasks.restore.forecast import forecast


def test_forecasts_grow_with_the_picture_and_the_model() -> None:
    nano = forecast(["denoise-nano"], 1000, 1000)
    large = forecast(["denoise-nano"], 2000, 1000)
    full = forecast(["denoise"], 1000, 1000)
    chain = forecast(["denoise", "enhance"], 1000, 1000)
    assert nano.megapixels == pytest.approx(1.0, rel=0.05)
    assert nano.memory < large.memory < 2 * nano.memory
    assert full.memory > nano.memory
    assert chain.megapixels > 1.9 * full.megapixels
    assert chain.memory == full.memory
    assert forecast(["denoise"], 1000, 1000, dtype="bfloat16").memory < full.memory
    assert forecast(["denoise"], 1000, 1000, holds_maps=False).memory == 1000 * 1000 * 60


def test_maps_on_a_gpu_are_not_counted_in_the_shared_memory(tmp_path: Path) -> None:
    """Its memory is looked at by the restorer; all of several workers must lie there."""
    with Spool(tmp_path) as spool:
        settings = Settings(spool=tmp_path, workers=2, device="cuda")
        service = Service(settings, spool)
        options = Options.read({"task": "denoise"})
        before = service.forecast(options, 8000, 8000)
        first, second = service.queue.workers
        assert first.role.device == "cuda"
        first.device = "cuda"
        assert service.forecast(options, 8000, 8000) == before
        second.device = "cuda"
        after = service.forecast(options, 8000, 8000)
    assert after.megapixels == before.megapixels
    assert after.memory < before.memory / 10


def test_a_restorer_says_where_its_maps_lie(tmp_path: Path) -> None:
    async def main() -> None:
        process = Process(Role(restores=True, device="cpu"))
        process.device = "unknown"
        await process.ask(Order("view", str(tmp_path / "missing.png"), str(tmp_path / "v.png")))
        assert process.device == "cpu"
        process.stop()

    asyncio.run(main())
