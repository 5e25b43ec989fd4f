"""A backbone that holds what it uses, under the tools that ask for feature maps."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import small_maxvit
from multiaxis import create_model, load_weights, parameter_groups
from multiaxis.deploy import fold
from multiaxis.deploy.onnx import export_onnx
from multiaxis.errors import ConfigError, WeightsError
from multiaxis.models.maxvit import Backbone, MaxViT
from multiaxis.weights.store import write_safetensors

SMALL = asdict(small_maxvit.CONFIG)
PICTURES = torch.rand(2, 3, 70, 45, generator=torch.Generator().manual_seed(5))


def small_backbone(*levels: int, **config: Any) -> Backbone:
    fields = {**SMALL, **config, "out_indices": levels or None}
    return create_model("maxvit", features_only=True, **fields).eval()


def saved(model: nn.Module, folder: Path) -> Path:
    file = folder / "weights.safetensors"
    write_safetensors(file, model.state_dict(), {})
    return file


@pytest.mark.thorough
def test_it_tells_what_timm_tells() -> None:
    timm = pytest.importorskip("timm")
    for options in [{}, {"out_indices": (1, 2, 3, 4)}, {"out_indices": (-3, -1)}]:
        with torch.device("meta"):
            theirs = timm.create_model("maxvit_tiny_tf_224", features_only=True, **options)
            ours = create_model("maxvit_tiny", features_only=True, **options)
        levels = [level % 5 for level in theirs.feature_info.out_indices]
        assert list(ours.feature_info.out_indices) == levels
        for question in ("channels", "reduction", "module_name", "get_dicts"):
            told, expected = (getattr(m.feature_info, question) for m in (ours, theirs))
            assert told() == expected()
            assert told(idx=1) == expected(idx=1)
            assert told(idx=[0, 1]) == expected(idx=[0, 1])
        assert len(ours.feature_info) == max(levels) + 1


@pytest.mark.parametrize("levels", [(), (1, 2, 3, 4), (2, 0), (-1,), (0,), (1,)])
def test_it_gives_the_classifiers_maps_and_holds_nothing_else(
    levels: tuple[int, ...], tmp_path: Path
) -> None:
    whole = small_maxvit.lively()
    backbone = small_backbone(*levels)
    load_weights(backbone, saved(whole, tmp_path))
    absolute = [level % 5 for level in levels] or list(range(5))
    with torch.no_grad():
        found, expected = backbone(PICTURES), whole.forward_pyramid(PICTURES, absolute)
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
    assert [m.shape[1] for m in found] == backbone.feature_info.channels()
    assert len(backbone.stages) == max(absolute)
    assert not any(name.startswith("head") for name in backbone.state_dict())
    sum(m.square().sum() for m in backbone.train()(PICTURES)).backward()
    assert all(p.grad is not None for p in backbone.parameters())


@pytest.mark.thorough
def test_weights_of_every_kind_and_back(tmp_path: Path) -> None:
    whole = small_maxvit.lively()
    file = saved(whole, tmp_path)
    backbone = create_model(
        "maxvit", weights=file, features_only=True, out_indices=(1, 3), window_policy="fit"
    ).eval()
    assert len(backbone.stages) == 3
    again = create_model("maxvit", weights=saved(backbone, tmp_path))
    assert isinstance(again, Backbone)
    assert again.config.out_indices == (0, 1, 2, 3)  # a state dict states no more
    assert again.config.num_classes == 0
    with pytest.raises(WeightsError, match="missing: head.norm"):
        load_weights(MaxViT(small_maxvit.CONFIG), tmp_path / "weights.safetensors")


def test_what_cannot_be() -> None:
    with pytest.raises(ConfigError, match=r"out_indices is \(5,\): accepted is different levels"):
        small_backbone(5)
    with pytest.raises(ConfigError, match=r"out_indices is \(1, -4\)"):
        small_backbone(1, -4)
    with pytest.raises(ConfigError, match="no feature maps: accepted is a MaxViT"):
        create_model("maxim", features=4, num_stages=1, features_only=True)
    with pytest.raises(ConfigError, match="features_only=True"):
        MaxViT(replace(small_maxvit.CONFIG, out_indices=(1,)))


def test_folding_grouping_freezing_checkpointing() -> None:
    backbone = small_backbone(1, 2)
    groups = parameter_groups(backbone, lr=1.0, weight_decay=0.1, layer_decay=0.5)
    grouped = sorted(id(p) for group in groups for p in group["params"])
    assert grouped == sorted(map(id, backbone.parameters()))
    assert max(group["lr"] for group in groups) == 0.5
    small_maxvit.enliven(backbone)
    with torch.no_grad():
        for a, b in zip(fold(backbone)(PICTURES), backbone(PICTURES), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)
    backbone.train().set_grad_checkpointing()
    backbone.freeze_stages(1)
    sum(m.square().sum() for m in backbone(PICTURES)).backward()
    trained = {name for name, p in backbone.named_parameters() if p.grad is not None}
    assert {name.split(".")[1] for name in trained} == {"1"}


@pytest.mark.thorough
def test_onnx(tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    backbone = small_backbone(0, 1, depths=(1,), widths=(16,))
    small_maxvit.enliven(backbone)
    export_onnx(backbone, tmp_path / "maps.onnx", (64, 96))
    session = onnxruntime.InferenceSession(
        tmp_path / "maps.onnx", providers=["CPUExecutionProvider"]
    )
    assert [output.name for output in session.get_outputs()] == ["maps_0", "maps_1"]
    x = torch.rand(3, 3, 64, 96)
    with torch.no_grad():
        expected = backbone(x)
    for a, b in zip(session.run(None, {"pictures": x.numpy()}), expected, strict=True):
        np.testing.assert_allclose(a, b.numpy(), rtol=1e-4, atol=1e-4)


def test_torchvisions_pyramid() -> None:
    ops = pytest.importorskip("torchvision.ops")
    backbone = small_backbone(2, 3, 4)
    pyramid = ops.FeaturePyramidNetwork(backbone.feature_info.channels(), 8)
    maps: dict[str, Tensor] = pyramid(
        OrderedDict((str(k), m) for k, m in enumerate(backbone(PICTURES)))
    )
    assert [m.shape[1:] for m in maps.values()] == [(8, 9, 6), (8, 5, 3), (8, 3, 2)]
