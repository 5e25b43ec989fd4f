"""`window_policy="resize"`: pictures at the nearest size that the windows divide."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

import small_maxvit
from multiaxis import create_model
from multiaxis.errors import ConfigError

RESIZING = replace(small_maxvit.CONFIG, window_size=2, grid_size=2, window_policy="resize")


@pytest.mark.parametrize(
    ("sides", "nearest"), [((64, 128), (64, 128)), ((65, 90), (64, 64)), ((3, 97), (64, 128))]
)
def test_the_nearest_size_is_computed(sides: tuple[int, int], nearest: tuple[int, int]) -> None:
    model = small_maxvit.lively(RESIZING)
    fixed = small_maxvit.lively(replace(RESIZING, window_policy="fixed"))
    x = torch.rand(2, 3, *sides)
    resized = F.interpolate(x, nearest, mode="bilinear", antialias=True)
    with torch.no_grad():
        assert torch.equal(model(x), fixed(x if sides == nearest else resized))
        assert [m.shape[2] for m in model.forward_pyramid(x)][-1] == nearest[0] // 32


def test_types_and_gradients() -> None:
    model = small_maxvit.lively(RESIZING)
    x = torch.rand(1, 3, 70, 50, requires_grad=True)
    model(x).sum().backward()
    assert x.grad is not None
    assert model.bfloat16()(x.detach().bfloat16()).dtype == torch.bfloat16


def test_a_backbone_keeps_sizes() -> None:
    with pytest.raises(ConfigError, match="window_policy is 'resize': accepted is pad, fit or"):
        create_model("maxvit_pico", features_only=True, window_policy="resize")
    with pytest.raises(ConfigError, match="'pad', 'fit', 'fixed', 'resize'"):
        create_model("maxvit_pico", window_policy="crop")
