"""What every score asks of its two arrays."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from multiaxis.errors import ConfigError, ShapeError

FloatArray = NDArray[np.float64]


def finite_floats(role: str, values: NDArray[Any]) -> FloatArray:
    """Return an array of real numbers in float64, or say why it cannot be scored.

    Parameters
    ----------
    role : str
        What the array is, for the message, such as ``"prediction"``.
    values : array of any shape
        Integers or floats; not empty, no NaN and no infinity.

    Raises
    ------
    ShapeError
        If the array is empty, is not of real numbers, or is not finite everywhere.
    """
    array = np.asarray(values)
    if array.dtype.kind not in "uif":
        raise ShapeError(
            f"{role} has dtype {array.dtype}; scores take integers or floats: convert it first"
        )
    if array.size == 0:
        raise ShapeError(f"{role} has shape {array.shape}, so no samples; give at least one pixel")
    floats = array.astype(np.float64)
    if not np.isfinite(floats).all():
        count = int(array.size - np.isfinite(floats).sum())
        raise ShapeError(
            f"{role} has {count} NaN or infinite samples of {array.size}; scores take finite"
            " samples: look for the step that made them (half precision is the usual one)"
        )
    return floats


def same_shape(prediction: NDArray[Any], target: NDArray[Any]) -> None:
    """Raise `ShapeError` unless the two arrays have one shape."""
    if prediction.shape != target.shape:
        raise ShapeError(
            f"prediction has shape {prediction.shape}, target {target.shape}; the two must agree:"
            " crop or transpose one of them (channels come last)"
        )


def float_pair(
    prediction: NDArray[Any], target: NDArray[Any], data_range: float
) -> tuple[FloatArray, FloatArray]:
    """Return both arrays in float64 after every check that all scores share.

    Raises
    ------
    ShapeError
        If the shapes differ, or either array cannot be scored (see `finite_floats`).
    ConfigError
        If `data_range` is not a positive number.
    """
    if not (math.isfinite(data_range) and data_range > 0):
        raise ConfigError(
            f"data_range is {data_range}; it must be positive: 255 for 8-bit samples, 1 for [0, 1]"
        )
    pair = finite_floats("prediction", prediction), finite_floats("target", target)
    same_shape(*pair)
    return pair
