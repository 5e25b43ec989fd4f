"""Random vectors by number: the same whatever batch, count, device or process they are made in."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor


def draw_latents(seed: int, numbers: Iterable[int], length: int, *, part: int = 0) -> Tensor:
    """Draw vectors of the standard normal distribution.

    Parameters
    ----------
    seed : int
        0 or more.
    numbers : iterable of int
        Which vectors of the seed's row, from 0 on.
    length : int
        Of a vector.
    part : int
        Several rows of one seed.

    Returns
    -------
    Tensor of float32, shape (numbers, length)
    """
    rows = [
        np.random.default_rng((seed, part, number)).standard_normal(length, np.float32)
        for number in numbers
    ]
    return torch.from_numpy(np.stack(rows))
