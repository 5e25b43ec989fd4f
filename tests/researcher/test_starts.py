"""How a model begins: its mode, its numbers, with memory that came late."""

from __future__ import annotations

import copy
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import small_maxvit
from multiaxis import create_model
from multiaxis.models.maxvit.config import SMALL_DATA
from multiaxis.weights.store import write_safetensors
from multiaxis.zoo import open_model

SMALL = asdict(small_maxvit.CONFIG)


def test_create_model_trains_and_open_model_evaluates(tmp_path: Path) -> None:
    """Lightning keeps the mode that it gets."""
    file = tmp_path / "a.safetensors"
    write_safetensors(file, small_maxvit.lively().state_dict(), {})
    built = [
        create_model("maxvit", **SMALL),
        create_model("maxvit", weights=file),
        create_model("maxvit", weights=file, features_only=True),
        create_model("maxim", features=4, num_stages=1),
    ]
    assert all(part.training for model in built for part in model.modules())
    assert not any(part.training for part in open_model(file).modules())


@pytest.mark.thorough
@pytest.mark.parametrize(
    "fields", [{}, SMALL_DATA, {"features_only": True}, {"flavour": "torchvision"}]
)
def test_init_weights_is_complete_after_meta(fields: dict[str, Any]) -> None:
    with torch.device("meta"):
        model = create_model("maxvit", **{**SMALL, **fields})
    model.to_empty(device="cpu")
    with torch.no_grad():
        for tensor in model.state_dict().values():
            tensor.fill_(math.nan if tensor.is_floating_point() else 7)
    model.init_weights()
    built = create_model("maxvit", **{**SMALL, **fields}).state_dict()
    for name, value in model.state_dict().items():
        assert value.isfinite().all(), name
        if value.numel() > 200:
            assert value.std().item() == pytest.approx(built[name].std().item(), rel=0.35), name
        elif value.ndim < 2:
            assert torch.equal(value, built[name]), name
    expected = copy.deepcopy(model)
    expected.load_state_dict(model.state_dict())
    x = torch.rand(1, 3, 40, 40)
    given, wanted = model.eval()(x), expected.eval()(x)
    pairs = zip(given, wanted) if fields.get("features_only") else [(given, wanted)]
    assert all(torch.equal(a, b) for a, b in pairs)


def test_the_scaled_start_follows_the_widths() -> None:
    """As measured of timm's: He's by fan out for convolutions, Glorot's for dense layers."""
    torch.manual_seed(0)
    model = create_model("maxvit_nano", num_classes=10, **SMALL_DATA)
    assert {m.momentum for m in model.modules() if isinstance(m, nn.BatchNorm2d)} == {0.1}
    block = model.stages[1][0]
    deviations = {
        math.sqrt(2 / (9 * 32)): model.stem.conv2,
        math.sqrt(2 / 9): block.mbconv.depthwise,
        math.sqrt(2 / 256): block.mbconv.expand,
        math.sqrt(2 / 64): block.mbconv.project,
        math.sqrt(2 / 16): block.mbconv.squeeze_excite.squeeze,
        math.sqrt(2 / (64 + 192)): block.block.attention.qkv,
        math.sqrt(2 / (64 + 256)): block.grid.expand,
        math.sqrt(1 / (3 * 256)): model.head.hidden,
    }
    for deviation, layer in deviations.items():
        assert layer.weight.std().item() == pytest.approx(deviation, rel=0.1)
        assert layer.bias is None or not layer.bias.any()
    plain = create_model("maxvit_nano")
    assert plain.stem.conv2.weight.std().item() == pytest.approx(0.02, rel=0.1)


@pytest.mark.parametrize("kind", [nn.SyncBatchNorm, nn.BatchNorm2d])
def test_replaced_norms_start_too(kind: type[nn.Module]) -> None:
    model = small_maxvit.lively()
    if kind is nn.SyncBatchNorm:
        model = nn.SyncBatchNorm.convert_sync_batchnorm(model)
    model.init_weights()
    norms = [m for m in model.modules() if isinstance(m, kind)]
    assert norms
    assert all(m.weight.eq(1).all() and m.running_var.eq(1).all() for m in norms)
