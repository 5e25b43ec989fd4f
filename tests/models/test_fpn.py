"""Feature pyramids: as TensorFlow's garden builds them, and each picture as if it were alone."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torchvision.ops import FeaturePyramidNetwork

from multiaxis.errors import ConfigError, ShapeError
from multiaxis.models.fpn import FeaturePyramid, PyramidBackbone, PyramidConfig, level_size
from multiaxis.models.maxvit import MaxViT, MaxViTConfig
from small_maxvit import enliven

SMALL = {"stem_widths": (8, 8), "widths": (8, 8, 16, 16), "depths": (1, 1, 1, 1), "head_dim": 8}
POLICIES = {
    "pad": {"window_size": 3, "grid_size": 2},
    "fit": {"image_size": 64},
    "fixed": {"window_size": 2, "grid_size": 2},
}


def small(policy: str = "pad", **config: object) -> PyramidBackbone:
    torch.manual_seed(0)
    backbone = MaxViT(
        MaxViTConfig(**SMALL, **POLICIES[policy], window_policy=policy, num_classes=0)  # pyright: ignore[reportArgumentType]
    )
    model = PyramidBackbone(backbone, PyramidConfig(channels=8, **config))  # pyright: ignore[reportArgumentType]
    enliven(model)
    return model


def pictures(*sides: tuple[int, int]) -> list[torch.Tensor]:
    random = torch.Generator().manual_seed(1)
    return [torch.randn(3, *side, generator=random) for side in sides]


@pytest.mark.parametrize("fusion", ["sum", "concat"])
@pytest.mark.parametrize(
    ("policy", "sides"),
    [
        ("pad", [(70, 45), (33, 120), (70, 45), (64, 64)]),
        ("fit", [(70, 45), (33, 120), (70, 45)]),
        ("fixed", [(64, 128), (128, 64), (64, 64)]),
    ],
)
def test_a_picture_alone_and_in_a_batch_is_the_same(
    policy: str, sides: list[tuple[int, int]], fusion: str
) -> None:
    model = small(policy, fusion=fusion)
    given_pictures = pictures(*sides)
    with torch.no_grad():
        together = model(given_pictures)
        for number, picture in enumerate(given_pictures):
            alone = model.pyramid(picture[None])
            for level, x in together.alone(number).items():
                assert x.shape[1:] == level_size(sides[number], level)
                torch.testing.assert_close(x, alone[level][0], rtol=0, atol=1e-4)
                outside = together.maps[level][number].masked_fill(together.masks[level][number], 0)
                assert not outside.any()
                assert together.masks[level][number].sum() == x[0].numel()


def test_layers_that_are_masked_keep_pictures_apart() -> None:
    """Two convolutions over padded maps: the second would see the first one's bias otherwise."""
    model, (one, other) = small(), pictures((40, 64), (90, 100))
    layers = [torch.nn.Conv2d(8, 8, 3, padding=1) for _ in range(2)]

    def head(x: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        for layer in layers:
            x = F.relu(layer(x))
            x = x if mask is None else x * mask
        return x

    with torch.no_grad():
        together, alone = model([one, other]), model.pyramid(one[None])[3]
        height, width = alone.shape[2:]
        masked = head(together.maps[3], together.masks[3])[:1, :, :height, :width]
        torch.testing.assert_close(masked, head(alone), rtol=0, atol=1e-4)
        leaking = head(together.maps[3])[:1, :, :height, :width]
        assert (leaking - head(alone)).abs().max() > 1e-2, "else the masks would prove nothing"


def test_it_computes_what_torchvisions_does() -> None:
    """A sum without norms, on maps that halve evenly; level 6 is ours."""
    neck = FeaturePyramid({3: 5, 4: 6, 5: 7}, PyramidConfig(levels=(3, 5), channels=8, norm="none"))
    peer = FeaturePyramidNetwork([5, 6, 7], 8)
    for k, level in enumerate("345"):
        peer.inner_blocks[k][0].load_state_dict(neck.lateral[level].state_dict())  # pyright: ignore[reportIndexIssue]
        peer.layer_blocks[k][0].load_state_dict(neck.smooth[level].state_dict())  # pyright: ignore[reportIndexIssue]
    maps = {3: torch.randn(2, 5, 12, 8), 4: torch.randn(2, 6, 6, 4), 5: torch.randn(2, 7, 3, 2)}
    ours, theirs = neck(maps), peer({str(level): x for level, x in maps.items()})
    for level, x in ours.items():
        torch.testing.assert_close(x, theirs[str(level)], rtol=0, atol=1e-5)


@given(height=st.integers(1, 9), width=st.integers(1, 9))
def test_coarser_levels_lie_where_tensorflow_puts_them(height: int, width: int) -> None:
    """SAME: the first pixel sees 0, 1, 2 of an even side, and -1, 0, 1 of an odd one."""
    config = PyramidConfig(levels=(3, 4), channels=1, norm="none")
    neck = FeaturePyramid({3: 1}, config)
    for layer in (neck.lateral["3"], neck.smooth["3"], neck.coarser["4"]):
        torch.nn.init.zeros_(layer.weight)  # pyright: ignore[reportArgumentType]
    neck.lateral["3"].weight.data[:] = 1  # pyright: ignore[reportAttributeAccessIssue, reportIndexIssue]
    neck.smooth["3"].weight.data[:, :, 1, 1] = 1  # pyright: ignore[reportAttributeAccessIssue, reportIndexIssue]
    neck.coarser["4"].weight.data[:, :, 0, 0] = 1  # pyright: ignore[reportAttributeAccessIssue, reportIndexIssue]
    x = torch.rand(1, 1, height, width) + 1
    with torch.no_grad():
        found = neck({3: x})[4]
    assert found.shape[2:] == level_size((height, width), 1)
    wanted = torch.zeros(found.shape)
    for i in range(wanted.shape[2]):
        for j in range(wanted.shape[3]):
            row, column = 2 * i - height % 2, 2 * j - width % 2
            if row >= 0 and column >= 0:
                wanted[0, 0, i, j] = x[0, 0, row, column]
    torch.testing.assert_close(found, wanted)


def test_what_a_pyramid_cannot_be_is_refused() -> None:
    with pytest.raises(ConfigError, match="levels of a pyramid are"):
        PyramidConfig(levels=(5, 3))
    with pytest.raises(ConfigError, match="fusion of a pyramid is 'add'"):
        PyramidConfig(fusion="add")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ConfigError, match=r"levels \[1, 2\], and the pyramid begins at 3"):
        FeaturePyramid({1: 4, 2: 4})
    with pytest.raises(ConfigError, match="received a Linear as a backbone"):
        PyramidBackbone(torch.nn.Linear(1, 1))
    with pytest.raises(ShapeError, match=r"picture 0 has the shape \(32, 32\)"):
        small()([torch.zeros(32, 32)])
    with pytest.raises(ShapeError, match="no pictures"):
        small()([])
