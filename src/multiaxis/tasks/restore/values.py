"""Numbers of pictures in Python's hands: to floats in [0, 1], and back."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from multiaxis.errors import ShapeError
from multiaxis.images import from_unit, to_unit

_TOLERANCE = 1e-3  # how far floats may lie outside [0, 1]: rounding, not another scale


def unit_tensor(values: Tensor) -> Tensor:
    """Give a tensor of uint8, or of floats in [0, 1], as float32 in [0, 1]; refuse any other."""
    if values.is_floating_point():
        values = values.float()
        _check_range(float(values.min()), float(values.max()))
        return values
    if values.dtype != torch.uint8:
        raise ShapeError(f"received values of type {values.dtype}: accepted are uint8 and floats")
    return values.float() / 255


def _check_range(low: float, high: float) -> None:
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ShapeError("the picture holds NaN or infinite values: replace them first")
    if low < -_TOLERANCE or high > 1 + _TOLERANCE:
        raise ShapeError(
            f"received floats from {low:g} to {high:g}: accepted is the range 0 to 1; divide "
            "by 255 or 65535, or clip"
        )


def like(values: NDArray[np.float32], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Clip, and round to whole numbers where the picture came in such."""
    return from_unit(values, np.float32 if dtype.kind == "f" else dtype).astype(dtype, copy=False)


def unit_values(array: NDArray[Any]) -> NDArray[np.float32]:
    """Give an array of uint8, uint16, or of floats in [0, 1], as float32; refuse any other."""
    if array.dtype.kind == "f":
        _check_range(float(array.min()), float(array.max()))
        return array.astype(np.float32)
    if array.dtype.name not in ("uint8", "uint16"):
        raise ShapeError(
            f"received values of type {array.dtype}: accepted are uint8, uint16 and floats"
        )
    return to_unit(array)
