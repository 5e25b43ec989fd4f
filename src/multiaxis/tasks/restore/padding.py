"""Padding to a size that the model takes, exactly as the authors evaluate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Index = NDArray[np.intp]


@dataclass(frozen=True)
class Padding:
    """Where each row and column of a padded frame comes from, and where the frame lies in it.

    Attributes
    ----------
    rows, columns : ndarray of int
        Source index of each padded row and column.
    crop : tuple of slice
        Cuts the original frame (height, width) out of the padded one.
    """

    rows: Index
    columns: Index
    crop: tuple[slice, slice]


def reflect_padding(height: int, width: int, multiple: tuple[int, int]) -> Padding:
    """Plan the authors' padding: reflected, centred, up to the next multiple.

    An odd size is first made even by one reflected row or column at the end. Reflection never
    repeats the border pixel, and goes back and forth over frames smaller than the padding.

    Parameters
    ----------
    height, width : int
        Size of the frame in pixels, from 1 on.
    multiple : tuple of int
        What the padded (height, width) must be multiples of.

    Notes
    -----
    Source: authors' ``run_eval.py``, ``make_shape_even`` and ``mod_padding_symmetric``.
    """
    rows, rows_kept = _along(height, multiple[0])
    columns, columns_kept = _along(width, multiple[1])
    return Padding(rows, columns, (rows_kept, columns_kept))


def _along(length: int, multiple: int) -> tuple[Index, slice]:
    index: Index = np.arange(length)
    even = np.pad(index, (0, length % 2), mode="reflect")
    missing = -len(even) % multiple
    before = missing // 2
    padded = np.pad(even, (before, missing - before), mode="reflect")
    return padded, slice(before, before + length)
