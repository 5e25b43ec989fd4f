"""The multi-axis gated MLP and cross gating against slow references, and what reaches what."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import axis_reference as reference
from multiaxis.axis import CrossGating, GatedMlp, GatingWeights, MultiAxisGatedMlp, block, grid

CASES = st.tuples(
    st.sampled_from([(8,), (4, 6), (6, 4), (2, 2, 4)]),
    st.booleans(),
    st.integers(0, 1000),
)


def randomised(layer: nn.Module, seed: int) -> nn.Module:
    """Every parameter random, so that no term is zero or one by its start value."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in layer.parameters():
        nn.init.normal_(parameter, std=0.7, generator=generator)
    return layer.double()


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64, requires_grad=True)


def divisors(spatial: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """A block size and another grid size for a shape of even sides."""
    return (2,) * len(spatial), (*(n // 2 for n in spatial[:-1]), 2)


def assert_same_with_gradients(
    got: torch.Tensor, expected: torch.Tensor, leaves: list[torch.Tensor]
) -> None:
    weight = torch.linspace(-1, 1, got.numel(), dtype=got.dtype).view_as(got)
    torch.testing.assert_close(got, expected, atol=1e-10, rtol=1e-10)
    torch.testing.assert_close(
        torch.autograd.grad((got * weight).sum(), leaves),
        torch.autograd.grad((expected * weight).sum(), leaves),
        atol=1e-9,
        rtol=1e-9,
    )


@settings(max_examples=8, deadline=None)
@given(CASES, st.sampled_from([(2, 2, 2), (4, 3, 1), (1, 2, 4)]))
def test_multi_axis_gated_mlp_is_its_reference(
    case: tuple[tuple[int, ...], bool, int], factors: tuple[int, int, int]
) -> None:
    spatial, use_bias, seed = case
    block_size, grid_size = divisors(spatial)
    layer = MultiAxisGatedMlp(
        4,
        block_size,
        grid_size,
        projection_factor=factors[0],
        block_factor=factors[1] * 2,
        grid_factor=factors[2] * 2,
        use_bias=use_bias,
    )
    randomised(layer, seed)
    x = noise(2, *spatial, 4, seed=seed)
    assert_same_with_gradients(layer(x), reference.multi_axis(x, layer), [x, *layer.parameters()])


@pytest.mark.thorough
@settings(max_examples=8, deadline=None)
@given(CASES)
def test_cross_gating_is_its_reference(case: tuple[tuple[int, ...], bool, int]) -> None:
    spatial, use_bias, seed = case
    layer = CrossGating(3, *divisors(spatial), use_bias=use_bias)
    randomised(layer, seed)
    x, y = noise(2, *spatial, 3, seed=seed), noise(2, *spatial, 3, seed=seed + 1)
    got = torch.cat(layer(x, y), dim=-1)
    expected = torch.cat(reference.cross_gating(x, y, layer), dim=-1)
    assert_same_with_gradients(got, expected, [x, y, *layer.parameters()])


def influence(function: nn.Module, x: torch.Tensor, place: tuple[int, ...]) -> torch.Tensor:
    """Which pixels change when one input pixel does; shape (*spatial)."""
    changed = x.detach().clone()
    changed[(0, *place, 0)] += 1  # in one channel: a norm would not see a shift of all
    with torch.no_grad():
        return (function(changed) - function(x)).abs().sum(-1)[0] > 1e-9


@given(row=st.integers(0, 7), column=st.integers(0, 11))
@settings(max_examples=20, deadline=None)
def test_block_mixing_stays_in_its_window_and_grid_mixing_reaches_every_cell(
    row: int, column: int
) -> None:
    layer = randomised(MultiAxisGatedMlp(4, (4, 3), (2, 4)), 1)
    reached = influence(layer, noise(1, 8, 12, 4), (row, column))
    rows, columns = torch.meshgrid(torch.arange(8), torch.arange(12), indexing="ij")
    in_block = (rows // 4 == row // 4) & (columns // 3 == column // 3)
    same_place = (rows % 4 == row % 4) & (columns % 3 == column % 3)
    assert torch.equal(reached, in_block | same_place)
    assert len({(r // 4, c // 3) for r, c in zip(*torch.where(same_place))}) == 8


def test_two_layers_reach_the_whole_map() -> None:
    first, second = (randomised(MultiAxisGatedMlp(4, (4, 4), (2, 2)), k) for k in (1, 2))
    reached = influence(nn.Sequential(first, second), noise(1, 8, 8, 4), (3, 5))
    assert reached.all()


@pytest.mark.parametrize("split", [block, grid])
def test_windows_can_be_mixed_in_pieces(split: object) -> None:
    """What a bounded-memory evaluation needs: windows know nothing of each other."""
    layer = randomised(GatedMlp(3, 4), 3)
    windows = split(noise(1, 6, 8, 3), (2, 2))
    whole = layer(windows)
    pieces = torch.cat([layer(windows[:, k : k + 5]) for k in range(0, windows.shape[1], 5)], 1)
    torch.testing.assert_close(pieces, whole, atol=1e-12, rtol=0)


def test_start_values_follow_the_authors() -> None:
    gates = GatingWeights(8, (4, 4), (4, 4))
    assert (gates.grid_mix.bias == 1).all()
    assert (gates.block_mix.bias == 1).all()
    mixing = MultiAxisGatedMlp(64, (16, 16), (16, 16))
    assert (mixing.block_mlp.mix.bias == 0).all()
    assert mixing.grid_mlp.mix.weight.std().item() == pytest.approx(0.02, rel=0.02)
    assert mixing.project_in.weight.std().item() == pytest.approx(0.02, rel=0.05)
    wide = GatingWeights(256, (2, 2), (2, 2)).project_in.weight
    assert wide.std().item() == pytest.approx(256**-0.5, rel=0.02)
    assert wide.abs().max().item() <= 2 * 256**-0.5 / 0.8796 + 1e-6
