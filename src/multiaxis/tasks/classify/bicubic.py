"""The bicubic resizing of old TensorFlow, which the authors of MaxViT evaluate with.

It differs from every common one: no half-pixel shift, no antialiasing, a sharper kernel whose
weights come from a table of 1024 steps, and results that overshoot the range of the pixels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_SHARPNESS = -0.75  # of the kernel; others use -0.5
_STEPS = 1024  # of the table that positions between pixels are rounded to


def resize_bicubic(pixels: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.float32]:
    """Resize a picture to (rows, columns), down or up.

    Parameters
    ----------
    pixels : array of uint8, shape (height, width, channels)
    size : tuple of int

    Returns
    -------
    array of float32, shape (*size, channels)
        In the scale of the pixels; not clipped, not rounded.
    """
    # Rows first: the sums of float32 are then rounded as in the original.
    rows = _resize_axis(pixels.astype(np.float32), size[0], 0)
    return _resize_axis(rows, size[1], 1)


def _resize_axis(values: NDArray[np.float32], size: int, axis: int) -> NDArray[np.float32]:
    length = values.shape[axis]
    positions = np.arange(size, dtype=np.float32) * (np.float32(length) / np.float32(size))
    first = np.floor(positions)
    steps = np.rint((positions - first) * np.float32(_STEPS))
    shape = [1] * values.ndim
    shape[axis] = size
    taps = np.zeros_like(values, shape=(*values.shape[:axis], size, *values.shape[axis + 1 :]))
    for offset, weights in zip(range(-1, 3), _kernel(steps / _STEPS), strict=True):
        indices = np.clip(first.astype(np.intp) + offset, 0, length - 1)
        taps += np.take(values, indices, axis) * weights.reshape(shape)
    return taps


def _kernel(fractions: NDArray[np.floating]) -> list[NDArray[np.float32]]:
    """Weights of the four pixels around each position; Keys' cubic convolution."""
    a, x = _SHARPNESS, fractions.astype(np.float64)

    def near(x: NDArray[np.float64]) -> NDArray[np.float64]:
        return ((a + 2) * x - (a + 3)) * x * x + 1

    def far(x: NDArray[np.float64]) -> NDArray[np.float64]:
        return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a

    weights = (far(x + 1), near(x), near(1 - x), far(2 - x))
    return [weight.astype(np.float32) for weight in weights]
