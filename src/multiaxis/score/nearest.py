"""Nearest neighbours among features: whether a set repeats itself, or copies another."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from multiaxis.errors import ConfigError, ShapeError
from multiaxis.score._check import FloatArray, finite_floats

_AT_ONCE = 1 << 23  # distances in memory
USUAL = 0.05
"""The share of real samples that are nearer to another one than `usual_distance`."""

_MASKS = ("all", "others", "earlier")


def nearest(
    points: NDArray[Any],
    among: NDArray[Any],
    which: Literal["all", "others", "earlier"] = "all",
) -> tuple[NDArray[np.intp], FloatArray]:
    """Find the nearest point of another set, or of the same, by Euclidean distance.

    Parameters
    ----------
    points, among : array, shape (samples, features)
        Of as many features.
    which : str
        ``all`` of `among`; ``others`` than the one of the same number; or ``earlier`` ones only.

    Returns
    -------
    numbers : array of int, shape (samples,)
        Of the nearest one.
    distances : array of float64, shape (samples,)
        Infinite where there is none.

    Raises
    ------
    ShapeError
        If the shapes do not fit, or a number is not finite.

    Examples
    --------
    >>> nearest(np.array([[0.0], [5.0]]), np.array([[4.0], [1.0]]))[0].tolist()
    [1, 0]
    """
    if which not in _MASKS:
        raise ConfigError(f"which is {which!r}: accepted is {', '.join(_MASKS)}")
    points, among = finite_floats("points", points), finite_floats("among", among)
    if points.ndim != 2 or among.ndim != 2 or points.shape[1] != among.shape[1]:
        raise ShapeError(
            f"the points have the shapes {points.shape} and {among.shape}: accepted is (samples, "
            "features), with as many features in both"
        )
    centre = among.mean(axis=0)  # far from 0, differences of squares would say little
    points, among = points - centre, among - centre
    squares = (among**2).sum(axis=1)
    numbers, distances = list[NDArray[np.intp]](), list[FloatArray]()
    together = max(1, _AT_ONCE // len(among))
    for first in range(0, len(points), together):
        part = points[first : first + together]
        values = (part**2).sum(axis=1)[:, None] + squares - 2 * part @ among.T
        rows = first + np.arange(len(part))[:, None]
        columns = np.arange(len(among))
        if which != "all":
            values[columns == rows if which == "others" else columns >= rows] = np.inf
        found = values.argmin(axis=1)
        least = values[np.arange(len(part)), found]
        # Exactly, for the ones that were found: equal points are at 0.
        exact = np.linalg.norm(part - among[found], axis=1)
        numbers.append(found)
        distances.append(np.where(np.isinf(least), np.inf, exact))
    return np.concatenate(numbers), np.concatenate(distances)


def usual_distance(distances: NDArray[Any]) -> float:
    """Give what one distance in twenty is below: nearer pairs are no chance."""
    return float(np.quantile(distances, USUAL))


def count_distinct(points: NDArray[Any], limit: float) -> int:
    """Count the points that have no earlier one within a limit.

    Parameters
    ----------
    points : array, shape (samples, features)
    limit : float
        Two points at this distance or nearer count as one.
    """
    _, distances = nearest(points, points, "earlier")
    return int((distances > limit).sum())
