"""Folded models: the same outputs, no batch norm left, the original untouched."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
import torch

import small_detector
import small_maxvit
from multiaxis.deploy import fold, folded
from multiaxis.errors import ConfigError
from multiaxis.models.maxvit import fused
from multiaxis.tasks.rate import network as rate
from multiaxis.tasks.rate.config import HeadConfig
from multiaxis.tasks.segment import network as segment
from multiaxis.tasks.segment.config import DecoderConfig


@pytest.mark.parametrize(
    ("change", "kept"),
    [
        ({}, 0),
        ({"flavour": "torchvision"}, 0),
        ({"downsample_loc": "expand_conv"}, 0),
        ({"downsample_loc": "inputs"}, 0),
        ({"downsample_loc": "inputs", "pool_type": "max"}, 4),
        ({"expansion_rate": 1}, 6),
    ],
)
def test_outputs_agree_and_what_cannot_be_folded_stays(
    change: dict[str, object], kept: int
) -> None:
    """`kept`: norms in front of a maximum, or of a padded convolution."""
    model = small_maxvit.lively(replace(small_maxvit.CONFIG, **change))  # pyright: ignore[reportArgumentType]
    before = {name: value.clone() for name, value in model.state_dict().items()}
    folded = fold(model)
    x = torch.rand(2, 3, 61, 64)
    with torch.no_grad():
        expected = model(x)
        torch.testing.assert_close(folded(x), expected, rtol=1e-5, atol=1e-5)
    assert sum(isinstance(m, torch.nn.BatchNorm2d) for m in folded.modules()) == kept
    assert all(torch.equal(before[n], v) for n, v in model.state_dict().items())


@pytest.mark.parametrize("flavour", ["authors", "torchvision"])
def test_gelu_runs_inside_the_layers(flavour: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """With and without the operators that a build of PyTorch may lack; with gradients, too."""
    model = small_maxvit.lively(replace(small_maxvit.CONFIG, flavour=flavour))
    folded = fold(fold(model))
    x = torch.rand(2, 3, 61, 64)
    with torch.no_grad():
        expected = model(x)
        torch.testing.assert_close(folded(x), expected, rtol=1e-5, atol=1e-5)
        if fused.fuses(torch.float32, "cpu"):
            calls = Counter(e.key for e in profiled(folded, x))
            assert not calls["aten::gelu"] + calls["aten::sigmoid_"]
        monkeypatch.setattr(fused, "fuses", lambda *_: False)
        torch.testing.assert_close(folded(x), expected, rtol=1e-5, atol=1e-5)
        monkeypatch.undo()
    x.requires_grad_()
    slope = torch.autograd.grad(folded(x).sum(), x)[0]
    torch.testing.assert_close(
        slope, torch.autograd.grad(model(x).sum(), x)[0], atol=1e-5, rtol=1e-4
    )


def profiled(model: torch.nn.Module, x: torch.Tensor) -> list[Any]:
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        model(x)
    return list(profile.events() or [])


def test_layers_of_other_tools_stay() -> None:
    class Adapted(torch.nn.Linear):
        """What a package for fine-tuning puts in a layer's place."""

    model = small_maxvit.lively()
    expand = model.stages[0][0].block.expand
    model.stages[0][0].block.expand = adapted = Adapted(expand.in_features, expand.out_features)
    x = torch.rand(2, 3, 61, 64)
    folded = fold(model)
    assert type(folded.stages[0][0].block.expand) is Adapted
    with torch.no_grad():
        torch.testing.assert_close(folded(x), model(x), rtol=1e-5, atol=1e-5)
    assert type(adapted) is Adapted


def test_another_kind_of_model() -> None:
    with pytest.raises(ConfigError, match="cannot fold a Linear: accepted is a MAXIM or a MaxViT"):
        fold(torch.nn.Linear(1, 1))


def test_a_sharing_copy_holds_little_of_its_own_and_the_model_stays() -> None:
    model = small_maxvit.lively(small_maxvit.CONFIG)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    shared, apart = fold(model, share=True), fold(model)
    x = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(shared(x), apart(x))
    theirs = {value.untyped_storage().data_ptr() for value in model.state_dict().values()}
    held = {n for n, v in shared.state_dict().items() if v.untyped_storage().data_ptr() in theirs}
    assert any("qkv" in name for name in held)
    assert not any("depthwise" in name for name in held)
    assert all(weight.requires_grad for weight in model.parameters())
    shared.to(torch.bfloat16)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def holders() -> dict[str, torch.nn.Module]:
    """Networks of three uses, each with a MaxViT inside."""
    body = {"stem_widths": (8, 8), "depths": (1, 1), "widths": (8, 16), "head_dim": 8}
    networks: dict[str, torch.nn.Module] = {
        "segment": segment.build_network("maxvit_pico", DecoderConfig(), 3, config=body),
        "rate": rate.build_network("maxvit_pico", HeadConfig(pool="levels"), config=body),
        "detect": small_detector.detector(small_detector.MASK).maps,
    }
    return {name: small_maxvit.enliven(network) for name, network in networks.items()}


@pytest.mark.parametrize("name", ["segment", "rate", "detect"])
def test_a_network_that_holds_a_model(name: str) -> None:
    network: Any = holders()[name]
    ready: Any = folded(network)
    assert type(ready) is type(network)
    assert not [m for m in ready.backbone.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert [m for m in network.backbone.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    x = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        found, expected = ready(x), network(x)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    theirs = {value.untyped_storage().data_ptr() for value in network.state_dict().values()}
    rest = {n: v for n, v in ready.state_dict().items() if not n.startswith("backbone.")}
    assert rest
    assert all(value.untyped_storage().data_ptr() in theirs for value in rest.values())


def test_what_cannot_be_folded_is_taken_as_it_is() -> None:
    layer = torch.nn.Linear(1, 1)
    assert folded(layer) is layer
    both = torch.nn.ModuleList([small_maxvit.lively(), small_maxvit.lively()])
    assert folded(both) is both
    with pytest.raises(ConfigError, match="cannot fold a ModuleList, which holds a MaxViT and a"):
        fold(both)


def test_a_layer_with_an_adapter_is_refused() -> None:
    model = small_maxvit.lively()
    torch.nn.utils.parametrizations.spectral_norm(model.stem.conv1)
    with pytest.raises(ConfigError, match="whose weight is no parameter of its own: merge"):
        fold(model)
    assert folded(model) is model
