"""Where memory ends, the work goes on in smaller parts, or is refused in a sentence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import small_maxim
import small_recipe
from multiaxis import Classifier, create_model
from multiaxis.cli.app import main
from multiaxis.errors import ImageError, TrainingError
from multiaxis.models.maxim import Maxim
from multiaxis.models.maxim.streaming import Streamed
from multiaxis.models.maxvit import MaxViT
from multiaxis.tasks.restore.engine import Engine
from multiaxis.train import train
from multiaxis.train.checkpoint import newest
from multiaxis.train.override import override
from small_recipe import SMALL_VIT


class Short:
    """Fails as a GPU does whose memory ends, in some of its calls, and is the real thing else."""

    def __init__(self, inner: Callable[..., Any], fails: Callable[..., bool]) -> None:
        self.inner, self.fails, self.failed = inner, fails, 0

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.fails(*args):
            self.failed += 1
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return self.inner(*args, **kwargs)


def shorten(
    monkeypatch: pytest.MonkeyPatch, owner: type, name: str, fails: Callable[..., bool]
) -> Short:
    short = Short(getattr(owner, name), fails)

    def method(*args: Any, **kwargs: Any) -> Any:  # an object would not be bound
        return short(*args, **kwargs)

    monkeypatch.setattr(owner, name, method)
    return short


def engine(device: torch.device) -> Engine:
    return Engine(small_maxim.model(config=small_maxim.LEAST).to(device))


def pictures(device: torch.device, count: int = 2) -> Tensor:
    torch.manual_seed(1)
    return torch.rand(count, 3, 32, 32).to(device)


def test_whole_pictures_go_on_in_pieces(
    device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The estimate said that they fit, and they did not: only GPUs try."""
    run, x = engine(device), pictures(device)
    expected = run.run(x)
    monkeypatch.setattr(Engine, "_fits_whole", lambda *_: True)
    short = shorten(monkeypatch, Maxim, "forward", lambda *_: True)
    assert torch.allclose(run.run(x), expected, atol=1e-5)
    assert short.failed == 1


def test_a_batch_that_does_not_fit_goes_on_one_by_one(
    device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, x = engine(device), pictures(device)
    expected = run.run(x)
    monkeypatch.setattr(Engine, "_fits_whole", lambda _, batch: len(batch) == 1)
    short = shorten(monkeypatch, Maxim, "forward", lambda _, batch: len(batch) > 1)
    told: list[float] = []
    assert torch.allclose(run.run(x, on_progress=told.append), expected, atol=1e-5)
    assert short.failed == 0


def test_pieces_shrink_until_they_fit(
    device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, x = engine(device), pictures(device)
    expected, sizes = run.run(x), []
    # Neither the first size fits nor, where there are several, the second.
    fails = {"cpu": 1, "cuda": 2}[device.type]
    monkeypatch.setattr(Engine, "_fits_whole", lambda *_: False)

    def is_first(streamed: Streamed, image: Tensor, size: Any, count: Any) -> bool:
        sizes.append(size.piece)
        return len(sizes) <= fails

    shorten(monkeypatch, Streamed, "_run", is_first)
    assert torch.allclose(run.run(x[:1]), expected[:1], atol=1e-5)
    assert sizes == sorted(sizes, reverse=True)
    assert len(set(sizes)) == fails + 1


def test_what_never_fits_is_refused(device: torch.device, monkeypatch: pytest.MonkeyPatch) -> None:
    run = engine(device)
    short = shorten(monkeypatch, Streamed, "_run", lambda *_: True)
    monkeypatch.setattr(Engine, "_fits_whole", lambda *_: False)
    with pytest.raises(ImageError, match=r"ran out of memory at 32 x 32 .* in smaller pieces"):
        run.run(pictures(device, 1))
    assert 2 <= short.failed <= 6


def test_other_files_are_not_lost(
    device: torch.device,
    tmp_path: Path,
    weights_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Of three files the second is too large; it fails with a sentence, and by its name."""
    for name, side in (("a", 20), ("b", 28), ("c", 20)):
        Image.new("RGB", (side, 20), (90, 120, 60)).save(tmp_path / f"{name}.png")
    shorten(monkeypatch, Engine, "run", lambda _, x: x.shape[3] > 28)
    words = ["restore", str(tmp_path), "-o", str(tmp_path / "out"), "--task", "derain"]
    with pytest.raises(SystemExit) as stop:
        main([*words, "--weights", str(weights_file), "--device", device.type])
    told = capsys.readouterr().err
    assert stop.value.code == 1
    assert {path.name for path in (tmp_path / "out").glob("*.png")} == {"a.png", "c.png"}
    assert "b.png" in told
    assert "Traceback" not in told


def test_classifying_goes_on_in_halves(
    device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    model = create_model("maxvit", **SMALL_VIT, num_classes=5)  # pyright: ignore[reportArgumentType]
    classifier = Classifier(model, device=device)
    seen = [np.full((32, 32, 3), 40 * k, np.uint8) for k in range(5)]
    expected = classifier.logits(seen)
    limit = 2
    short = shorten(monkeypatch, MaxViT, "forward", lambda _, x: len(x) > limit)
    assert torch.allclose(classifier.logits(seen), expected, atol=1e-5)
    assert short.failed == 2, "five, and three of them"
    limit = 0
    with pytest.raises(ImageError, match=r"ran out of memory at a picture of 32 x 32 pixels: use"):
        classifier.logits(seen)


@pytest.mark.thorough
def test_a_training_says_what_to_change_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = small_recipe.make_pictures(tmp_path / "pictures")
    words = ["run.steps=4", "run.save_every=2", "valid=none"]
    recipe = override(small_recipe.recipe(folder), words)
    calls: list[int] = []

    def fails(*_: Any) -> bool:
        calls.append(1)
        return len(calls) == 3  # one pass a step, and a checkpoint behind step 2

    with monkeypatch.context() as patch:
        shorten(patch, Maxim, "forward", fails)
        with pytest.raises(TrainingError, match=r"out of memory at step 3: halve run.batch \(2\)"):
            train(recipe, tmp_path / "run")
    assert newest(tmp_path / "run") is not None
    assert train(recipe, tmp_path / "run").step == recipe.run.steps


@pytest.mark.gpu
def test_a_real_lack_of_memory() -> None:
    """A process may take a hundredth of the GPU: what its driver says is free does not tell so."""
    device = torch.device("cuda", 0)  # a share of memory is asked by number
    restorer_engine = Engine(small_maxim.model().to(device))
    x = torch.rand(1, 3, 768, 768, device=device)
    with torch.inference_mode():
        expected = restorer_engine.run(x).cpu()
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(device).total_memory
    limit = torch.cuda.memory_allocated(device) + (160 << 20)
    torch.cuda.set_per_process_memory_fraction(limit / total, device)
    try:
        found = restorer_engine.run(x).cpu()
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, device)
    assert torch.allclose(found, expected, atol=1e-4)
