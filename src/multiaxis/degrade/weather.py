"""Rain, drops on the lens, and haze."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from multiaxis.degrade.kernels import convolve, gaussian, joined, line, smooth_field
from multiaxis.degrade.parameters import Array, Range, Settings, most, number

_SHORTEST, _LONGEST = 0.6, 1.2  # streaks of a layer, as shares of the length that is asked for


@dataclass(frozen=True)
class Rain(Settings):
    """Rain streaks: layers of sparse noise, blurred along the fall and added to the picture.

    The layered model of Yang et al. (CVPR 2017), from which Rain100L (one direction) and Rain100H
    (several) were drawn; thresholds, lengths and widths are ours.

    Attributes
    ----------
    layers : Range
        How many directions and depths of rain.
    density : Range
        Share of the pixels where a streak begins.
    length : Range
        Of a streak, pixels.
    angle : Range
        Of the fall, degrees from the vertical; every layer is up to 15 degrees off.
    brightness : Range
        Added by a streak at its strongest.
    """

    layers: Range = (1.0, 5.0)
    density: Range = (0.0003, 0.002)
    length: Range = (8.0, 40.0)
    angle: Range = (-35.0, 35.0)
    brightness: Range = (0.2, 0.8)
    limits: ClassVar[dict[str, tuple[float, float]]] = {
        "layers": (1, 20),
        "density": (0, 0.5),
        "length": (1, 200),
        "angle": (-90, 90),
        "brightness": (0, 1),
    }
    whole: ClassVar[tuple[str, ...]] = ("layers",)

    @property
    def reach(self) -> int:
        """Half of the longest streak."""
        return math.ceil(most(self.length) * _LONGEST / 2)

    def __call__(self, x: Array, rng: np.random.Generator) -> Array:
        """Add it; the result is clipped at white."""
        rain = np.zeros(x.shape[:2], np.float32)
        for _ in range(int(number(self.layers))):
            length = number(self.length) * rng.uniform(_SHORTEST, _LONGEST)
            angle = 90 + number(self.angle) + rng.uniform(-15, 15)
            begins = rng.random(x.shape[:2], np.float32) < number(self.density)
            drops = np.zeros(x.shape[:2], np.float32)
            drops[begins] = rng.uniform(0.15, 1, np.count_nonzero(begins))
            width = gaussian(rng.uniform(0.3, 0.9))
            streaks = convolve(drops, joined(line(length, angle), width))
            peak = np.float32(np.sqrt(width.max()) / length)  # of a lone streak of full strength
            rain += np.float32(number(self.brightness)) * np.minimum(streaks / peak, 1)
        return np.minimum(x + rain[..., None], np.float32(1))


@dataclass(frozen=True)
class Drops(Settings):
    """Drops on the lens: each shows its surroundings upside down, blurred and a little brighter.

    The model y = (1 - M) x + D of Qian et al. (CVPR 2018); shapes are ours.

    Attributes
    ----------
    count : Range
        Drops in a picture of a megapixel; others have as many for their area, at least one.
    radius : Range
        Pixels.
    """

    count: Range = (20.0, 200.0)
    radius: Range = (6.0, 30.0)
    limits: ClassVar[dict[str, tuple[float, float]]] = {"count": (0, 5000), "radius": (1, 500)}

    def __call__(self, x: Array, rng: np.random.Generator) -> Array:
        """Put them on."""
        height, width = x.shape[:2]
        mask, shown = np.zeros((height, width), np.float32), np.zeros_like(x)
        rows, columns = np.arange(height)[:, None], np.arange(width)[None, :]
        count = number(self.count) * height * width / 1e6
        for _ in range(max(1, round(count)) if count else 0):
            radius = number(self.radius) * rng.uniform(0.5, 1.5)
            row, column = rng.uniform(0, height), rng.uniform(0, width)
            away = np.hypot((rows - row) / rng.uniform(0.8, 1.4), columns - column) / radius
            inside = np.clip((1 - away) * radius / 2, 0, 1).astype(np.float32)
            # What a lens of water shows: the picture turned round the drop's centre, shrunk.
            source = x[
                np.clip(row - 4 * (rows - row), 0, height - 1).astype(int),
                np.clip(column - 4 * (columns - column), 0, width - 1).astype(int),
            ]
            is_upper = (inside > mask)[..., None]
            shown = np.where(is_upper, source, shown)
            mask = np.maximum(mask, inside)
        soft = convolve(shown, gaussian(1.5)) * np.float32(0.9) + np.float32(0.08)
        opacity = convolve(mask, gaussian(1.0))[..., None]
        return np.clip((1 - opacity) * x + opacity * soft, 0, 1).astype(np.float32)


@dataclass(frozen=True)
class Haze(Settings):
    """Haze: y = t x + (1 - t) A with t = exp(-beta d), after Koschmieder.

    The depth d is not known for a photograph: a smooth map from 0.2 to 1 stands for it, deeper
    towards the top. Ranges of A and beta: RESIDE's indoor training set.

    Attributes
    ----------
    airlight : Range
        A, the brightness of the haze.
    beta : Range
        Scattering.
    """

    airlight: Range = (0.7, 1.0)
    beta: Range = (0.6, 1.8)
    limits: ClassVar[dict[str, tuple[float, float]]] = {"airlight": (0, 1), "beta": (0, 20)}

    def __call__(self, x: Array, rng: np.random.Generator) -> Array:
        """Lay it over a map of depth of its own making."""
        height, width = x.shape[:2]
        rise = np.linspace(1, 0, height, dtype=np.float32)[:, None]
        depth = 0.2 + 0.5 * rise + 0.3 * smooth_field((height, width), (3, 4), rng)
        return self.over(x, depth.astype(np.float32))

    def over(self, x: Array, depth: Array) -> Array:
        """Lay it over a known depth (height, width), in units that suit `beta`."""
        seen = np.exp(-np.float32(number(self.beta)) * depth)[..., None]
        return seen * x + (1 - seen) * np.float32(number(self.airlight))
