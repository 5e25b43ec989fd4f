"""Make the sample of the repository: a clean photograph and the same one in the rain.

    python tools/make_sample.py PHOTOGRAPH docs/sample

The streaks are our own and follow the common recipe: sparse noise, blurred along the direction in
which drops fall during one exposure, several layers, laid over the picture like light (screen).
"""

from __future__ import annotations

import argparse
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIZE = (720, 480)  # width, height
QUALITY = 92
SEED = 2022

Array = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Layer:
    """Drops at one distance from the camera.

    Attributes
    ----------
    density : float
        Share of pixels in which a drop starts.
    length : float
        Of a streak, in pixels.
    angle : float
        Of the fall, in degrees from the vertical; positive falls to the left.
    width : float
        Standard deviation across the streak, in pixels.
    strength : float
        Brightness of the strongest streak, in [0, 1].
    """

    density: float
    length: float
    angle: float
    width: float
    strength: float


# Far drops are many, short and faint; near ones few, long and bright. One gust falls otherwise.
LAYERS = (
    Layer(density=0.0060, length=22, angle=11, width=0.45, strength=0.26),
    Layer(density=0.0030, length=42, angle=12, width=0.60, strength=0.42),
    Layer(density=0.0009, length=80, angle=13, width=0.80, strength=0.62),
    Layer(density=0.0007, length=52, angle=4, width=0.65, strength=0.48),
)


def streak(layer: Layer) -> Array:
    """Draw one streak, soft at its sides and tapered at its ends; its peak is 1."""
    reach = int(np.ceil(layer.length / 2 + 3 * layer.width)) + 1
    rows, columns = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(np.float64)
    slant = np.deg2rad(layer.angle)
    along = rows * np.cos(slant) - columns * np.sin(slant)
    across = rows * np.sin(slant) + columns * np.cos(slant)
    ends = np.clip((layer.length / 2 - np.abs(along)) / (0.15 * layer.length), 0, 1)
    return ends * np.exp(-0.5 * (across / layer.width) ** 2)


def rain(height: int, width: int, layer: Layer, rng: np.random.Generator) -> Array:
    """Return one layer of streaks, (height, width) in [0, 1]."""
    kernel = streak(layer)
    margin = kernel.shape[0]  # drops may start outside the frame; nothing wraps into it
    shape = (height + 2 * margin, width + 2 * margin)
    drops = (rng.random(shape) < layer.density) * rng.uniform(0.25, 1, shape)
    blurred = np.fft.irfft2(np.fft.rfft2(drops) * np.fft.rfft2(kernel, shape), shape)
    cut = blurred[margin : margin + height, margin : margin + width]
    return np.clip(cut * layer.strength, 0, 1)


def rainy(clean: NDArray[np.uint8], seed: int = SEED) -> NDArray[np.uint8]:
    """Lay all layers over a picture (height, width, 3), each like light: 1 - (1 - a)(1 - b)."""
    rng = np.random.default_rng(seed)
    values = clean / 255.0
    for layer in LAYERS:
        light = rain(*clean.shape[:2], layer, rng)[..., None]
        values = 1 - (1 - values) * (1 - light)
    return np.rint(values * 255).astype(np.uint8)


def framed(photograph: Image.Image) -> Image.Image:
    """Cut the middle of the wanted proportions and scale it down."""
    scale = min(photograph.width / SIZE[0], photograph.height / SIZE[1])
    width, height = SIZE[0] * scale, SIZE[1] * scale
    left, upper = (photograph.width - width) / 2, (photograph.height - height) / 2
    box = (left, upper, left + width, upper + height)
    return photograph.convert("RGB").resize(SIZE, Image.Resampling.LANCZOS, box=box)


def main() -> None:
    parser = argparse.ArgumentParser(description="Make clean.jpg and rainy.jpg.")
    parser.add_argument("photograph", type=Path)
    parser.add_argument("folder", type=Path)
    words = parser.parse_args()
    clean = framed(Image.open(io.BytesIO(words.photograph.read_bytes())))
    words.folder.mkdir(parents=True, exist_ok=True)
    for name, image in (("clean", clean), ("rainy", Image.fromarray(rainy(np.asarray(clean))))):
        path = words.folder / f"{name}.jpg"
        image.save(path, quality=QUALITY, subsampling=0, optimize=True)
        print(f"{path}: {image.width}x{image.height}, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
