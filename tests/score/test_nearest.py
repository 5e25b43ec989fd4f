"""Nearest neighbours, against every pair."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multiaxis.errors import ConfigError, ShapeError
from multiaxis.score import nearest as module
from multiaxis.score.nearest import count_distinct, nearest, usual_distance


@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_they_are_those_of_every_pair(count: int, others: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    points, among = rng.normal(3, 1, (count, 4)), rng.normal(3, 1, (others, 4))
    wanted = np.linalg.norm(points[:, None] - among, axis=2)
    numbers, distances = nearest(points, among)
    assert numbers.tolist() == wanted.argmin(axis=1).tolist()
    np.testing.assert_allclose(distances, wanted.min(axis=1))


def test_parts_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    points = np.random.default_rng(1).normal(size=(50, 3))
    for which in ("all", "others", "earlier"):
        monkeypatch.setattr(module, "_AT_ONCE", 1 << 23)
        whole = nearest(points, points, which)
        monkeypatch.setattr(module, "_AT_ONCE", 7 * 50)
        parts = nearest(points, points, which)
        assert np.array_equal(whole[0][1:], parts[0][1:])
        np.testing.assert_allclose(whole[1], parts[1])


def test_others_and_earlier_ones() -> None:
    points = np.array([[0.0], [5.0], [5.5], [0.2]])
    assert nearest(points, points)[1].tolist() == [0, 0, 0, 0]
    numbers, distances = nearest(points, points, "others")
    assert numbers.tolist() == [3, 2, 1, 0]
    np.testing.assert_allclose(distances, [0.2, 0.5, 0.5, 0.2])
    numbers, distances = nearest(points, points, "earlier")
    assert numbers.tolist()[1:] == [0, 1, 0]
    np.testing.assert_allclose(distances, [np.inf, 5, 0.5, 0.2])


def test_equal_points_are_at_nothing_however_far_from_nothing_they_are() -> None:
    points = np.random.default_rng(1).normal(size=(20, 64)).astype(np.float32) + 1e4
    assert nearest(points, points)[1].max() == 0


def test_distinct_points_are_counted() -> None:
    three = np.array([[0.0], [5.0], [9.0]]).repeat(4, axis=0)
    jitter = np.random.default_rng(2).normal(0, 0.01, three.shape)
    assert count_distinct(three + jitter, 0.1) == 3
    assert count_distinct(three, 0.0) == 3
    assert count_distinct(three + jitter, 0.0) == 12


def test_one_distance_in_twenty_is_usual() -> None:
    assert usual_distance(np.arange(101.0)) == 5


def test_what_cannot_be_compared() -> None:
    with pytest.raises(ShapeError, match=r"\(2, 3\) and \(2, 4\)"):
        nearest(np.zeros((2, 3)), np.zeros((2, 4)))
    with pytest.raises(ShapeError, match="NaN or infinite"):
        nearest(np.full((2, 3), np.nan), np.zeros((2, 3)))
    with pytest.raises(ConfigError, match="which is 'far'"):
        nearest(np.zeros((2, 3)), np.zeros((2, 3)), "far")  # pyright: ignore[reportArgumentType]
