"""Folded models: the same outputs, no batch norm left, the original untouched."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

import small_maxvit
from multiaxis.deploy import fold
from multiaxis.errors import ConfigError


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


def test_another_kind_of_model() -> None:
    with pytest.raises(ConfigError, match="cannot fold a Linear: accepted is a MAXIM or a MaxViT"):
        fold(torch.nn.Linear(1, 1))
