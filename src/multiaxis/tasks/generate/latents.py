"""Random vectors by number: the same whatever batch, count, device or process they are made in."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def draw_latents(
    seed: int,
    numbers: Iterable[int],
    length: int,
    *,
    part: int = 0,
    truncation: float | None = None,
) -> Tensor:
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
    truncation : float, optional
        Values further from 0 are drawn again, as BigGAN does (Brock et al., 1809.11096); the
        others stay.

    Returns
    -------
    Tensor of float32, shape (numbers, length)
    """
    rows = [_draw((seed, part, number), length, truncation) for number in numbers]
    return torch.from_numpy(np.stack(rows))


def draw_ways(
    ends: tuple[int, int],
    numbers: Iterable[int],
    columns: int,
    length: int,
    *,
    truncation: float | None = None,
) -> Tensor:
    """Draw vectors on the ways from each vector of one seed to that of another.

    Parameters
    ----------
    ends : (int, int)
        Both seeds.
    numbers : iterable of int
        Of the vectors: number n is step ``n % columns`` of way ``n // columns``.
    columns : int
        Vectors of a way, its ends among them; 2 or more.
    length, truncation
        As of `draw_latents`; the ends are held to the truncation.

    Returns
    -------
    Tensor of float32, shape (numbers, length)
    """
    rows: list[NDArray[np.float32]] = []
    for number in numbers:
        way, step = divmod(number, columns)
        one, other = (_draw((seed, 0, way), length, truncation) for seed in ends)
        rows.append(_turned(one, other, step / (columns - 1)))
    return torch.from_numpy(np.stack(rows))


def _draw(
    address: tuple[int, int, int], length: int, truncation: float | None
) -> NDArray[np.float32]:
    random = np.random.default_rng(address)
    values = random.standard_normal(length, np.float32)
    if truncation is not None:
        while (beyond := np.abs(values) > truncation).any():
            values[beyond] = random.standard_normal(int(beyond.sum()), np.float32)
    return values


def _turned(
    one: NDArray[np.float32], other: NDArray[np.float32], share: float
) -> NDArray[np.float32]:
    """Turn a vector towards another (spherically, since the mean of two is too short)."""
    a, b = one.astype(np.float64), other.astype(np.float64)
    lengths = np.linalg.norm(a), np.linalg.norm(b)
    a, b = a / lengths[0], b / lengths[1]
    angle = np.arccos(np.clip(a @ b, -1, 1))
    parts = 1 - share, share
    if np.sin(angle) > 1e-6:  # neither the same direction nor the opposite
        parts = np.sin(parts[0] * angle) / np.sin(angle), np.sin(share * angle) / np.sin(angle)
    length = (1 - share) * lengths[0] + share * lengths[1]
    return (length * (parts[0] * a + parts[1] * b)).astype(np.float32)
