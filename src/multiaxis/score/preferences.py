"""How strong each of several things is, from who was preferred to whom: Bradley-Terry, Thurstone.

The probability that a is preferred to b is F(s_a - s_b): F is the logistic function (Bradley and
Terry, 1952) or the normal distribution (Thurstone's case V, 1927).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from multiaxis.errors import ConfigError, DataError, ShapeError, unknown

Model = Literal["bradley-terry", "thurstone"]
MODELS = ("bradley-terry", "thurstone")
Floats = NDArray[np.float64]
_MM_ROUNDS, _NEWTON_ROUNDS = 2000, 100
_CLOSE = 1e-10
_erf = np.vectorize(math.erfc, otypes=[np.float64])


@dataclass(frozen=True)
class Strengths:
    """What the likeliest strengths are.

    Attributes
    ----------
    values : array of float64, shape (items,)
        Their mean is 0. Of Bradley-Terry's, 1 more means preferred 2.718 times as often.
    errors : array of float64, shape (items,)
        Standard errors of the values.
    votes : array of float64, shape (items,)
        In how many comparisons each was.
    log_likelihood : float
        Of the votes, without those of the prior.
    model : str
    """

    values: Floats
    errors: Floats
    votes: Floats
    log_likelihood: float
    model: Model

    def probability(self, a: int, b: int) -> float:
        """Tell how likely a is preferred to b."""
        difference = self.values[[a]] - self.values[[b]]
        return float(np.exp(_LOGS[self.model](difference))[0])


def fit_strengths(
    rows: NDArray[np.integer],
    wins: NDArray[np.floating],
    count: int,
    *,
    model: Model = "bradley-terry",
    prior: float = 0.0,
    names: Sequence[str] = (),
) -> Strengths:
    """Find the likeliest strengths.

    Parameters
    ----------
    rows : array of int, shape (comparisons, 2)
        Which two of the items were compared.
    wins : array of float, shape (comparisons, 2)
        Votes for each; a tie is half a vote for both.
    count : int
        Items.
    model : str
        ``"bradley-terry"`` or ``"thurstone"``.
    prior : float
        Votes that both sides of every compared pair get on top, such as 0.5.
    names : sequence of str, optional
        What messages call the items.

    Raises
    ------
    ShapeError
        If the arrays do not fit.
    ConfigError
        If the model is unknown or the prior negative.
    DataError
        If the comparisons fall into groups that are not connected; or if, without a prior, some
        items win, or lose, against all others, so that no strengths are the likeliest.

    Examples
    --------
    >>> found = fit_strengths(np.array([[0, 1]]), np.array([[3.0, 1.0]]), 2)
    >>> round(float(found.values[0] - found.values[1]), 4)  # log 3
    1.0986
    """
    if model not in MODELS:
        raise unknown("model of preferences", model, MODELS)
    if not prior >= 0:
        raise ConfigError(f"the prior is {prior}: accepted are votes from 0 on, such as 0.5")
    won = _matrix(rows, wins, count)
    if not count:
        raise DataError("there are no comparisons: nothing can be fitted")
    _check_connected(won, prior, names)
    counted = won + prior * ((won + won.T) > 0)
    values = _mm(counted)
    if model == "thurstone":
        values = values / 1.702  # the logistic function is nearest to the normal one there
    values = _newton(counted, values, model)
    log = _LOGS[model](values[:, None] - values[None, :])
    return Strengths(
        values=values,
        errors=_errors(counted, values, model),
        votes=won.sum(0) + won.sum(1),
        log_likelihood=float((won * np.where(won > 0, log, 0)).sum()),
        model=model,
    )


def connected_groups(rows: NDArray[np.integer], count: int) -> list[list[int]]:
    """List the items that are connected by comparisons, the largest group first."""
    linked = np.zeros((count, count), bool)
    linked[rows[:, 0], rows[:, 1]] = linked[rows[:, 1], rows[:, 0]] = True
    left, groups = set(range(count)), list[list[int]]()
    while left:
        group = _reached(linked, min(left))
        groups.append(sorted(group))
        left -= group
    return sorted(groups, key=len, reverse=True)


def _matrix(rows: NDArray[np.integer], wins: NDArray[np.floating], count: int) -> Floats:
    if rows.ndim != 2 or rows.shape[1] != 2 or rows.shape != wins.shape:
        raise ShapeError(
            f"received comparisons of shape {rows.shape} and votes of {wins.shape}: accepted is "
            "(comparisons, 2) for both"
        )
    outside = rows.size and (rows.min() < 0 or rows.max() >= count)
    if (
        outside
        or not np.isfinite(wins).all()
        or (wins < 0).any()
        or (rows[:, 0] == rows[:, 1]).any()
    ):
        raise ShapeError(
            f"received comparisons of items beyond 0 to {count - 1}, of one with itself, or votes "
            "that are no numbers from 0 on: leave them out"
        )
    won = np.zeros((count, count))
    np.add.at(won, (rows[:, 0], rows[:, 1]), wins[:, 0])
    np.add.at(won, (rows[:, 1], rows[:, 0]), wins[:, 1])
    return won


def _check_connected(won: Floats, prior: float, names: Sequence[str]) -> None:
    def called(k: int) -> str:
        return names[k] if names else f"item {k}"

    groups = connected_groups(np.argwhere(won + won.T > 0), len(won))
    if len(groups) > 1:
        sizes = ", ".join(str(len(group)) for group in groups[:5])
        first = ", ".join(called(group[0]) for group in groups[1:4])
        raise DataError(
            f"the comparisons fall into {len(groups)} groups without a comparison between them "
            f"(of {sizes} items; apart are {first}): strengths cannot be compared across groups; "
            "compare some of each, or fit them by themselves"
        )
    if prior > 0 or len(won) < 2:
        return
    beaten, beating = _reached(won > 0, 0), _reached(won.T > 0, 0)
    apart = set(range(len(won))) - (beaten & beating)
    if apart:
        k = min(apart)
        how = "never loses to" if k not in beaten else "never beats"
        raise DataError(
            f"{called(k)} {how} the others that {called(0)} is among, even by way of others: its "
            "likeliest strength is infinite; add a prior (0.5 votes for each side of a pair), or "
            "more comparisons"
        )


def _reached(linked: NDArray[np.bool_], start: int) -> set[int]:
    seen, new = {start}, [start]
    while new:
        here = new.pop()
        for k in np.flatnonzero(linked[here]):
            if int(k) not in seen:
                seen.add(int(k))
                new.append(int(k))
    return seen


def _mm(won: Floats) -> Floats:
    """Maximise the likelihood by minorisation (Hunter, 2004); gives log strengths of mean 0."""
    total, wins = won + won.T, won.sum(axis=1)
    strength = np.ones(len(won))
    for _ in range(_MM_ROUNDS):
        with np.errstate(divide="ignore", invalid="ignore"):
            shares = np.where(total > 0, total / (strength[:, None] + strength[None, :]), 0)
            new = wins / np.maximum(shares.sum(axis=1), 1e-300)
        new = np.maximum(new, 1e-12)
        new /= np.exp(np.log(new).mean())
        done = np.abs(np.log(new) - np.log(strength)).max() < _CLOSE
        strength = new
        if done:
            break
    return np.log(strength)


def _newton(won: Floats, values: Floats, model: Model) -> Floats:
    """Go the rest of the way: the likelihood is concave, so each halved step goes up."""
    log = _LOGS[model]

    def likelihood(x: Floats) -> float:
        found = log(x[:, None] - x[None, :])
        return float((won * np.where(won > 0, found, 0)).sum())

    best = likelihood(values)
    for _ in range(_NEWTON_ROUNDS):
        slope = _SLOPES[model](values[:, None] - values[None, :]) * won
        gradient = slope.sum(axis=1) - slope.sum(axis=0)
        step = _solve(_information(won, values, model), gradient)
        size = 1.0
        while size > 1e-6 and likelihood(values + size * step) < best - 1e-12 * abs(best):
            size /= 2
        values = values + size * step
        values = values - values.mean()
        best = likelihood(values)
        if np.abs(size * step).max() < _CLOSE:
            break
    return values


def _information(won: Floats, values: Floats, model: Model) -> Floats:
    """Fisher's information: a weighted Laplacian of the graph of comparisons."""
    difference = values[:, None] - values[None, :]
    weight = (won + won.T) * _WEIGHTS[model](difference)
    return np.diag(weight.sum(axis=1)) - weight


