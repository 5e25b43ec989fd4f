"""Peak signal-to-noise ratio."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from multiaxis.score._check import float_pair


def psnr(prediction: NDArray[Any], target: NDArray[Any], *, data_range: float) -> float:
    """Peak signal-to-noise ratio in dB, from one mean squared error over all samples.

    Parameters
    ----------
    prediction, target : array, of one shape
        Integers or floats on one scale; computed in float64, neither clipped nor rounded.
    data_range : float
        The peak: 255 for 8-bit samples, 1 for samples in [0, 1].

    Returns
    -------
    float
        10 log10(data_range^2 / MSE) in dB; infinite if the arrays are equal.

    Raises
    ------
    ShapeError
        If the shapes differ, or samples are missing, not real numbers or not finite.
    ConfigError
        If `data_range` is not a positive number.

    Notes
    -----
    For many pictures, average the dB values, not the errors, as all published tables do.
    Source: definition shared by BasicSR, scikit-image and MATLAB's `psnr`.

    Examples
    --------
    >>> black = np.zeros((8, 8, 3), np.uint8)
    >>> round(psnr(black, black + 1, data_range=255), 4)
    48.1308
    """
    restored, wanted = float_pair(prediction, target, data_range)
    error = float(np.mean(np.square(restored - wanted)))
    return math.inf if error == 0 else 20 * math.log10(data_range) - 10 * math.log10(error)
