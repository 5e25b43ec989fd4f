"""Putting degradations on pictures, each with random numbers of its own."""

from __future__ import annotations

import numpy as np

from multiaxis.degrade.blur import Defocus, MotionBlur
from multiaxis.degrade.noise import CameraNoise, GaussianNoise, PoissonNoise, SensorNoise
from multiaxis.degrade.parameters import Array
from multiaxis.degrade.tone import Jpeg, Levels, LowLight, Shrink
from multiaxis.degrade.weather import Drops, Haze, Rain

Degradation = (
    GaussianNoise
    | PoissonNoise
    | SensorNoise
    | CameraNoise
    | MotionBlur
    | Defocus
    | Rain
    | Drops
    | Haze
    | LowLight
    | Jpeg
    | Levels
    | Shrink
)


def degrade(
    x: Array, chain: tuple[Degradation, ...], rng: np.random.Generator
) -> tuple[Array, tuple[Degradation, ...]]:
    """Degrade a picture.

    Parameters
    ----------
    x : ndarray of float32, shape (height, width, 3)
        sRGB values in [0, 1].
    chain : tuple of Degradation
        One after the other; ranges are drawn first.
    rng : Generator
        The same generator gives the same picture, bit for bit.

    Returns
    -------
    degraded : ndarray of float32
        Not clipped after noise: what clips is writing a file.
    drawn : tuple of Degradation
        With the numbers that were drawn.
    """
    drawn: list[Degradation] = []
    for link in chain:
        stream = np.random.default_rng(rng.integers(2**63))  # a longer link shifts no other
        exact = link.drawn(stream)
        x = exact(x, stream).astype(np.float32, copy=False)
        drawn.append(exact)
    return x, tuple(drawn)


def degrade_picture(
    x: Array, chain: tuple[Degradation, ...], seed: int | tuple[int, ...]
) -> tuple[Array, tuple[Degradation, ...]]:
    """Degrade with a seed, as `degrade`; values are clipped to [0, 1], as a file holds them."""
    y, drawn = degrade(x, chain, np.random.default_rng(seed))
    return np.clip(y, 0, 1), drawn