def _solve(information: Floats, right: Floats) -> Floats:
    """Solve where the mean is free: a constant is added, and the mean stays 0."""
    return np.asarray(np.linalg.solve(information + 1 / len(right), right), np.float64)


def _errors(won: Floats, values: Floats, model: Model) -> Floats:
    count = len(values)
    inverse = np.linalg.inv(_information(won, values, model) + 1 / count) - 1 / count
    return np.asarray(np.sqrt(np.maximum(np.diag(inverse), 0)), np.float64)


def _normal(x: Floats) -> Floats:
    return _erf(-x / math.sqrt(2)) / 2


def _density(x: Floats) -> Floats:
    return np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)


def _log_normal(x: Floats) -> Floats:
    # Below -30 the probability is no float any more; the bound of Mills is exact to 0.1 % there.
    x = np.asarray(x)
    tail = -(x**2) / 2 - np.log(np.maximum(-x, 1) * math.sqrt(2 * math.pi))
    return np.where(x < -30, tail, np.log(np.maximum(_normal(x), 1e-300)))


_Curve = Callable[[Floats], Floats]
_LOGS: dict[str, _Curve] = {
    "bradley-terry": lambda x: -np.logaddexp(0, -x),
    "thurstone": _log_normal,
}
_SLOPES: dict[str, _Curve] = {
    "bradley-terry": lambda x: 1 / (1 + np.exp(np.clip(x, -700, 700))),
    "thurstone": lambda x: np.where(x < -30, -x, _density(x) / np.maximum(_normal(x), 1e-300)),
}
_WEIGHTS: dict[str, _Curve] = {
    "bradley-terry": lambda x: np.exp(-np.logaddexp(0, x) - np.logaddexp(0, -x)),
    "thurstone": lambda x: _density(x) ** 2 / np.maximum(_normal(x) * _normal(-x), 1e-300),
}
