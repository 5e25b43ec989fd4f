"""Correlations are those of their definitions and of SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from multiaxis.errors import ShapeError
from multiaxis.score.correlation import (
    agreement,
    rank_correlation,
    rank_interval,
    right_pairs,
    share_interval,
)

numbers = st.lists(st.integers(0, 6), min_size=3, max_size=12)


@given(numbers, st.randoms(use_true_random=False))
def test_ranks_and_pairs_are_those_of_the_definitions(values: list[int], random: object) -> None:
    a = np.array(values, float)
    b = np.array([random.randint(0, 4) for _ in values], float)  # pyright: ignore[reportAttributeAccessIssue]
    ranks = [stats.rankdata(x) for x in (a, b)]
    if np.ptp(a) and np.ptp(b):
        wanted = np.corrcoef(*ranks)[0, 1]
        assert rank_correlation(a, b) == pytest.approx(wanted)
        assert rank_correlation(a, b) == pytest.approx(stats.spearmanr(a, b).statistic)
    else:
        assert np.isnan(rank_correlation(a, b))
    pairs = [(i, j) for i in range(len(a)) for j in range(i) if b[i] != b[j]]
    signs = [np.sign(a[i] - a[j]) * np.sign(b[i] - b[j]) for i, j in pairs]
    if pairs:
        assert right_pairs(a, b) == pytest.approx(np.mean([(s + 1) / 2 for s in signs]))


def test_all_measures_by_hand() -> None:
    a, b = np.array([1.0, 2, 3, 5]), np.array([10.0, 20, 40, 30])
    found = agreement(a, b)
    assert found.srcc == pytest.approx(1 - 6 * 2 / (4 * 15))  # no ties: 1 - 6 sum d^2 / n(n^2-1)
    assert found.krcc == pytest.approx((5 - 1) / 6)
    assert found.pairs == pytest.approx(5 / 6)
    assert found.plcc == pytest.approx(np.corrcoef(a, b)[0, 1])
    assert found.error == pytest.approx(np.abs(a - b).mean())
    assert np.isnan(found.plcc_fitted)  # too few for a curve of four parameters


def test_a_logistic_relation_is_perfect_once_the_curve_is_fitted() -> None:
    a = np.linspace(-4, 4, 40)
    for sign in (1, -1):
        found = agreement(a, 20 + 60 / (1 + np.exp(-sign * (a - 0.5) / 0.6)))
        assert abs(found.plcc) < 0.97
        assert found.plcc_fitted == pytest.approx(1, abs=1e-6)
        assert found.srcc == pytest.approx(sign)


@pytest.mark.thorough
def test_an_interval_covers_what_it_claims() -> None:
    """Of many samples of a known correlation, nearly all intervals hold it."""
    rng = np.random.default_rng(0)
    inside = 0
    for k in range(16):
        x = rng.normal(size=60)
        y = 0.6 * x + 0.8 * rng.normal(size=60)
        low, high = rank_interval(x, y, seed=k)
        inside += low <= 6 / np.pi * np.arcsin(0.6 / 2) <= high
    assert inside >= 13
    same = rank_interval(x, y, seed=1)
    assert same == rank_interval(x, y, seed=1)
    wide = rank_interval(x, y, groups=np.arange(60) // 10)
    assert wide[1] - wide[0] > 0
    assert np.isnan(rank_interval(np.zeros(5), np.arange(5))[0])


def test_shares_and_what_cannot_be_scored() -> None:
    low, high = share_interval(1.0, 10)
    assert low == pytest.approx(1 / (1 + 1.959964**2 / 10), abs=1e-6)
    assert high == pytest.approx(1)
    assert np.isnan(share_interval(0.5, 0)[0])
    constant = agreement(np.ones(4), np.arange(4))
    assert np.isnan(constant.srcc)
    assert constant.pairs == 0.5
    with pytest.raises(ShapeError, match="three or more in a row"):
        rank_correlation(np.arange(2), np.arange(2))
    with pytest.raises(ShapeError, match="NaN"):
        agreement(np.array([1, np.nan, 2]), np.arange(3))
    with pytest.raises(ShapeError, match="must agree"):
        agreement(np.arange(4), np.arange(3))
