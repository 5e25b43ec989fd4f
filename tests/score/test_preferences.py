"""Strengths are the likeliest ones, and what has none is told."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.stats import norm

from multiaxis.errors import ConfigError, DataError, ShapeError
from multiaxis.score.preferences import (
    MODELS,
    Model,
    _mm,  # pyright: ignore[reportPrivateUsage] (the update of the sheet, before it is polished)
    connected_groups,
    fit_strengths,
)

Floats = NDArray[np.float64]


def comparisons(seed: int, items: int = 6) -> tuple[NDArray[np.int64], Floats]:
    """A ring that beats and is beaten, and some more: strengths are finite."""
    rng = np.random.default_rng(seed)
    ring = np.array([[k, (k + 1) % items] for k in range(items)])
    more = np.array([rng.permutation(items)[:2] for _ in range(8)])
    rows = np.concatenate([ring, more])
    wins = np.concatenate([rng.integers(1, 9, ring.shape), rng.integers(0, 5, more.shape)])
    return rows, wins + 0.5 * rng.integers(0, 2, (len(rows), 1))  # with ties


def direct(rows: NDArray[np.int64], wins: Floats, items: int, model: str) -> Floats:
    """Maximise the likelihood as it is written."""

    def cost(s: Floats) -> float:
        d = s[rows[:, 0]] - s[rows[:, 1]]
        pair = (
            (-np.logaddexp(0, -d), -np.logaddexp(0, d))
            if model == "bradley-terry"
            else (norm.logcdf(d), norm.logcdf(-d))
        )
        return float(-(wins[:, 0] * pair[0] + wins[:, 1] * pair[1]).sum() + 1e-9 * (s @ s))

    found = minimize(cost, np.zeros(items), method="BFGS", options={"gtol": 1e-9}).x
    return found - found.mean()


@settings(max_examples=15)
@given(st.integers(0, 10**6), st.sampled_from(MODELS))
def test_strengths_equal_those_of_direct_likelihood(seed: int, model: Model) -> None:
    rows, wins = comparisons(seed)
    found = fit_strengths(rows, wins, 6, model=model)
    np.testing.assert_allclose(found.values, direct(rows, wins, 6, model), atol=2e-5)
    assert found.values.mean() == pytest.approx(0, abs=1e-12)
    # The gradient of the likelihood vanishes: to 1e-6, and more.
    moved = found.values + 1e-3 * np.eye(6)
    d = [x[rows[:, 0]] - x[rows[:, 1]] for x in (found.values, *moved, *(2 * found.values - moved))]
    log = norm.logcdf if model == "thurstone" else lambda x: -np.logaddexp(0, -x)
    total = [(wins[:, 0] * log(x) + wins[:, 1] * log(-x)).sum() for x in d]
    assert total[0] == pytest.approx(found.log_likelihood)
    assert max(total[1:]) < total[0]


def test_the_mm_update_gives_a_logistic_fit_to_a_millionth() -> None:
    rows, wins = comparisons(3)
    won = np.zeros((6, 6))
    np.add.at(won, (rows[:, 0], rows[:, 1]), wins[:, 0])
    np.add.at(won, (rows[:, 1], rows[:, 0]), wins[:, 1])
    wanted = fit_strengths(rows, wins, 6).values  # ended by Newton's steps
    np.testing.assert_allclose(_mm(won), wanted, atol=1e-6)


def test_errors_are_those_of_resampling() -> None:
    """Standard errors agree with how strengths vary over votes that are drawn anew."""
    truth = np.array([0.8, 0.1, -0.9])
    rows = np.array([[0, 1], [1, 2], [0, 2]])
    chance = 1 / (1 + np.exp(truth[rows[:, 1]] - truth[rows[:, 0]]))
    rng = np.random.default_rng(0)
    fits = []
    for _ in range(300):
        first = rng.binomial(60, chance)
        fits.append(fit_strengths(rows, np.stack([first, 60 - first], 1).astype(float), 3))
    spread = np.std([fit.values for fit in fits], axis=0)
    np.testing.assert_allclose(fits[0].errors, spread, rtol=0.2)
    assert fits[0].votes.tolist() == [120, 120, 120]
    assert fits[0].probability(0, 2) > 0.5


def test_what_is_not_connected_is_told() -> None:
    rows, wins = np.array([[0, 1], [2, 3]]), np.array([[3.0, 1], [1, 1]])
    assert connected_groups(rows, 5) == [[0, 1], [2, 3], [4]]
    with pytest.raises(DataError, match="2 groups .*apart are c"):
        fit_strengths(rows, wins, 4, names="abcd")
    rows, wins = np.array([[0, 1], [1, 2]]), np.array([[3.0, 0], [2, 1]])
    with pytest.raises(DataError, match="b never beats the others that a is among"):
        fit_strengths(rows, wins, 3, names="abc")
    found = fit_strengths(rows, wins, 3, prior=0.5)
    assert found.values[0] > found.values[1] > found.values[2]
    assert fit_strengths(rows, wins, 3, prior=0.5, model="thurstone").values[0] > 0


def test_ties_alone_give_equal_strengths_and_more_votes_smaller_errors() -> None:
    rows = np.array([[0, 1]])
    few, many = (fit_strengths(rows, np.array([[n, n]]), 2) for n in (1.0, 100.0))
    assert few.values.tolist() == many.values.tolist() == [0, 0]
    assert few.errors[0] == pytest.approx(10 * many.errors[0])


def test_what_makes_no_sense_is_refused() -> None:
    rows, wins = np.array([[0, 1]]), np.array([[1.0, 1]])
    with pytest.raises(ConfigError, match="did you mean thurstone"):
        fit_strengths(rows, wins, 2, model="thurston")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ConfigError, match="prior is -1"):
        fit_strengths(rows, wins, 2, prior=-1)
    for bad in (np.array([[0, 2]]), np.array([[0, 0]])):
        with pytest.raises(ShapeError, match="leave them out"):
            fit_strengths(bad, wins, 2)
    with pytest.raises(ShapeError, match="leave them out"):
        fit_strengths(rows, np.array([[np.nan, 1]]), 2)
    with pytest.raises(ShapeError, match="accepted is"):
        fit_strengths(rows, wins[0], 2)
