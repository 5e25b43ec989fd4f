"""Convolving pictures with kernels of any size."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from multiaxis.degrade.parameters import Array


def convolve(x: Array, kernel: NDArray[np.floating]) -> Array:
    """Convolve (height, width) or (height, width, channels) with a kernel; edges are mirrored."""
    rows, columns = kernel.shape
    top, left = rows // 2, columns // 2
    pads = [(top, rows - 1 - top), (left, columns - 1 - left)]
    padded = np.pad(x, pads + [(0, 0)] * (x.ndim - 2), mode="symmetric")
    height, width = padded.shape[:2]
    size = (quick_length(height), quick_length(width))
    spectrum = np.fft.rfft2(kernel.astype(np.float32), size)
    if x.ndim == 3:
        spectrum = spectrum[..., None]
    whole = np.fft.irfft2(np.fft.rfft2(padded, size, axes=(0, 1)) * spectrum, size, axes=(0, 1))
    return whole[rows - 1 : height, columns - 1 : width].astype(np.float32, copy=False)


def joined(one: NDArray[np.floating], other: NDArray[np.floating]) -> NDArray[np.floating]:
    """Make the kernel that convolves as one kernel and then the other do."""
    rows, columns = (a + b - 1 for a, b in zip(one.shape, other.shape, strict=True))
    size = (quick_length(rows), quick_length(columns))
    spectrum = np.fft.rfft2(one, size) * np.fft.rfft2(other, size)
    return np.fft.irfft2(spectrum, size)[:rows, :columns]


@cache
def quick_length(length: int) -> int:
    """Find the next number without prime factors above 5, which FFTs like."""
    rest = length
    for prime in (2, 3, 5):
        while rest % prime == 0:
            rest //= prime
    return length if rest == 1 else quick_length(length + 1)


def disc(radius: float) -> NDArray[np.floating]:
    """Make a disc with a soft edge of one pixel, summing to one."""
    reach = int(np.ceil(radius))
    across = np.arange(-reach, reach + 1)
    distance = np.hypot(across[:, None], across[None, :])
    kernel = np.clip(radius + 0.5 - distance, 0, 1)
    return kernel / kernel.sum()


def line(length: float, angle: float) -> NDArray[np.floating]:
    """Make a line of a length in pixels and an angle in degrees, summing to one."""
    return rasterise(
        np.outer(
            np.linspace(-length / 2, length / 2, max(int(4 * length), 2)),
            [np.sin(np.radians(angle)), np.cos(np.radians(angle))],
        )
    )


def gaussian(sigma: float) -> NDArray[np.floating]:
    """Make a Gaussian, summing to one."""
    reach = max(int(np.ceil(3 * sigma)), 1)
    across = np.exp(-0.5 * (np.arange(-reach, reach + 1) / max(sigma, 1e-6)) ** 2)
    kernel = np.outer(across, across)
    return kernel / kernel.sum()


def rasterise(points: NDArray[np.floating]) -> NDArray[np.floating]:
    """Spread points (row, column), around the origin, over the four nearest pixels each."""
    reach = int(np.ceil(np.abs(points).max())) + 1
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1))
    corner = np.floor(points).astype(np.int64)
    share = points - corner
    for down in (0, 1):
        for right in (0, 1):
            weight = np.abs(1 - down - share[:, 0]) * np.abs(1 - right - share[:, 1])
            at = corner + reach + (down, right)
            np.add.at(kernel, tuple(at.T), weight)
    return kernel / kernel.sum()


def smooth_field(
    shape: tuple[int, int], coarse: tuple[int, int], rng: np.random.Generator
) -> Array:
    """Draw a smooth map with values in [0, 1]: even noise on a few cells, bilinearly enlarged."""
    cells = rng.random((coarse[0] + 1, coarse[1] + 1)).astype(np.float32)
    rows, columns = (
        np.linspace(0, n, s, dtype=np.float32) for n, s in zip(coarse, shape, strict=True)
    )
    top = np.minimum(rows.astype(int), coarse[0] - 1)
    left = np.minimum(columns.astype(int), coarse[1] - 1)
    down, right = (rows - top)[:, None], (columns - left)[None, :]
    upper = cells[top][:, left] * (1 - right) + cells[top][:, left + 1] * right
    lower = cells[top + 1][:, left] * (1 - right) + cells[top + 1][:, left + 1] * right
    return (upper * (1 - down) + lower * down).astype(np.float32)
