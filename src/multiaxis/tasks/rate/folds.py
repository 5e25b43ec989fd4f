"""Parting photographs into those that are learnt from and those that are held out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

FOLDS = 5


def deal(
    groups: Sequence[int], scores: NDArray[np.float64], seed: int, count: int = FOLDS
) -> NDArray[np.int64]:
    """Give each item a fold, so that groups stay together and folds have like scores.

    Parameters
    ----------
    groups : sequence of int
        Items of one group are never parted.
    scores : array, shape (items,)
    seed : int
    count : int
        Folds.
    """
    names, place = np.unique(np.asarray(groups), return_inverse=True)
    means = np.bincount(place, weights=scores) / np.bincount(place)
    rng = np.random.default_rng(seed)
    order = np.lexsort((rng.random(len(names)), means))
    fold = np.empty(len(names), np.int64)
    for first in range(0, len(order), count):  # neighbours in score go to different folds
        some = order[first : first + count]
        fold[some] = rng.permutation(count)[: len(some)]
    return fold[place]


def parts(folds: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Yield what is learnt from, and what is held out, for each fold that has anything."""
    for fold in np.unique(folds):
        yield np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
