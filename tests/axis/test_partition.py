"""Blocks and grids: round trips, membership, errors."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import axis_reference as reference
from multiaxis.axis import block, grid, unblock, ungrid
from multiaxis.errors import ShapeError

KINDS = {
    "block": (block, unblock, reference.block_windows),
    "grid": (grid, ungrid, reference.grid_windows),
}


@st.composite
def maps(draw: st.DrawFn) -> tuple[torch.Tensor, tuple[int, ...]]:
    """A numbered map of one to four spatial axes, and a size that divides it."""
    size = tuple(draw(st.lists(st.integers(1, 3), min_size=1, max_size=4)))
    times = draw(st.lists(st.integers(1, 3), min_size=len(size), max_size=len(size)))
    spatial = [s * n for s, n in zip(size, times)]
    shape = (draw(st.integers(1, 2)), *spatial, draw(st.integers(1, 2)))
    return torch.arange(torch.Size(shape).numel()).view(shape), size


@pytest.mark.parametrize("kind", KINDS)
@given(case=maps())
def test_round_trip_is_exact(kind: str, case: tuple[torch.Tensor, tuple[int, ...]]) -> None:
    split, merge, _ = KINDS[kind]
    x, size = case
    assert torch.equal(merge(split(x, size), size, x.shape[1:-1]), x)


@pytest.mark.parametrize("kind", KINDS)
@given(case=maps())
def test_windows_hold_the_right_pixels(
    kind: str, case: tuple[torch.Tensor, tuple[int, ...]]
) -> None:
    split, _, windows = KINDS[kind]
    x, size = case
    assert torch.equal(split(x, size), reference.split(x, windows(tuple(x.shape[1:-1]), size)))


@given(case=maps())
def test_a_grid_of_blocks_is_a_block_of_the_quotient(
    case: tuple[torch.Tensor, tuple[int, ...]],
) -> None:
    """With cells as large as blocks, tokens and windows only change places."""
    x, size = case
    cells = tuple(n // s for n, s in zip(x.shape[1:-1], size))
    assert torch.equal(grid(x, cells), block(x, size).transpose(1, 2))


@pytest.mark.parametrize("kind", KINDS)
def test_sizes_that_do_not_divide_are_refused(kind: str) -> None:
    split, merge, _ = KINDS[kind]
    with pytest.raises(ShapeError, match=rf"\(6, 8\).*multiple of the {kind} size \(4, 4\)"):
        split(torch.zeros(1, 6, 8, 1), (4, 4))
    with pytest.raises(ShapeError, match="multiple"):
        merge(torch.zeros(1, 3, 16, 1), (4, 4), (6, 8))


@pytest.mark.parametrize("kind", KINDS)
def test_ranks_that_differ_are_refused(kind: str) -> None:
    with pytest.raises(ShapeError, match="2 spatial axes"):
        KINDS[kind][0](torch.zeros(1, 8, 8, 1), (4,))
