"""MaxViT against outputs, gradients and statistics of the authors' own code."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import small_maxvit
from multiaxis import list_models
from multiaxis.models.maxvit import VARIANTS, MaxViT
from multiaxis.models.maxvit.names.authors import from_authors, our_name

CASES = {
    "base": {},
    "odd": {},
    "scaled": {"window_size": 6, "grid_size": 3, "scale_ratio": "192/128"},
}


@pytest.fixture(scope="module")
def golden(shared_dir: Path) -> Iterator[np.lib.npyio.NpzFile]:
    with np.load(shared_dir / "golden/maxvit/A.npz") as file:
        yield file


def picture(golden: np.lib.npyio.NpzFile, name: str) -> torch.Tensor:
    return torch.from_numpy(golden[name]).permute(0, 3, 1, 2)


def largest(a: torch.Tensor, b: torch.Tensor) -> float:
    assert a.shape == b.shape
    return float((a - b).detach().abs().max())


@pytest.mark.thorough
@pytest.mark.parametrize("gradients", [True, False])
@pytest.mark.parametrize("case", CASES)
def test_stages_and_logits(
    case: str, gradients: bool, golden: np.lib.npyio.NpzFile, shared_dir: Path
) -> None:
    model = small_maxvit.golden_model(shared_dir, replace(small_maxvit.CONFIG, **CASES[case]))
    x = picture(golden, f"{case}/input")
    with torch.set_grad_enabled(gradients):
        maps, logits = model.forward_pyramid(x), model(x)
        normed = model.head.norm(maps[-1].mean(dim=(2, 3)))
    compared = 0
    for level, name in enumerate(["stem", "stage_1", "stage_2", "stage_3", "stage_4"]):
        if f"{case}/{name}" in golden.files:
            difference = largest(maps[level], picture(golden, f"{case}/{name}"))
            assert difference <= (1e-5 if level == 0 else 1e-4), name
            compared += 1
    assert compared >= 2
    assert largest(normed, torch.from_numpy(golden[f"{case}/normed_features"])) <= 1e-5
    assert largest(logits, torch.from_numpy(golden[f"{case}/logits"])) <= 1e-5


def test_a_training_step(golden: np.lib.npyio.NpzFile, shared_dir: Path) -> None:
    """Loss, every gradient's norm, the stored gradients, and the batch statistics after it."""
    model = small_maxvit.golden_model(shared_dir).train()
    logits = model(picture(golden, "base/input"))
    loss = F.cross_entropy(logits, torch.from_numpy(golden["train/labels"]).long())
    loss.backward()
    assert largest(logits, torch.from_numpy(golden["train/logits"])) <= 1e-5
    assert abs(loss.item() - float(golden["train/loss"])) <= 1e-5

    stated = json.loads((shared_dir / "golden/maxvit/A.json").read_text())["grad_l2"]
    norms: dict[str, float] = {}
    for name, norm in stated.items():  # q, k and v are one parameter of ours
        ours = our_name(name)
        assert ours is not None
        norms[ours] = norms.get(ours, 0) + norm**2
    parameters = dict(model.named_parameters())
    assert norms.keys() == parameters.keys()
    for name, square in norms.items():
        gradient = parameters[name].grad
        assert gradient is not None
        assert gradient.norm().item() == pytest.approx(square**0.5, rel=1e-4, abs=1e-6), name

    stored = {k[5:]: torch.from_numpy(golden[k]) for k in golden.files if k.startswith("grad/")}
    whole, _ = from_authors(stored)
    assert len(whole) >= 20
    for name, expected in whole.items():
        # The golden is 2.7e-6 from a float64 evaluation of the stem's norm, ours 6e-7.
        atol = 3e-6 if name.startswith("stem.") else 1e-6
        torch.testing.assert_close(parameters[name].grad, expected, rtol=1e-4, atol=atol)

    after = {k[9:]: torch.from_numpy(golden[k]) for k in golden.files if k.startswith("bn_after/")}
    buffers = dict(model.named_buffers())
    statistics, _ = from_authors(after)
    assert statistics
    for name, expected in statistics.items():
        assert largest(buffers[name], expected) <= 2e-6, name


# Facts: built and counted with the authors' code.
COUNTS = {
    "maxvit_tiny": (30_916_528, 41_608_987),
    "maxvit_small": (68_927_956, 84_956_223),
    "maxvit_base": (119_467_708, 135_495_975),
    "maxvit_large": (211_785_560, 233_149_635),
    "maxvit_xlarge": (474_951_952, 506_987_643),
}


@pytest.mark.parametrize("name", COUNTS)
@pytest.mark.parametrize("image_size", [224, 384])
def test_parameter_counts(name: str, image_size: int) -> None:
    with torch.device("meta"):
        models = [
            MaxViT(replace(VARIANTS[name], num_classes=classes, image_size=image_size))
            for classes in (1000, 21843)
        ]
    counts = tuple(sum(p.numel() for p in model.parameters()) for model in models)
    assert counts == COUNTS[name]


def test_the_torchvision_flavour_counts_as_torchvisions() -> None:
    with torch.device("meta"):
        model = MaxViT(VARIANTS["maxvit_tiny_torchvision"])
    assert sum(p.numel() for p in model.parameters()) == 30_919_624
    assert "maxvit_tiny_torchvision" in list_models("maxvit*")
