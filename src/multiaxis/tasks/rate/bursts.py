"""Pictures of one moment: taken within seconds of each other, and alike."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

BITS = 64
SECONDS = 3.0
"""Longest pause inside a burst."""
_ALIKE, _ALIKE_ANY_TIME = 20, 8  # bits that may differ; without times, nearly none


def likeness(pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Tell which of two neighbours is lighter, on a grid of 8 x 9.

    Alike pictures differ in few of the 64 bits, whatever their size and exposure.

    Parameters
    ----------
    pixels : array of uint8, shape (height, width, 3)
    """
    small = Image.fromarray(pixels).convert("L").resize((9, 8), Image.Resampling.BOX)
    grey = np.asarray(small, np.int16)
    return (grey[:, 1:] > grey[:, :-1]).ravel()


def to_hex(bits: NDArray[np.bool_]) -> str:
    """Write bits for a report."""
    return np.packbits(bits).tobytes().hex()


def from_hex(text: str) -> NDArray[np.bool_]:
    """Read bits from a report."""
    return np.unpackbits(np.frombuffer(bytes.fromhex(text), np.uint8)).astype(bool)


def find_bursts(times: Sequence[float | None], bits: NDArray[np.bool_]) -> list[int]:
    """Give each picture the number of its burst.

    Parameters
    ----------
    times : sequence of float or None
        When each was taken, in seconds.
    bits : array of bool, shape (pictures, 64)
        Of `likeness`.

    Returns
    -------
    list of int
        Equal numbers for pictures of a burst, from 0 on in their order. A picture belongs to the
        one before it in time if that is at most 3 seconds earlier and alike. One without a time
        belongs to any that is nearly the same.
    """
    parents = list(range(len(times)))

    def root(k: int) -> int:
        while parents[k] != k:
            parents[k] = parents[parents[k]]
            k = parents[k]
        return k

    timed = sorted((t, k) for k, t in enumerate(times) if t is not None)
    for (before, j), (after, k) in itertools.pairwise(timed):
        if after - before <= SECONDS and (bits[j] != bits[k]).sum() <= _ALIKE:
            parents[root(k)] = root(j)
    for k, time in enumerate(times):
        if time is not None:
            continue
        for j in np.flatnonzero((bits != bits[k]).sum(axis=1) <= _ALIKE_ANY_TIME):
            parents[root(k)] = root(int(j))
    roots = [root(k) for k in range(len(times))]
    numbers = {r: n for n, r in enumerate(dict.fromkeys(roots))}
    return [numbers[r] for r in roots]
