"""Eight-way self-ensemble: the mean over a frame's flips and turns."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from multiaxis.progress import OnFraction, part_of

Frames = NDArray[np.float32]


def restore_eightfold(
    restore: Callable[[Frames, OnFraction | None], Frames],
    frames: Frames,
    on_progress: OnFraction | None = None,
) -> Frames:
    """Average what becomes of a frame in its eight positions (Timofte et al., CVPR 2016).

    Parameters
    ----------
    restore : callable
        Takes frames of any size and a receiver of progress.
    frames : array of float32, shape (batch, height, width, channels)
    on_progress : callable, optional
        Receives the finished fraction of all eight.

    Examples
    --------
    >>> frames = np.random.default_rng(0).random((1, 3, 5, 3), dtype=np.float32)
    >>> bool(np.allclose(restore_eightfold(lambda x, _: x, frames), frames))
    True
    """
    total = np.zeros(frames.shape, np.float64)
    for position in range(8):
        turned = np.ascontiguousarray(_turn(frames, position))
        part = part_of(on_progress, position, 8)
        total += _turn_back(restore(turned, part), position)
    return (total / 8).astype(np.float32)


def _turn(frames: Frames, position: int) -> Frames:
    turned = np.rot90(frames, position % 4, axes=(1, 2))
    return turned[:, :, ::-1] if position >= 4 else turned


def _turn_back(frames: Frames, position: int) -> Frames:
    flipped = frames[:, :, ::-1] if position >= 4 else frames
    return np.rot90(flipped, -(position % 4), axes=(1, 2))
