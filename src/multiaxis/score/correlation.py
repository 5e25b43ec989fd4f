"""How well predicted scores agree with people's: correlations, and choices that come out right."""

# pyright: reportMissingTypeStubs=false

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from multiaxis.errors import MissingExtraError, ShapeError
from multiaxis.score._check import FloatArray, finite_floats, same_shape

_RESAMPLES = 1000
_Z = 1.959964  # of a two-sided interval of 95 %


@dataclass(frozen=True)
class Agreement:
    """How well predictions agree with what people said.

    Attributes
    ----------
    count : int
    srcc : float
        Spearman's rank correlation; ties have their mean rank.
    plcc : float
        Pearson's correlation.
    plcc_fitted : float
        The same, once a logistic curve of four parameters has been fitted to the predictions, as
        studies of picture quality do. NaN below eight, or where none fits.
    krcc : float
        Kendall's tau-b.
    pairs : float
        Share of the pairs with different truths whose order is right; equal predictions are half
        right.
    error : float
        Mean absolute difference.
    """

    count: int
    srcc: float
    plcc: float
    plcc_fitted: float
    krcc: float
    pairs: float
    error: float


def agreement(prediction: NDArray[Any], truth: NDArray[Any]) -> Agreement:
    """Compare predicted scores with true ones by every measure.

    Parameters
    ----------
    prediction, truth : array, shape (items,)

    Raises
    ------
    ShapeError
        If shapes differ, values are not finite, or there are fewer than three.
    MissingExtraError
        If SciPy is not installed.

    Examples
    --------
    >>> found = agreement(np.array([1, 2, 3, 5]), np.array([10, 20, 40, 30]))
    >>> [round(value, 3) for value in (found.srcc, found.krcc, found.pairs)]
    [0.8, 0.667, 0.833]
    """
    a, b = _checked(prediction, truth)
    stats = _import_stats()
    constant = np.ptp(a) == 0 or np.ptp(b) == 0
    return Agreement(
        count=len(a),
        srcc=float("nan") if constant else float(stats.spearmanr(a, b).statistic),
        plcc=float("nan") if constant else float(stats.pearsonr(a, b).statistic),
        plcc_fitted=float("nan") if constant else _fitted(a, b),
        krcc=float("nan") if constant else float(stats.kendalltau(a, b).statistic),
        pairs=right_pairs(a, b),
        error=float(np.abs(a - b).mean()),
    )


def rank_correlation(prediction: NDArray[Any], truth: NDArray[Any]) -> float:
    """Give Spearman's correlation; NaN where one side is constant. As `agreement`, without SciPy.

    Examples
    --------
    >>> rank_correlation(np.array([1, 2, 2, 4]), np.array([1, 3, 3, 9]))
    1.0
    """
    a, b = (_ranks(values) for values in _checked(prediction, truth))
    a, b = a - a.mean(), b - b.mean()
    size = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / size if size else float("nan")


def pearson(prediction: NDArray[Any], truth: NDArray[Any]) -> float:
    """Give Pearson's correlation; NaN where one side is constant."""
    a, b = _checked(prediction, truth)
    return float(np.corrcoef(a, b)[0, 1]) if np.ptp(a) and np.ptp(b) else float("nan")


def right_pairs(prediction: NDArray[Any], truth: NDArray[Any]) -> float:
    """Give the share of pairs with different truths whose order is right; NaN without any."""
    a, b = _checked(prediction, truth)
    right = total = 0.0
    for k in range(len(a) - 1):
        wanted = np.sign(b[k + 1 :] - b[k])
        found = np.sign(a[k + 1 :] - a[k])[wanted != 0]
        total += len(found)
        right += ((found * wanted[wanted != 0] + 1) / 2).sum()
    return float(right / total) if total else float("nan")


def rank_interval(
    prediction: NDArray[Any],
    truth: NDArray[Any],
    *,
    groups: Sequence[int] | None = None,
    seed: int = 0,
) -> tuple[float, float]:
    """Give a 95 % confidence interval of Spearman's correlation, by resampling.

    Parameters
    ----------
    prediction, truth : array, shape (items,)
    groups : sequence of int, optional
        Items of one group, such as the pictures of a burst, are drawn together: they say little
        more than one of them.
    seed : int
        Of 1000 resamples.

    Returns
    -------
    (float, float)
        NaN where too little differs.
    """
    a, b = _checked(prediction, truth)
    names = np.arange(len(a)) if groups is None else np.asarray(groups)
    members = [np.flatnonzero(names == name) for name in np.unique(names)]
    rng = np.random.default_rng(seed)
    found: list[float] = []
    for _ in range(_RESAMPLES):
        drawn = np.concatenate([members[k] for k in rng.integers(len(members), size=len(members))])
        if len(drawn) >= 3:
            found.append(rank_correlation(a[drawn], b[drawn]))
    kept = [value for value in found if not np.isnan(value)]
    if len(kept) < _RESAMPLES / 2:
        return float("nan"), float("nan")
    low, high = np.percentile(kept, [2.5, 97.5])
    return float(low), float(high)


def share_interval(right: float, count: int) -> tuple[float, float]:
    """Give Wilson's 95 % confidence interval of a share that was counted.

    Examples
    --------
    >>> [round(end, 3) for end in share_interval(0.8, 100)]
    [0.711, 0.867]
    """
    if not count:
        return float("nan"), float("nan")
    middle = (right + _Z**2 / (2 * count)) / (1 + _Z**2 / count)
    half = _Z * np.sqrt(right * (1 - right) / count + _Z**2 / (4 * count**2)) / (1 + _Z**2 / count)
    return float(middle - half), float(middle + half)


def _checked(prediction: NDArray[Any], truth: NDArray[Any]) -> tuple[FloatArray, FloatArray]:
    a, b = finite_floats("prediction", prediction), finite_floats("target", truth)
    same_shape(a, b)
    if a.ndim != 1 or len(a) < 3:
        raise ShapeError(
            f"received scores of shape {a.shape}: accepted are three or more in a row, "
            "since fewer have no correlation"
        )
    return a, b


def _ranks(values: FloatArray) -> FloatArray:
    """Give ranks from 1 on, ascending; equal values have their mean rank."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[place].astype(np.float64)


def _fitted(a: FloatArray, b: FloatArray) -> float:
    """Fit b1 + (b2 - b1) / (1 + exp(-(a - c) * s)), as VQEG does, and correlate."""
    if len(a) < 8:
        return float("nan")
    from scipy.optimize import least_squares

    def curve(x: FloatArray, low: float, high: float, middle: float, slope: float) -> FloatArray:
        return low + (high - low) / (1 + np.exp(-np.clip((x - middle) * slope, -60, 60)))

    a = a if np.corrcoef(a, b)[0, 1] >= 0 else -a  # a rising curve is found more surely
    start = (b.min(), b.max(), float(np.median(a)), 2 / float(a.std()))

    def errors(p: FloatArray) -> FloatArray:
        return curve(a, *p) - b

    # Where scores lie on a line, the best curve has no ends, and the search none either: what it
    # has found by then fits as well.
    with np.errstate(all="ignore"):
        found = least_squares(errors, start, method="lm", max_nfev=2_000)
        fitted = curve(a, *found.x)
        return float(np.corrcoef(fitted, b)[0, 1]) if np.ptp(fitted) else float("nan")


def _import_stats() -> Any:
    try:
        import scipy.stats
    except ImportError as error:
        raise MissingExtraError('correlations need SciPy: pip install "multiaxis[rate]"') from error
    return scipy.stats
