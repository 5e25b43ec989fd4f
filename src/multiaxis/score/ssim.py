"""Structural similarity: one formula, and the windows that papers put under it."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from multiaxis.errors import ShapeError, unknown
from multiaxis.score._check import FloatArray, float_pair

K1, K2 = 0.01, 0.03  # Wang et al. 2004, section III; every tool below keeps them


@dataclass(frozen=True)
class SsimKind:
    """One variant of SSIM.

    Attributes
    ----------
    taps : tuple of float
        The window along one axis, summing to 1; the same along every axis that it covers.
    border : bool
        Repeat the edge pixels so that the map is as large as the picture; without it, only
        positions where the window fits are counted.
    volume : bool
        Let the window run over the channel axis too, instead of one plane at a time.
    sample_covariance : bool
        Divide the second moments by n - 1 instead of n, n being the pixels of the window.
    """

    taps: tuple[float, ...]
    border: bool = False
    volume: bool = False
    sample_covariance: bool = False


def _gaussian(radius: int, sigma: float) -> tuple[float, ...]:
    weights = [math.exp(-((k / sigma) ** 2) / 2) for k in range(-radius, radius + 1)]
    return tuple(weight / sum(weights) for weight in weights)


SSIM_KINDS: dict[str, SsimKind] = {
    # Wang et al. 2004 as published: 11x11 pixels, sigma 1.5; also BasicSR calculate_ssim
    "gaussian": SsimKind(_gaussian(5, 1.5)),
    # MATLAB ssim(A, ref): takes height x width x 3 as a volume; also NAFNet with ssim3d=True
    "volume": SsimKind(_gaussian(5, 1.5), border=True, volume=True),
    # scikit-image structural_similarity with its defaults
    "uniform": SsimKind((1 / 7,) * 7, sample_covariance=True),
}


def _smooth(values: FloatArray, kind: SsimKind) -> FloatArray:
    """Weighted mean under the window, along every axis of the array."""
    radius = len(kind.taps) // 2
    for axis in range(values.ndim):
        lines = np.moveaxis(values, axis, 0)
        if kind.border:
            lines = np.pad(lines, [(radius, radius)] + [(0, 0)] * (lines.ndim - 1), mode="edge")
        count = len(lines) - 2 * radius
        total = kind.taps[0] * lines[:count]
        for k, tap in enumerate(kind.taps[1:], start=1):
            total += tap * lines[k : k + count]
        values = np.moveaxis(total, 0, axis)
    return values


def similarity_maps(
    prediction: FloatArray, target: FloatArray, *, kind: SsimKind, data_range: float
) -> tuple[FloatArray, FloatArray]:
    """Compute both factors of SSIM at every position of the window, over all axes of the arrays.

    Parameters
    ----------
    prediction, target : array, one shape
        A plane (height, width), or a volume (height, width, channels).
    kind : SsimKind
        The window.
    data_range : float
        Peak of the samples.

    Returns
    -------
    luminance, structure : array
        Likeness of the local means, in (0, 1] for samples that are not negative, and of the
        local contrast and structure, in [-1, 1]. Their product is the SSIM map.

    Notes
    -----
    Source: Wang et al., "Image quality assessment: from error visibility to structural
    similarity", IEEE TIP 2004, equations 6 and 13 (C3 = C2 / 2 joins contrast and structure).
    """
    c1, c2 = (K1 * data_range) ** 2, (K2 * data_range) ** 2
    mean_p, mean_t = _smooth(prediction, kind), _smooth(target, kind)
    means = mean_p**2 + mean_t**2
    window = len(kind.taps) ** prediction.ndim
    scale = window / (window - 1) if kind.sample_covariance else 1.0
    # the two variances are needed only as a sum: one filtering less
    variances = scale * (_smooth(prediction**2 + target**2, kind) - means)
    covariance = scale * (_smooth(prediction * target, kind) - mean_p * mean_t)
    luminance = (2 * mean_p * mean_t + c1) / (means + c1)
    structure = (2 * covariance + c2) / (variances + c2)
    return luminance, structure


def _check_window(shape: tuple[int, ...], kind: str) -> None:
    """Raise `ShapeError` unless the window runs over pictures of that shape."""
    chosen = SSIM_KINDS[kind]
    if len(shape) not in (2, 3):
        raise ShapeError(
            f"SSIM received shape {shape}; it takes (height, width) or (height, width, channels):"
            " score pictures of a batch one by one"
        )
    if not chosen.border and min(shape[:2]) < len(chosen.taps):
        raise ShapeError(
            f"SSIM received height {shape[0]}, width {shape[1]}; its {kind} window needs"
            f" {len(chosen.taps)} pixels or more on each side: use a larger picture, channels last"
        )


def ssim(
    prediction: NDArray[Any], target: NDArray[Any], *, data_range: float, kind: str = "gaussian"
) -> float:
    """Structural similarity, the mean of its map.

    Parameters
    ----------
    prediction, target : array, shape (height, width) or (height, width, channels)
        Integers or floats on one scale; computed in float64.
    data_range : float
        The peak: 255 for 8-bit samples, 1 for samples in [0, 1].
    kind : str
        A name in `SSIM_KINDS`: ``"gaussian"`` (11x11, sigma 1.5, places where the window fits),
        ``"volume"`` (MATLAB's: the Gaussian covers the channels too, edges repeated) or
        ``"uniform"`` (scikit-image's default 7x7). Values of two kinds cannot be compared.

    Returns
    -------
    float
        1 for equal arrays, less for others, and below 0 if structures are inverted.

    Raises
    ------
    ShapeError
        If the shapes differ, are of another rank, or are smaller than a window that must fit;
        if samples are not finite real numbers.
    ConfigError
        If `kind` is unknown or `data_range` is not a positive number.

    Notes
    -----
    Sources: Wang et al. 2004; MATLAB `ssim`; scikit-image `structural_similarity`.

    Examples
    --------
    >>> ramp = np.arange(256, dtype=np.uint8).reshape(16, 16)
    >>> ssim(ramp, ramp, data_range=255)
    1.0
    """
    if kind not in SSIM_KINDS:
        raise unknown("SSIM kind", kind, SSIM_KINDS)
    chosen = SSIM_KINDS[kind]
    pair = float_pair(prediction, target, data_range)
    _check_window(pair[0].shape, kind)
    planes = [pair]
    if pair[0].ndim == 3 and not chosen.volume:
        planes = [(pair[0][..., c], pair[1][..., c]) for c in range(pair[0].shape[2])]
    means: list[float] = []
    for plane in planes:
        luminance, structure = similarity_maps(*plane, kind=chosen, data_range=data_range)
        means.append(float(np.mean(luminance * structure)))
    return sum(means) / len(means)
