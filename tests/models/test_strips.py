"""A backbone in strips gives the maps that it gives whole."""

from __future__ import annotations

import pytest
import torch

from multiaxis.errors import ConfigError
from multiaxis.models.maxvit import MaxViT, MaxViTConfig
from multiaxis.models.maxvit.strips import pyramid_in_strips
from small_maxvit import enliven

SMALL = {"stem_widths": (8, 8), "widths": (8, 16), "depths": (2, 1), "head_dim": 8}
KINDS = {
    "pad": {"window_size": 3, "grid_size": 4},
    "fit": {"image_size": 64, "window_policy": "fit"},
    "shared": {"window_size": (2, 3), "grid_size": (3, 2), "relative_bias": "shared"},
    "torchvision": {"window_size": 3, "grid_size": 3, "flavour": "torchvision"},
    "inputs": {"window_size": 2, "grid_size": 5, "downsample_loc": "inputs", "pool_type": "max"},
    "expand": {"window_size": 2, "grid_size": 7, "downsample_loc": "expand_conv"},
    "narrow": {"window_size": 2, "grid_size": 2, "expansion_rate": 1},
}


@pytest.mark.parametrize("sides", [(131, 90), (128, 96), (67, 61), (40, 150)])
@pytest.mark.parametrize("kind", KINDS)
def test_strips_give_the_same_maps(kind: str, sides: tuple[int, int]) -> None:
    torch.manual_seed(0)
    model = MaxViT(MaxViTConfig(**SMALL, **KINDS[kind], num_classes=0))  # pyright: ignore[reportArgumentType]
    enliven(model)
    x = torch.randn(1, 3, *sides)
    with torch.no_grad():
        whole = model.forward_pyramid(x)
    for strip in (1, 200):
        seen: list[float] = []
        found = pyramid_in_strips(model, x, (0, 1, 2), strip=strip, on_progress=seen.append)
        for one, other in zip(found, whole, strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=1e-4)
        assert seen[-1] == 1
    (last,) = pyramid_in_strips(model, x, (1,), strip=500)
    torch.testing.assert_close(last, whole[1], rtol=0, atol=1e-4)


def test_a_model_in_training_is_refused() -> None:
    model = MaxViT(MaxViTConfig(**SMALL, **KINDS["pad"])).train()  # pyright: ignore[reportArgumentType]
    with pytest.raises(ConfigError, match="in training"):
        pyramid_in_strips(model, torch.zeros(1, 3, 32, 32), (1,))
