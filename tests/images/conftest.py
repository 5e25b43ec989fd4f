"""Pictures made by Pillow, the second library."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

Noise = Callable[..., NDArray[Any]]
Encode = Callable[..., bytes]


@pytest.fixture
def noise() -> Noise:
    """Random samples of a shape and depth; every level may occur."""
    rng = np.random.default_rng(7)

    def make(*shape: int, depth: str = "uint8") -> NDArray[Any]:
        if depth == "float32":  # beyond [0, 1] too: floats are kept as they are
            return rng.normal(0.5, 1, shape).astype(np.float32)
        return rng.integers(0, np.iinfo(depth).max, shape, dtype=depth, endpoint=True)

    return make


@pytest.fixture
def smooth() -> NDArray[np.uint8]:
    """A colourful ramp of 48x32 that lossy formats keep well; no two corners are alike."""
    rows, columns = np.mgrid[0:32, 0:48]
    return np.stack([columns * 5, rows * 7, 255 - columns * 2 - rows * 3], -1).astype(np.uint8)


@pytest.fixture
def encode() -> Encode:
    """Encode a Pillow image in memory."""

    def make(image: Image.Image, kind: str, **options: Any) -> bytes:
        stream = io.BytesIO()
        image.save(stream, kind, **options)
        return stream.getvalue()

    return make
