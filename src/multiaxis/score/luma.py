"""The luma planes that published scores are taken on, from 8-bit RGB."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from multiaxis.errors import ShapeError

# BT.601 studio swing in thousandths, from 8-bit R, G, B: 16 + (65.481 R + ...) / 255
MATLAB_WEIGHTS = (65481, 128553, 24966)
# BT.601 full range (0.299, 0.587, 0.114) in steps of 2^-14, as OpenCV's color_yuv rounds them
OPENCV_WEIGHTS = (4899, 9617, 1868)
OPENCV_SHIFT = 14


def check_rgb8(role: str, picture: NDArray[Any]) -> None:
    """Raise `ShapeError` unless the array is 8-bit RGB: uint8, shape (height, width, 3)."""
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
        raise ShapeError(
            f"{role} has dtype {picture.dtype}, shape {picture.shape}; it must be uint8 of shape"
            " (height, width, 3): read it as 8-bit RGB"
        )


def _weighted(picture: NDArray[np.uint8], weights: tuple[int, int, int]) -> NDArray[np.int64]:
    check_rgb8("picture", picture)
    return picture.astype(np.int64) @ np.array(weights, np.int64)


def luma_unrounded(picture: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Y of MATLAB's `rgb2ycbcr` before rounding.

    Parameters
    ----------
    picture : uint8 array, shape (height, width, 3)
        RGB in [0, 255].

    Returns
    -------
    float64 array, shape (height, width)
        In [16, 235].

    Raises
    ------
    ShapeError
        If the picture is not 8-bit RGB.

    Notes
    -----
    Source: BasicSR `rgb2ycbcr`, which `calculate_psnr(test_y_channel=True)` uses.
    """
    return 16 + _weighted(picture, MATLAB_WEIGHTS) / 255000


def luma_matlab(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Y of MATLAB's `rgb2ycbcr` for an 8-bit picture, which rounds to 8 bits.

    Parameters
    ----------
    picture : uint8 array, shape (height, width, 3)
        RGB in [0, 255].

    Returns
    -------
    uint8 array, shape (height, width)
        In [16, 235].

    Raises
    ------
    ShapeError
        If the picture is not 8-bit RGB.

    Notes
    -----
    Source: `evaluate_PSNR_SSIM.m` of MPRNet and Restormer (deraining).
    """
    # in integers a half always rounds up, as MATLAB does; floats would leave it to chance
    return (16 + (_weighted(picture, MATLAB_WEIGHTS) + 127500) // 255000).astype(np.uint8)


def luma_opencv(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Full-range BT.601 luma, by OpenCV's fixed-point arithmetic.

    Parameters
    ----------
    picture : uint8 array, shape (height, width, 3)
        RGB in [0, 255].

    Returns
    -------
    uint8 array, shape (height, width)
        In [0, 255].

    Raises
    ------
    ShapeError
        If the picture is not 8-bit RGB.

    Notes
    -----
    Source: OpenCV `cvtColor(..., COLOR_RGB2YCrCb)`, channel 0; DeRaindrop's `metrics.py` uses it.
    """
    half = 1 << (OPENCV_SHIFT - 1)
    return ((_weighted(picture, OPENCV_WEIGHTS) + half) >> OPENCV_SHIFT).astype(np.uint8)
