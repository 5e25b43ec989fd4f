"""Eight-way self-ensemble: the mean over a frame's flips and turns."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from multiaxis.progress import OnFraction, part_of

Frames = Tensor
"""float32, shape (batch, height, width, channels), on the device that computes."""


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
    frames : Tensor of float32, shape (batch, height, width, channels)
    on_progress : callable, optional
        Receives the finished fraction of all eight.

    Examples
    --------
    >>> frames = torch.rand(1, 3, 5, 3)
    >>> torch.allclose(restore_eightfold(lambda x, _: x, frames), frames)
    True
    """
    # Apple's GPUs have no float64.
    wide = torch.float32 if frames.device.type == "mps" else torch.float64
    total = torch.zeros(frames.shape, dtype=wide, device=frames.device)
    for position in range(8):
        turned = _turn(frames, position).contiguous()
        part = part_of(on_progress, position, 8)
        total += _turn_back(restore(turned, part), position)
    return (total / 8).float()


def _turn(frames: Frames, position: int) -> Frames:
    turned = frames.rot90(position % 4, dims=(1, 2))
    return turned.flip(2) if position >= 4 else turned


def _turn_back(frames: Frames, position: int) -> Frames:
    flipped = frames.flip(2) if position >= 4 else frames
    return flipped.rot90(-(position % 4), dims=(1, 2))
