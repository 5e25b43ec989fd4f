"""How far a stage sees: the sheet's numbers, and what gradients of its layers tell."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from multiaxis.axis import BlockAttention, GridAttention
from multiaxis.errors import ShapeError
from multiaxis.models.maxvit import MaxViTConfig, reach
from multiaxis.models.maxvit.field_of_view import short_reach


def windowed(window: int, **config: object) -> MaxViTConfig:
    return MaxViTConfig(window_size=window, grid_size=window, **config)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("size", "window", "depth", "share"),
    [
        (224, 7, 1, 0.875), (448, 7, 1, 0.4375), (896, 7, 1, 0.21875), (896, 14, 1, 0.875),
        (896, 28, 1, 1.0), (224, 7, 2, 1.0), (896, 7, 2, 0.594), (896, 7, 3, 0.969),
    ],
)  # fmt: skip
def test_shares_of_the_published_sizes(size: int, window: int, depth: int, share: float) -> None:
    first = reach(windowed(window, depths=(depth, 1, 1, 1)), size)[0]
    assert first.stage == pytest.approx((share, share), abs=5e-4)
    assert first.pair[0] == pytest.approx(min(1, window**2 / first.sides[0]))


@pytest.mark.thorough
@settings(max_examples=25)
@given(
    side=st.integers(1, 40),
    block=st.integers(1, 9),
    grid=st.integers(1, 9),
    depth=st.integers(1, 3),
)
def test_it_is_what_gradients_reach(side: int, block: int, grid: int, depth: int) -> None:
    """Of a map that is a line: which inputs move each output of so many pairs of attention."""
    torch.manual_seed(0)
    layers = [
        layer
        for _ in range(depth)
        for layer in (
            BlockAttention(1, 1, (1, block)).double(),
            GridAttention(1, 1, (1, grid)).double(),
        )
    ]
    for layer in layers:
        for parameter in layer.parameters():
            torch.nn.init.uniform_(parameter, 0.5, 1.5)

    def run(x: torch.Tensor) -> torch.Tensor:
        x = x[None, None, :, None]
        for layer in layers:
            x = x + layer(x)
        return x[0, 0, :, 0]

    moved = torch.autograd.functional.jacobian(run, torch.rand(side, dtype=torch.float64))
    config = MaxViTConfig(
        depths=(depth,), widths=(32,), window_size=(1, block), grid_size=(1, grid)
    )
    seen = reach(config, (4, 4 * side))[0]
    assert seen.sides == (1, side)
    assert seen.stage == (1.0, pytest.approx(float((moved != 0).double().mean())))  # pyright: ignore[reportAttributeAccessIssue]


def test_windows_that_fit_see_everything_and_others_are_noted() -> None:
    fitting = MaxViTConfig(window_policy="fit")
    assert all(stage.pair == (1.0, 1.0) for stage in reach(fitting, (640, 480))[1:])
    assert short_reach(fitting, (896, 896)) is None
    assert short_reach(MaxViTConfig(), (300, 240)) is None
    noted = short_reach(MaxViTConfig(), (896, 896))
    assert noted is not None
    assert "see 22 % of a side of 896 x 896" in noted
    with pytest.raises(ShapeError, match="sides from 1 pixel"):
        reach(MaxViTConfig(), 0)
