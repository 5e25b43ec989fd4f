"""Noise that has an address: whatever is computed together, a pixel's noise is the same."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def addressed_noise(
    seed: int, sample: int, draw: int, size: tuple[int, int], channels: int
) -> Tensor:
    """Draw standard normal noise for the pixels of a picture.

    The noise at (row, column) is a function of seed, sample, draw, row and column: neither the
    picture's size, nor tiles, batches and processes change it.

    Parameters
    ----------
    seed, sample, draw : int
        Each 0 or more.
    size : (int, int)
        Rows and columns.
    channels : int

    Returns
    -------
    Tensor of float32, shape (rows, columns, channels)
    """
    rows, columns = size
    noise = np.empty((rows, columns, channels), np.float32)
    for row in range(rows):
        random = np.random.default_rng((seed, sample, draw, row))
        random.standard_normal(dtype=np.float32, out=noise[row])
    return torch.from_numpy(noise)
