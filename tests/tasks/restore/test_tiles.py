"""Tiles cover a frame, fade into each other, and are exact where a model sees one pixel only."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from multiaxis.errors import ConfigError
from multiaxis.tasks.restore.tiles import blend, check_tile, cut


@given(st.integers(1, 500), st.integers(1, 500), st.integers(64, 300))
def test_what_changes_nothing_comes_back(height: int, width: int, tile: int) -> None:
    frames = torch.rand(2, height, width, 1)
    places = cut(height, width, tile)
    parts = [frames[:, rows, columns] for rows, columns in places]
    assert all(max(part.shape[1:3]) <= tile for part in parts)
    assert (blend(frames.shape, places, parts) - frames).abs().max() < 1e-6


def test_neighbours_overlap_and_fade() -> None:
    """Two tiles that disagree: no step between them is larger than the fade's."""
    places = cut(64, 112, 64)
    assert [columns.stop - columns.start for _, columns in places] == [64, 64]
    parts = [torch.full((1, 64, 64, 1), float(value)) for value in (0, 1)]
    row = blend((1, 64, 112, 1), places, parts)[0, 32, :, 0].numpy()
    assert row[0] == 0
    assert row[-1] == 1
    assert 0 < np.diff(row).max() < 0.15
    assert (np.diff(row) >= 0).all()


def test_a_tile_too_small() -> None:
    with pytest.raises(ConfigError, match="the tile is 63 pixels: accepted is a side of 64"):
        check_tile(63)
