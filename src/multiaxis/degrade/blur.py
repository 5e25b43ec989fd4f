"""Blur of a moving or badly focused camera."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from multiaxis.degrade.kernels import convolve, disc, rasterise
from multiaxis.degrade.noise import GAMMA
from multiaxis.degrade.parameters import Array, Range, Settings, most, number


@dataclass(frozen=True)
class MotionBlur(Settings):
    """The blur of a hand that shakes: a particle with inertia draws the kernel.

    Source: the trajectories of Boracchi and Foi (2012), with DeblurGAN's constants: a pull to the
    centre up to 0.7, Gaussian shake up to 10, and rarely an impulse that turns the motion round.
    The blur happens in linear light (gamma 2.2).

    Attributes
    ----------
    length : Range
        Length of the path in pixels.
    shake : Range
        From 0, a smooth path, to 1.
    """

    length: Range = (5.0, 40.0)
    shake: Range = (0.0, 1.0)
    limits: ClassVar[dict[str, tuple[float, float]]] = {"length": (1, 200), "shake": (0, 1)}

    @property
    def reach(self) -> int:
        """No path leads further than it is long."""
        return math.ceil(most(self.length))

    def __call__(self, x: Array, rng: np.random.Generator) -> Array:
        """Blur it."""
        kernel = rasterise(trajectory(number(self.length), number(self.shake), rng))
        return _in_light(x, kernel)


def trajectory(
    length: float, shake: float, rng: np.random.Generator, steps: int = 500
) -> NDArray[np.floating]:
    """Let a particle wander.

    Parameters
    ----------
    length : float
        Of its path, pixels.
    shake : float
        From 0 to 1: how strongly it is pushed about.
    rng : Generator
    steps : int
        Points of the path.

    Returns
    -------
    ndarray, shape (steps, 2)
        Rows and columns, around their mean.
    """
    pull = 0.7 * rng.random() / steps
    push = 10 * shake / steps
    turn = 0.2 * shake * rng.random() / np.sqrt(steps)
    velocity = np.exp(2j * np.pi * rng.random())
    places = np.zeros(steps, complex)
    for k in range(1, steps):
        impulse = 0j
        if rng.random() < turn:
            impulse = 2 * velocity * (np.exp(1j * (np.pi + rng.random() - 0.5)) - 1)
        gust = push * complex(*rng.standard_normal(2))
        velocity = velocity + impulse + gust - pull * places[k - 1]
        velocity = velocity / abs(velocity)
        places[k] = places[k - 1] + velocity * length / (steps - 1)
    places -= places.mean()
    return np.stack([places.imag, places.real], axis=1)


@dataclass(frozen=True)
class Defocus(Settings):
    """A lens out of focus: every point becomes a disc, in linear light (gamma 2.2).

    Attributes
    ----------
    radius : Range
        Of the disc, pixels.
    """

    radius: Range = (1.0, 6.0)
    limits: ClassVar[dict[str, tuple[float, float]]] = {"radius": (0, 100)}

    @property
    def reach(self) -> int:
        """Ample for a disc."""
        return math.ceil(2 * most(self.radius))

    def __call__(self, x: Array, rng: np.random.Generator) -> Array:  # noqa: ARG002 (one signature)
        """Blur it."""
        return _in_light(x, disc(number(self.radius)))


def _in_light(x: Array, kernel: NDArray[np.floating]) -> Array:
    light = np.clip(x, 0, 1) ** np.float32(GAMMA)
    return np.clip(convolve(light, kernel), 0, 1) ** np.float32(1 / GAMMA)
