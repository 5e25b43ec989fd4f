"""The same questions for every name that `list_models` gives."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from multiaxis import create_model, list_models, load_weights
from multiaxis.deploy import fold
from multiaxis.models.maxim import Maxim
from multiaxis.models.maxvit import MaxViT
from multiaxis.tasks.restore.engine import Engine
from multiaxis.tasks.restore.frame import restore_frames
from multiaxis.weights.load import load_model
from multiaxis.weights.store import write_safetensors

LARGE = {  # the same code as the others', with larger numbers
    *("maxvit_small", "maxvit_base", "maxvit_large", "maxvit_xlarge"),
    *("maxim_s2", "maxim_s3", "maxim_m1", "maxim_m2", "maxim_m3"),
}
RECORDED = {"maxim_s1", "maxvit_pico", "maxvit_tiny_torchvision"}  # one of each code; seconds each


def named(is_slow: Callable[[str], bool]) -> list[Any]:
    marks = {True: [pytest.mark.slow], False: []}
    return [pytest.param(name, marks=marks[is_slow(name)]) for name in list_models()]


@pytest.fixture(scope="module", params=named(LARGE.__contains__))
def model(request: pytest.FixtureRequest) -> Any:
    torch.manual_seed(0)
    return create_model(request.param).eval()


def picture(model: Any, seed: int = 0) -> torch.Tensor:
    side = 64 if isinstance(model, MaxViT) else max(model.config.size_multiple)
    return torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(seed))


def same(model: Any, state: dict[str, torch.Tensor]) -> bool:
    found = model.state_dict()
    return found.keys() == state.keys() and all(found[n].equal(value) for n, value in state.items())


@pytest.mark.thorough
def test_forward_and_backward(model: Any) -> None:
    x = picture(model)
    with torch.no_grad():
        first = model(x)
        assert torch.equal(first, model(x))
    assert first.isfinite().all()
    if isinstance(model, Maxim):
        assert first.shape == x.shape
        outputs = [y for stage in model.train().forward_stages(x) for y in stage]
    else:
        assert first.shape == (1, 1000)
        outputs = [model.train()(x.expand(2, -1, -1, -1))]
    sum(y.square().mean() for y in outputs).backward()
    model.eval()
    try:
        lacking = [name for name, p in model.named_parameters() if p.grad is None]
        assert not lacking
        assert all(p.grad.isfinite().all() for p in model.parameters())
    finally:
        model.zero_grad(set_to_none=True)


def test_odd_sizes(model: Any) -> None:
    if isinstance(model, MaxViT):
        with torch.no_grad():
            assert model(torch.rand(2, 3, 37, 51)).shape == (2, 1000)
        return
    frames = np.random.default_rng(0).random((1, 37, 51, 3), dtype=np.float32)
    restored = restore_frames(Engine(model), torch.from_numpy(frames))
    assert restored.frames.shape == frames.shape


@pytest.mark.thorough
def test_features(model: Any) -> None:
    x = picture(model)
    with torch.no_grad():
        if isinstance(model, Maxim):
            outputs = model.forward_stages(x)
            assert len(outputs) == model.config.num_stages
            assert [y.shape[-1] for y in outputs[-1]] == [x.shape[-1] // s for s in (4, 2, 1)]
            assert torch.equal(outputs[-1][-1], model(x))
            return
        maps = model.forward_pyramid(x)
    found = [(y.shape[1], x.shape[-1] // y.shape[-1]) for y in maps]
    assert found == list(zip(model.pyramid_channels, model.pyramid_strides, strict=True))


@pytest.mark.thorough
def test_state_dict_and_safetensors_round_trips(model: Any, tmp_path: Path) -> None:
    """Into a model of other numbers, and into one made from the file alone."""
    state = model.state_dict()
    other = copy.deepcopy(model)
    with torch.no_grad():
        for p in other.parameters():
            p.add_(1)
    other.load_state_dict(state)
    assert same(other, state)
    file = tmp_path / "model.safetensors"
    write_safetensors(file, state, {})
    with torch.no_grad():
        for p in other.parameters():
            p.add_(1)
    load_weights(other, file)
    assert same(other, state)
    alone = load_model(file)
    assert alone.config == model.config
    assert same(alone, state)


@pytest.mark.thorough
def test_folded(model: Any) -> None:
    x = picture(model)
    folded = fold(model)
    with torch.no_grad():
        expected = model(x)
        assert (folded(x) - expected).abs().max() <= 1e-5 * expected.abs().max().clamp(min=1)
    assert not any(isinstance(layer, torch.nn.BatchNorm2d) for layer in folded.modules())
    assert not any(p.requires_grad for p in folded.parameters())
    assert all(p.requires_grad for p in model.parameters())


@pytest.mark.thorough
@pytest.mark.parametrize("model", named(lambda name: name not in RECORDED), indirect=True)
def test_recorded_for_export(model: Any) -> None:
    """What exporters work from; files are written in tests/deploy."""
    x = picture(model)
    with torch.no_grad():
        program = torch.export.export(fold(model), (x,), strict=False)
        expected = model(x)
        difference = (program.module()(x) - expected).abs().max()
    assert difference <= 1e-4 * expected.abs().max()
