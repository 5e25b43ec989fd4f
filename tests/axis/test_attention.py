"""Attention in windows: equal to loops over pixels, local or global as it should be."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from axis_reference import attention, positions
from multiaxis.axis import (
    BlockAttention,
    GatingWeights,
    GridAttention,
    MultiAxisGatedMlp,
    RelativeBias,
    block,
    resize_table,
    ungrid,
)
from multiaxis.axis.padding import pad_to_multiple
from multiaxis.errors import ConfigError, ShapeError

KINDS = (BlockAttention, GridAttention)


def lively(kind: type, *arguments: object, **options: object) -> BlockAttention | GridAttention:
    torch.manual_seed(0)
    layer = kind(*arguments, **options).double()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.randn(parameter.shape) * 0.5)
    return layer


@st.composite
def cases(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[int, ...]]:
    rank = draw(st.integers(1, 3))
    most = {1: 9, 2: 6, 3: 3}[rank]
    sides = st.lists(st.integers(1, most), min_size=rank, max_size=rank)
    return tuple(draw(sides)), tuple(draw(sides))


@pytest.mark.thorough
@settings(max_examples=40, deadline=None)
@given(
    case=cases(),
    kind=st.sampled_from(KINDS),
    relative_bias=st.sampled_from(["per_head", "shared", None]),
)
def test_equals_loops_over_pixels(
    case: tuple[tuple[int, ...], tuple[int, ...]], kind: type, relative_bias: str | None
) -> None:
    """Any rank, any window, sizes that windows do not divide; gradients too."""
    spatial, window = case
    layer = lively(kind, 6, 3, window, relative_bias=relative_bias)
    x = torch.randn(2, *spatial, 6, dtype=torch.float64, requires_grad=True)
    with torch.no_grad():
        torch.testing.assert_close(layer(x), attention(x, layer))
    weights = torch.randn(2, *spatial, 6, dtype=torch.float64)
    wanted = [x, *layer.parameters()]
    mine = torch.autograd.grad((layer(x) * weights).sum(), wanted)
    theirs = torch.autograd.grad((attention(x, layer) * weights).sum(), wanted, allow_unused=True)
    for a, b in zip(mine, theirs):
        torch.testing.assert_close(a, torch.zeros_like(a) if b is None else b)


@pytest.mark.parametrize("kind", KINDS)
def test_another_window_for_one_call(kind: type) -> None:
    layer = lively(kind, 4, 2, (2, 3))
    x = torch.randn(1, 8, 9, 4, dtype=torch.float64)
    stretched = lively(kind, 4, 2, (4, 3), table_window=(2, 3))
    stretched.load_state_dict(layer.state_dict())
    assert torch.equal(layer(x, (4, 3)), stretched(x))
    assert torch.equal(layer(x, (2, 3)), layer(x))


def influence(run: object, spatial: tuple[int, ...]) -> torch.Tensor:
    """Which output pixels (first) depend on which input pixels, from gradients."""
    count = math.prod(spatial)
    x = torch.randn(1, *spatial, 4, dtype=torch.float64, requires_grad=True)
    y = run(x).sum(-1).flatten()
    rows = [torch.autograd.grad(y[i], x, retain_graph=True)[0] for i in range(count)]
    return torch.stack(rows).abs().sum(-1).reshape(count, count) > 0


@pytest.mark.thorough
@settings(max_examples=15, deadline=None)
@given(
    st.tuples(st.integers(1, 7), st.integers(1, 7)), st.tuples(st.integers(1, 4), st.integers(1, 4))
)
def test_blocks_are_local_and_the_grid_is_dilated(
    spatial: tuple[int, int], window: tuple[int, int]
) -> None:
    cell = [-(-n // w) for n, w in zip(spatial, window)]
    place = positions(spatial)
    local, dilated = (influence(lively(kind, 4, 2, window), spatial) for kind in KINDS)
    for i, p in enumerate(place):
        for j, q in enumerate(place):
            same_block = all(a // w == b // w for a, b, w in zip(p, q, window))
            same_place = all(a % c == b % c for a, b, c in zip(p, q, cell))
            assert (bool(local[i, j]), bool(dilated[i, j])) == (same_block, same_place)


@pytest.mark.parametrize(
    ("side", "window", "reach"), [(56, 7, 0.875), (49, 7, 1.0), (28, 7, 1.0), (32, 4, 0.5)]
)
def test_reach_of_block_then_grid(side: int, window: int, reach: float) -> None:
    """Along one axis: min(1, block * grid / side), the rule of the field of view."""
    block, grid = (lively(kind, 4, 2, (window,)) for kind in KINDS)
    seen = influence(lambda x: grid(block(x)), (side,))
    assert reach == min(1, window * window / side)
    assert (seen.sum(1) == round(reach * side)).all()


def test_windows_that_follow_the_size_reach_everything() -> None:
    for side in (4, 9, 16):
        window = (math.isqrt(side), math.isqrt(side))
        block, grid = (lively(kind, 4, 2, window) for kind in KINDS)
        assert influence(lambda x, b=block, g=grid: g(b(x)), (side, side)).all()


@pytest.mark.parametrize("kind", KINDS)
def test_padding_gives_no_nan(kind: type) -> None:
    layer = lively(kind, 4, 2, (7, 7))
    for spatial in [(1, 1), (1, 50), (8, 8), (13, 2)]:
        x = torch.randn(2, *spatial, 4, dtype=torch.float64, requires_grad=True)
        y = layer(x)
        y.sum().backward()
        assert y.shape == x.shape
        assert y.isfinite().all()
        assert x.grad is not None
        assert x.grad.isfinite().all()


@pytest.mark.parametrize("kind", KINDS)
def test_low_precision_is_close(kind: type) -> None:
    layer = lively(kind, 8, 4, (3, 2)).float()
    x = torch.randn(2, 7, 8, 8)
    with torch.no_grad():
        expected = layer(x)
        with torch.autocast("cpu", torch.bfloat16):
            mixed = layer(x)
        low = layer.bfloat16()(x.bfloat16())
    for found in (mixed, low):
        assert found.dtype == torch.bfloat16
        assert (found.float() - expected).abs().max() < 0.05 * expected.abs().max()


def test_what_cannot_work() -> None:
    with pytest.raises(ConfigError, match="received 6 channels and heads of 4"):
        BlockAttention(6, 4, (2, 2))
    with pytest.raises(ConfigError, match="relative_bias is 'both': accepted are 'per_head'"):
        GridAttention(6, 3, (2, 2), relative_bias="both")
    with pytest.raises(ShapeError, match="received 1 spatial axes"):
        BlockAttention(6, 3, (2, 2))(torch.zeros(1, 4, 6))


LAYERS = {
    "block attention": lambda window: BlockAttention(8, 4, window),
    "grid attention": lambda window: GridAttention(8, 4, window),
    "gated MLP": lambda window: MultiAxisGatedMlp(8, window, window),
    "gates": lambda window: GatingWeights(8, window, window),
    "table": lambda window: RelativeBias(2, window),
    "call": lambda window: BlockAttention(8, 4, (2, 2))(torch.zeros(1, 4, 4, 8), window),
    "split": lambda window: block(torch.zeros(1, 4, 4, 8), window),
    "merge": lambda window: ungrid(torch.zeros(1, 4, 4, 8), window, (4, 4)),
    "stretch": lambda window: resize_table(torch.zeros(2, 3, 3), window),
    "padding": lambda window: pad_to_multiple(torch.zeros(1, 4, 4, 8), window),
}


@pytest.mark.parametrize("window", [7, 0, (0, 2), (2, -1), (2.0, 2), (True, 2), "22", (), None])
@pytest.mark.parametrize("layer", LAYERS)
def test_windows_that_are_none(layer: str, window: object) -> None:
    if layer == "call" and window is None:
        return  # the configured one
    with pytest.raises(ConfigError, match="accepted is a whole number from 1 on for each spatial"):
        LAYERS[layer](window)


@pytest.mark.parametrize("layer", ["block attention", "grid attention", "gated MLP", "gates"])
def test_maps_with_other_channels(layer: str) -> None:
    network = LAYERS[layer]((2, 2))
    with pytest.raises(ShapeError, match=r"accepted is \(batch, \*spatial, 8\); move the channels"):
        network(torch.zeros(1, 8, 6, 4))
    with pytest.raises(ShapeError, match=r"received a map of shape \(1, 4, 6, 5\): accepted"):
        network(torch.zeros(1, 4, 6, 5))
    with pytest.raises(ShapeError):
        network(torch.zeros(4, 8))


def test_windows_of_unlike_ranks() -> None:
    with pytest.raises(ConfigError, match=r"the window \(2, 2\) and the table_window \(3,\)"):
        BlockAttention(8, 4, (2, 2), table_window=(3,))
    with pytest.raises(ShapeError, match="one size for each axis of the window"):
        resize_table(torch.zeros(2, 3, 3), (2,))
