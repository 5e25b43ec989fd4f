"""Noise of films and sensors."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from multiaxis.degrade.kernels import convolve, gaussian
from multiaxis.degrade.parameters import Array, Range, Settings, most, number

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


_BILINEAR = np.outer([0.5, 1, 0.5], [0.5, 1, 0.5]).astype(np.float32)  # from every fourth pixel
_CROSS = np.array([[0, 0.25, 0], [0.25, 0, 0.25], [0, 0.25, 0]], np.float32)


@dataclass(frozen=True)
class CameraNoise(Settings):
    """A sensor's noise as the camera's picture shows it: coloured blotches instead of grains.

    Noise of single photosites (variance = shot * x + read, as `SensorNoise`) goes through what
    cameras do: white balance, a demosaicing that interpolates green and then colour differences, a
    colour matrix, and smoothing. All of it is linear, so that the noise alone passes through, and
    the picture keeps its detail.

    Attributes
    ----------
    log_shot : Range
        Natural logarithm of the shot noise of a photosite.
    gain : Range
        White balance: factor on red, and on blue.
    matrix : Range
        How far the colour matrix pushes colours apart; below 0 they are drawn together, as where
        the camera smooths colours more than light.
    smooth : Range
        Standard deviation of the smoothing, pixels. Three tenths of the noise are smoothed three
        times as far, and leave blotches.
    """

    log_shot: Range = (-8.0, -4.0)
    gain: Range = (1.2, 2.4)
    matrix: Range = (-0.8, 0.2)
    smooth: Range = (0.2, 0.9)
    limits: ClassVar[dict[str, tuple[float, float]]] = {
        "log_shot": (-14, 0),
        "gain": (1, 8),
        "matrix": (-1, 3),
        "smooth": (0, 10),
    }

    @property
    def reach(self) -> int:
        """What the demosaicing and the smoothing read."""
        return 2 + max(math.ceil(3 * 3 * most(self.smooth)), 1)

    def __call__(self, x: Array, rng: np.random.Generator) -> Array:
        """Add it in linear light, and return to sRGB values in [0, 1]."""
        shot = number(self.log_shot)
        read = 2.18 * shot + 1.20 + rng.normal(0, 0.26)
        light = np.clip(x, 0, 1) ** np.float32(GAMMA)
        spread = rng.uniform(0.8, 1.25)  # blue needs more where red needs less
        gains = np.array([number(self.gain) * spread, 1, number(self.gain) / spread], np.float32)
        variance = light * gains * np.float32(np.exp(shot)) + gains**2 * np.float32(np.exp(read))
        sites = np.sqrt(variance) * rng.standard_normal(x.shape, np.float32)
        noise = _demosaiced(sites, rng)
        noise += np.float32(number(self.matrix)) * (noise - noise.mean(axis=2, keepdims=True))
        if number(self.smooth) > 0:
            noise = convolve(noise, _smoothing(number(self.smooth)))
        return (np.clip(light + noise, 0, 1) ** np.float32(1 / GAMMA)).astype(np.float32)


def _smoothing(sigma: float) -> NDArray[np.floating]:
    far, near = gaussian(3 * sigma), gaussian(sigma)
    kernel = 0.3 * far
    margin = (len(far) - len(near)) // 2
    kernel[margin : margin + len(near), margin : margin + len(near)] += 0.7 * near
    return kernel


def _demosaiced(sites: Array, rng: np.random.Generator) -> Array:
    """Keep one colour for each photosite of a Bayer pattern, and interpolate the others."""
    height, width = sites.shape[:2]
    top, left = rng.integers(2, size=2)
    odd = (np.arange(height)[:, None] + top) % 2, (np.arange(width)[None, :] + left) % 2
    is_red, is_blue = (odd[0] == 0) & (odd[1] == 0), (odd[0] == 1) & (odd[1] == 1)
    is_green = ~(is_red | is_blue)
    green = np.where(is_green, sites[..., 1], 0)
    green = np.where(is_green, green, convolve(green, _CROSS))
    red, blue = (
        green + convolve(np.where(mask, sites[..., band] - green, 0), _BILINEAR)
        for band, mask in ((0, is_red), (2, is_blue))
    )
    return np.stack([red, green, blue], axis=-1)
