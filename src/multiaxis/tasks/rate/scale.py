"""What ratings count: the values of a scale, and shares of votes on it. No tensors here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from multiaxis.errors import ConfigError

Shares = NDArray[np.float64]
"""Shares of the votes for each value of a scale; they add up to 1."""


@dataclass(frozen=True)
class Scale:
    """The values that a rating may have, ascending.

    Attributes
    ----------
    values : tuple of float
        Two or more. Stars are 1 to 5; with rejected pictures, 0 to 5; the AVA data, 1 to 10.

    Raises
    ------
    ConfigError
        If there are fewer, or they do not ascend.

    Examples
    --------
    >>> Scale((1, 2, 3)).shares(2.25).tolist()
    [0.0, 0.75, 0.25]
    """

    values: tuple[float, ...]

    def __post_init__(self) -> None:
        values = tuple(float(value) for value in self.values)  # a list, where it comes from JSON
        object.__setattr__(self, "values", values)
        steps = np.diff(values)
        if len(values) < 2 or not np.isfinite(values).all() or not (steps > 0).all():
            raise ConfigError(
                f"a scale of the values {values[:12]}: accepted are two or more that ascend, such "
                "as 1,2,3,4,5"
            )

    def __len__(self) -> int:
        return len(self.values)

    def holds(self, score: float) -> bool:
        """Tell whether a score lies on the scale."""
        return self.values[0] <= score <= self.values[-1]

    def shares(self, score: float) -> Shares:
        """Share one vote among the two neighbouring values, so that the mean stays."""
        found = np.zeros(len(self))
        place = float(np.interp(score, self.values, np.arange(len(self))))
        low = min(int(place), len(self) - 2)
        found[low], found[low + 1] = low + 1 - place, place - low
        return found

    def mean(self, shares: Shares) -> float:
        """Give the mean rating of shares of votes."""
        return float(shares @ np.asarray(self.values))

    def spread(self, shares: Shares) -> float:
        """Give the standard deviation of the votes."""
        values = np.asarray(self.values)
        return float(np.sqrt(max(shares @ values**2 - self.mean(shares) ** 2, 0.0)))


STARS = Scale((1, 2, 3, 4, 5))
STARS_AND_REJECTED = Scale((0, 1, 2, 3, 4, 5))
AVA = Scale(tuple(range(1, 11)))


def find_scale(scores: Sequence[float]) -> Scale:
    """Choose the scale that scores seem to be on.

    Whole numbers of 1 to 5, and of -1 to 5, are stars (-1 is a rejected picture: 0 then); whole
    numbers up to 10 are 1 to 10. Others get ten values from the least to the greatest.

    Raises
    ------
    ConfigError
        If all are equal.
    """
    low, high = min(scores), max(scores)
    whole = all(float(score).is_integer() for score in scores)
    if whole and low >= 1 and high <= 5:
        return STARS
    if whole and low >= 0 and high <= 5:
        return STARS_AND_REJECTED
    if low >= 1 and high <= 10 and (whole or high > 5):
        return AVA
    if low == high:
        raise ConfigError(f"all ratings are {low:g}: nothing can be learnt from one value")
    return Scale(tuple(np.linspace(low, high, 10).tolist()))
