"""Scaling to [0, 1] and back loses nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from multiaxis.errors import ShapeError
from multiaxis.images import from_unit, grey_to_rgb, rgb_to_grey, to_unit

SHAPES = arrays.array_shapes(min_dims=1, max_dims=3, max_side=6)


@pytest.mark.parametrize("depth", ["uint8", "uint16"])
def test_every_level_returns(depth):
    levels = np.arange(np.iinfo(depth).max + 1).astype(depth)
    unit = to_unit(levels)
    assert unit.dtype == np.float32
    assert (unit[0], unit[-1]) == (0, 1)
    np.testing.assert_array_equal(from_unit(unit, depth), levels)


@given(arrays.arrays(np.float32, SHAPES, elements=st.floats(-9, 9, width=32)))
def test_floats_are_only_clipped(values):
    assert to_unit(values) is values
    np.testing.assert_array_equal(from_unit(values, np.float32), values.clip(0, 1))


@pytest.mark.thorough
@given(
    arrays.arrays(np.float32, SHAPES, elements=st.floats(allow_nan=False, width=32)),
    st.sampled_from(["uint8", "uint16"]),
)
def test_rounding_errs_by_half_a_step_at_most(values, depth):
    before = values.copy()
    back = to_unit(from_unit(values, depth))
    assert np.abs(back - values.clip(0, 1)).max() <= 0.501 / np.iinfo(depth).max
    np.testing.assert_array_equal(values, before)


def test_halves_go_to_even():
    halves = np.array([0.5, 1.5, 2.5, 253.5, 254.5], np.float64) / 255
    assert from_unit(halves, np.uint8).tolist() == [0, 2, 2, 254, 254]


@given(arrays.arrays(st.sampled_from([np.uint8, np.uint16]), SHAPES.map(lambda s: (*s, 1))))
def test_grey_returns_from_rgb(pixels):
    rgb = grey_to_rgb(pixels)
    assert rgb.shape == (*pixels.shape[:-1], 3)
    np.testing.assert_array_equal(rgb_to_grey(rgb), pixels)


@given(arrays.arrays(np.float32, (4, 5, 1), elements=st.floats(0, 1, width=32)))
def test_float_grey_returns_from_rgb(pixels):
    np.testing.assert_array_equal(rgb_to_grey(grey_to_rgb(pixels)), pixels)


def test_luma_weights():
    primaries = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8)
    assert rgb_to_grey(primaries).tolist() == [[[76], [150], [29]]]


def test_what_is_not_a_picture_is_refused():
    with pytest.raises(ShapeError, match="dtype int64"):
        to_unit(np.zeros(3, np.int64))
    with pytest.raises(ShapeError, match="dtype float64"):
        from_unit(np.zeros(3), np.float64)
    with pytest.raises(ShapeError, match="NaN"):
        from_unit(np.array([0.5, np.nan]), np.uint8)
    for function in (grey_to_rgb, rgb_to_grey):
        with pytest.raises(ShapeError, match="1 or 3 channels"):
            function(np.zeros((2, 2, 4), np.uint8))
