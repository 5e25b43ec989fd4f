"""Noise of films and sensors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from multiaxis.degrade.parameters import Array, Range, Settings, number

GAMMA = 2.2  # between sRGB values and light, as the unprocessing chain takes it


@dataclass(frozen=True)
class GaussianNoise(Settings):
    """Equal, independent noise on every value: y = x + N(0, sigma / 255).

    What denoisers are compared on: sigma 15, 25, 50; blind 0..55 (DnCNN, Zhang et al. 2017).

    Attributes
    ----------
    sigma : Range
        Standard deviation in 8-bit levels.
    """

    sigma: Range = 25.0
    limits: ClassVar[dict[str, tuple[float, float]]] = {"sigma": (0, 255)}

    def __call__(self, x: Array, rng: np.random.Generator) -> Array:
        """Add it; values may leave [0, 1]."""
        noise = rng.standard_normal(x.shape, np.float32)
        return (x + noise * np.float32(number(self.sigma) / 255)).astype(np.float32)


@dataclass(frozen=True)
class PoissonNoise(Settings):
    """Noise of counting light: y = x + scale (Poisson(x v) / v - x), v = 2^ceil(log2(levels)).

    Source: BasicSR's ``degradations.py`` and Real-ESRGAN's settings (scale 0.05 to 3).

    Attributes
    ----------
    scale : Range
        Factor on the noise; 1 is the counting noise itself.
    """

    scale: Range = 1.0
    limits: ClassVar[dict[str, tuple[float, float]]] = {"scale": (0, 10)}

    def __call__(self, x: Array, rng: np.random.Generator) -> Array:
        """Add it; values may leave [0, 1]."""
        x = np.clip(x, 0, 1)
        levels = len(np.unique((x * 255).round()))
        counts = np.float32(2 ** np.ceil(np.log2(max(levels, 2))))
        noise = rng.poisson(x * counts).astype(np.float32) / counts - x
        return (x + np.float32(number(self.scale)) * noise).astype(np.float32)


@dataclass(frozen=True)
class SensorNoise(Settings):
    """Noise of a camera's sensor, in linear light: variance = shot * x + read.

    Source: Brooks et al., *Unprocessing Images for Learned Raw Denoising*, CVPR 2019:
    ln shot even in ln 1e-4 to ln 0.012; ln read = 2.18 ln shot + 1.20 + N(0, 0.26).

    Attributes
    ----------
    log_shot : Range
        Natural logarithm of the shot noise.
    """

    log_shot: Range = (float(np.log(1e-4)), float(np.log(0.012)))
    limits: ClassVar[dict[str, tuple[float, float]]] = {"log_shot": (-14, 0)}

    def __call__(self, x: Array, rng: np.random.Generator) -> Array:
        """Add it in linear light, and return to sRGB values in [0, 1]."""
        shot = number(self.log_shot)
        read = 2.18 * shot + 1.20 + rng.normal(0, 0.26)
        light = np.clip(x, 0, 1) ** np.float32(GAMMA)
        deviation = np.sqrt(light * np.float32(np.exp(shot)) + np.float32(np.exp(read)))
        noisy = light + deviation * rng.standard_normal(x.shape, np.float32)
        return (np.clip(noisy, 0, 1) ** np.float32(1 / GAMMA)).astype(np.float32)
