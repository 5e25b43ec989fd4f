"""How often pixels of one class are taken for another, and the scores that follow."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from multiaxis.errors import ShapeError

Counts = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Which cells of a matrix, row by row, are not zero, and what they hold."""


class Confusion:
    """One matrix over a whole set: rows are the truth, columns what was found.

    Parameters
    ----------
    classes : int

    Attributes
    ----------
    matrix : array of int64, shape (classes, classes)
        Pixels.
    """

    def __init__(self, classes: int) -> None:
        self.matrix = np.zeros((classes, classes), np.int64)

    def count(self, found: NDArray[np.integer], truth: NDArray[np.integer]) -> Counts:
        """Compare a picture, and add nothing yet.

        Parameters
        ----------
        found, truth : array of int, equal shape
            Numbers of classes. Pixels whose truth is below 0 do not count.

        Raises
        ------
        ShapeError
            If shapes differ, or a number is no class.
        """
        if found.shape != truth.shape:
            raise ShapeError(
                f"received {found.shape} pixels, and the truth of {truth.shape}: give both the "
                "same shape"
            )
        classes, counted = len(self.matrix), truth >= 0
        right, seen = truth[counted].astype(np.int64), found[counted].astype(np.int64)
        if (right.size and max(right.max(), seen.max()) >= classes) or (seen < 0).any():
            raise ShapeError(f"received a class beyond {classes - 1}: accepted are 0 to it")
        cells, counts = np.unique(right * classes + seen, return_counts=True)
        return cells, counts.astype(np.int64)

    def add(self, counts: Counts) -> None:
        """Add what was counted."""
        cells, numbers = counts
        self.matrix.reshape(-1)[cells] += numbers

    def scores(self) -> Overlap:
        """Give the scores over all that was added."""
        right = np.diag(self.matrix).astype(np.float64)
        union = self.matrix.sum(0) + self.matrix.sum(1) - np.diag(self.matrix)
        each = [float(r / u) if u else float("nan") for r, u in zip(right, union, strict=True)]
        total = self.matrix.sum()
        known = [value for value in each if not math.isnan(value)]
        return Overlap(
            miou=float(np.mean(known)) if known else float("nan"),
            accuracy=float(right.sum() / total) if total else float("nan"),
            each=tuple(each),
        )


@dataclass(frozen=True)
class Overlap:
    """Scores of a segmentation, in [0, 1].

    Attributes
    ----------
    miou : float
        Mean over the classes of intersection over union. Classes that neither the truth nor the
        found labels hold are left out; NaN where there is none.
    accuracy : float
        Share of the pixels that are right.
    each : tuple of float
        Intersection over union of each class; NaN where there is none.
    """

    miou: float
    accuracy: float
    each: tuple[float, ...]


def mean_iou(
    found: Sequence[NDArray[np.integer]], truth: Sequence[NDArray[np.integer]], classes: int
) -> Overlap:
    """Score label pictures with one matrix over all of them.

    Parameters
    ----------
    found, truth : sequence of array of int, shape (height, width)
        Numbers of classes; a truth below 0 does not count.
    classes : int

    Examples
    --------
    >>> zeros, ones = np.zeros((2, 2), int), np.ones((2, 2), int)
    >>> mean_iou([zeros, zeros], [zeros, ones], 2).miou
    0.25
    """
    confusion = Confusion(classes)
    for one, other in zip(found, truth, strict=True):
        confusion.add(confusion.count(one, other))
    return confusion.scores()
