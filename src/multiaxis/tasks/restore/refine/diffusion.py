"""Diffusion of residuals: levels of noise, and the way from noise to a residual.

A residual r at the level a (0 to 1, the share of its variance that is left) is
``sqrt(a) * r + sqrt(1 - a) * noise``. Source: Whang et al., Deblurring via Stochastic Refinement
(2112.02475); the steps are those of DDPM (2006.11239) and DDIM (2010.02502).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

TRAINED = 1000
"""Steps of the schedule of a training: noise grows linearly from 1e-4 to 2e-2 a step."""

Denoise = Callable[[Tensor, float], Tensor]
"""Tells the noise in a noisy residual of a level."""

Draw = Callable[[int], Tensor]
"""Gives noise of the residual's shape: number 0 to begin with, and one more for each step."""


def _schedule() -> NDArray[np.float64]:
    """Give the levels from 0 to `TRAINED` steps."""
    return np.concatenate([[1.0], np.cumprod(1 - np.linspace(1e-4, 2e-2, TRAINED))])


_LEVELS = _schedule()


def draw_levels(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Draw levels for a training: a step, then a root of a level between its two ends.

    Since levels are continuous, how many steps a residual takes can be chosen afterwards.

    Returns
    -------
    array of float64, shape (count,)
        Each in (0, 1).
    """
    steps = rng.integers(1, TRAINED + 1, count)
    shares = rng.random(count)
    roots = np.sqrt(_LEVELS)
    return (roots[steps] + shares * (roots[steps - 1] - roots[steps])) ** 2


def levels_of(steps: int) -> list[float]:
    """Give the levels of a way of so many steps, evenly spaced in the training's: 1 comes first.

    Examples
    --------
    >>> [round(level, 4) for level in levels_of(2)]
    [1.0, 0.0786, 0.0]
    """
    places = np.linspace(0, TRAINED, steps + 1)
    logs = np.interp(places, np.arange(TRAINED + 1), np.log(_LEVELS))
    return np.exp(logs).tolist()


def noisy(residual: Tensor, noise: Tensor, level: Tensor | float) -> Tensor:
    """Mix a residual with noise to a level."""
    level = torch.as_tensor(level, dtype=residual.dtype, device=residual.device)
    return level.sqrt() * residual + (1 - level).sqrt() * noise


def velocity(residual: Tensor, noise: Tensor, level: Tensor | float) -> Tensor:
    """Give where a mix moves as its level falls (Salimans and Ho, 2202.00512)."""
    level = torch.as_tensor(level, dtype=residual.dtype, device=residual.device)
    return level.sqrt() * noise - (1 - level).sqrt() * residual


def noise_of(z: Tensor, velocity: Tensor, level: Tensor | float) -> Tensor:
    """Tell the noise in a mix from its velocity."""
    level = torch.as_tensor(level, dtype=z.dtype, device=z.device)
    return (1 - level).sqrt() * z + level.sqrt() * velocity


def draw_residual(
    denoise: Denoise,
    draw: Draw,
    steps: int,
    *,
    sampler: str = "ddpm",
    clip: Callable[[Tensor], Tensor] = lambda residual: residual,
    on_step: Callable[[int], None] = lambda _: None,
) -> Tensor:
    """Walk from noise to a residual.

    Parameters
    ----------
    denoise : Denoise
    draw : Draw
    steps : int
    sampler : str
        ``ddpm`` or ``ddim``.
    clip : callable
        Keeps the residual that a step believes in within what can be.
    on_step : callable
        Receives the number of finished steps.

    Returns
    -------
    Tensor
        The residual.
    """
    levels = levels_of(steps)
    z = draw(0)
    for step in range(steps, 0, -1):
        level, before = levels[step], levels[step - 1]
        noise = denoise(z, level)
        residual = clip((z - math.sqrt(1 - level) * noise) / math.sqrt(level))
        if step == 1:
            z = residual
        elif sampler == "ddim":
            noise = (z - math.sqrt(level) * residual) / math.sqrt(1 - level)
            z = math.sqrt(before) * residual + math.sqrt(1 - before) * noise
        else:
            kept, variance = _posterior(level, before)
            z = kept[0] * residual + kept[1] * z + math.sqrt(variance) * draw(steps - step + 1)
        on_step(steps - step + 1)
    return z


def _posterior(level: float, before: float) -> tuple[tuple[float, float], float]:
    """Give the weights of residual and z in the mean, and the variance, one step before."""
    alpha = level / before
    beta = 1 - alpha
    of_residual = beta * math.sqrt(before) / (1 - level)
    of_z = (1 - before) * math.sqrt(alpha) / (1 - level)
    return (of_residual, of_z), beta * (1 - before) / (1 - level)
