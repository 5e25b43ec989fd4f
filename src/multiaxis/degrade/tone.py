"""Too little light, too few bytes, too few pixels."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from PIL import Image

from multiaxis.degrade.noise import SensorNoise
from multiaxis.degrade.parameters import Array, Range, Settings, most, number


@dataclass(frozen=True)
class LowLight(Settings):
    """A dark picture: y = b (a x)^g, then a sensor's noise.

    Source: Lv et al., IJCV 2021: a 0.9 to 1, b 0.5 to 1, g 1.5 to 5.

    Attributes
    ----------
    gain, scale : Range
        a and b.
    gamma : Range
        g.
    log_shot : Range
        As in `SensorNoise`.
    """

    gain: Range = (0.9, 1.0)
    scale: Range = (0.5, 1.0)
    gamma: Range = (1.5, 5.0)
    log_shot: Range = (-9.2, -6.0)
    limits: ClassVar[dict[str, tuple[float, float]]] = {
        "gain": (0, 1),
        "scale": (0, 1),
        "gamma": (1, 10),
        "log_shot": (-14, 0),
    }

    def __call__(self, x: Array, rng: np.random.Generator) -> Array:
        """Darken it."""
        lit = np.clip(x, 0, 1) * np.float32(number(self.gain))
        dark = np.float32(number(self.scale)) * lit ** np.float32(number(self.gamma))
        return SensorNoise(self.log_shot)(dark, rng)


@dataclass(frozen=True)
class Jpeg(Settings):
    """Written as JPEG and read again, by a real codec, colour at half resolution (4:2:0).

    Attributes
    ----------
    quality : Range
        libjpeg's scale; 30..95 for photographs (Real-ESRGAN), 5..40 where it should hurt.
    """

    quality: Range = (30.0, 95.0)
    limits: ClassVar[dict[str, tuple[float, float]]] = {"quality": (1, 100)}
    whole: ClassVar[tuple[str, ...]] = ("quality",)

    @property
    def reach(self) -> int:
        """A block of halved colour."""
        return 16

    def __call__(self, x: Array, rng: np.random.Generator) -> Array:  # noqa: ARG002 (one signature)
        """Encode and decode it, at 8 bits."""
        file = io.BytesIO()
        levels = (np.clip(x, 0, 1) * 255).round().astype(np.uint8)
        Image.fromarray(levels).save(
            file, "JPEG", quality=int(number(self.quality)), subsampling="4:2:0"
        )
        return np.asarray(Image.open(file), np.float32) / np.float32(255)


@dataclass(frozen=True)
class Levels(Settings):
    """Rounded to the levels of a file: what is below black or above white is lost.

    Strong noise in a file is brighter in dark parts than before, since half of it was cut off.

    Attributes
    ----------
    bits : Range
        Of a value.
    share : Range
        Of the pictures that this happens to. The others keep what noise put below 0 or above 1.
    """

    bits: Range = 8.0
    share: Range = 1.0
    limits: ClassVar[dict[str, tuple[float, float]]] = {"bits": (1, 16), "share": (0, 1)}
    whole: ClassVar[tuple[str, ...]] = ("bits",)

    def __call__(self, x: Array, rng: np.random.Generator) -> Array:
        """Cut and round it."""
        if rng.random() >= number(self.share):
            return x
        most = np.float32(2 ** int(number(self.bits)) - 1)
        return (np.clip(x, 0, 1) * most).round() / most


@dataclass(frozen=True)
class Shrink(Settings):
    """Shrunk and enlarged again, bicubic with antialiasing: fine detail is lost, the size stays.

    Attributes
    ----------
    factor : Range
        How many times smaller.
    """

    factor: Range = (2.0, 4.0)
    limits: ClassVar[dict[str, tuple[float, float]]] = {"factor": (1, 16)}

    @property
    def reach(self) -> int:
        """What bicubic samples reach, down and up again."""
        return math.ceil(4 * most(self.factor))

    def __call__(self, x: Array, rng: np.random.Generator) -> Array:  # noqa: ARG002 (one signature)
        """Shrink and enlarge it."""
        height, width = x.shape[:2]
        factor = number(self.factor)
        small = max(1, round(width / factor)), max(1, round(height / factor))
        bands = [Image.fromarray(np.ascontiguousarray(x[..., k])) for k in range(x.shape[2])]
        cubic = Image.Resampling.BICUBIC
        again = [band.resize(small, cubic).resize((width, height), cubic) for band in bands]
        return np.clip(np.stack([np.asarray(b) for b in again], axis=-1), 0, 1)
