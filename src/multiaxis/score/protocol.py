"""Scoring protocols: which samples a published table compares, and how, as data."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from multiaxis.errors import ConfigError, ShapeError, unknown
from multiaxis.images import from_unit
from multiaxis.score._check import finite_floats, same_shape
from multiaxis.score.luma import check_rgb8, luma_matlab, luma_opencv, luma_unrounded
from multiaxis.score.psnr import psnr
from multiaxis.score.ssim import SSIM_KINDS, ssim


def _rgb(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return picture


CHANNELS: dict[str, Callable[[NDArray[np.uint8]], NDArray[Any]]] = {
    "rgb": _rgb,
    "y": luma_matlab,
    "y-unrounded": luma_unrounded,
    "y-opencv": luma_opencv,
}


@dataclass(frozen=True)
class Protocol:
    """The rule by which one family of benchmarks is scored; peak 255, no border cropped.

    Attributes
    ----------
    name : str
        What users write.
    summary : str
        The rule in one line.
    source : str
        The evaluation code that fixed it.
    channel : str
        A name in `CHANNELS`: what both scores are taken on.
    ssim : str
        A name in `SSIM_KINDS`.
    psnr_from : {"file", "floats"}
        Take PSNR on the saved 8-bit file, or on the float prediction as it left the network.
    """

    name: str
    summary: str
    source: str
    channel: str = "rgb"
    ssim: str = "gaussian"
    psnr_from: Literal["file", "floats"] = "file"

    def __post_init__(self) -> None:
        if self.channel not in CHANNELS:
            raise unknown("channel", self.channel, CHANNELS)
        if self.ssim not in SSIM_KINDS:
            raise unknown("SSIM kind", self.ssim, SSIM_KINDS)
        if self.psnr_from not in ("file", "floats"):
            raise unknown("source of PSNR", self.psnr_from, ("file", "floats"))
        if self.psnr_from == "floats" and self.channel != "rgb":
            raise ConfigError(
                f"protocol {self.name!r} wants PSNR from floats on channel {self.channel!r};"
                " luma is defined on 8-bit files: use channel 'rgb' or psnr_from 'file'"
            )


_ROWS = (
    Protocol(
        "authors",
        "RGB; PSNR on the float prediction x 255, neither clipped nor rounded. The authors' code"
        " has no SSIM: here per channel on the 8-bit file, Gaussian 11x11",
        "google-research/maxim, maxim/run_eval.py (PSNR only)",
        psnr_from="floats",
    ),
    Protocol(
        "rgb",
        "RGB of the 8-bit file; SSIM per channel, Gaussian 11x11",
        "XPixelGroup/BasicSR, metrics/psnr_ssim.py; scikit-image with gaussian_weights=True",
    ),
    Protocol(
        "rgb-volume",
        "RGB of the 8-bit file; SSIM as MATLAB takes H x W x 3, a volume: SIDD, GoPro, HIDE",
        # for SIDD that script reads clipped floats instead of a file
        "swz30/MPRNet and swz30/Restormer, evaluate_SIDD.m and evaluate_GOPRO_HIDE.m",
        ssim="volume",
    ),
    Protocol(
        "y",
        "MATLAB luma of the 8-bit file, rounded; SSIM Gaussian 11x11: the deraining sets",
        "swz30/MPRNet and swz30/Restormer, Deraining/evaluate_PSNR_SSIM.m",
        channel="y",
    ),
    Protocol(
        "y-unrounded",
        "MATLAB luma of the 8-bit file, not rounded; SSIM Gaussian 11x11",
        "XPixelGroup/BasicSR, metrics/psnr_ssim.py with test_y_channel=True",
        channel="y-unrounded",
    ),
    Protocol(
        "y-opencv",
        "OpenCV full-range luma of the 8-bit file; SSIM uniform 7x7: Raindrop",
        "rui1996/DeRaindrop, metrics.py",
        channel="y-opencv",
        ssim="uniform",
    ),
    Protocol(
        "rgb-uniform",
        "RGB of the 8-bit file; SSIM per channel, uniform 7x7",
        "scikit-image, structural_similarity with its defaults",
        ssim="uniform",
    ),
)

PROTOCOLS: dict[str, Protocol] = {row.name: row for row in _ROWS}


@dataclass(frozen=True)
class Score:
    """PSNR in dB (infinite for equal pictures) and SSIM (at most 1) of one pair, or their means."""

    psnr: float
    ssim: float


def get_protocol(name: str) -> Protocol:
    """Return the protocol of that name.

    Raises
    ------
    ConfigError
        If there is none; the message lists those there are.

    Examples
    --------
    >>> get_protocol("y-opencv").ssim
    'uniform'
    """
    if name not in PROTOCOLS:
        raise unknown("protocol", name, PROTOCOLS)
    return PROTOCOLS[name]


def score_pair(prediction: NDArray[Any], target: NDArray[np.uint8], protocol: Protocol) -> Score:
    """Score one restored picture against its target.

    Parameters
    ----------
    prediction : float or uint8 array, shape (height, width, 3)
        RGB; floats in the [0, 1] scale, possibly beyond it, as the network returns them.
    target : uint8 array, shape (height, width, 3)
        RGB in [0, 255].
    protocol : Protocol
        One of `PROTOCOLS`, or one of your own.

    Returns
    -------
    Score
        PSNR in dB and SSIM.

    Raises
    ------
    ShapeError
        If an array has another shape or dtype, is smaller than the window of SSIM, or is not
        finite.

    Examples
    --------
    >>> grey = np.full((16, 16, 3), 128, np.uint8)
    >>> score_pair(grey, grey, PROTOCOLS["y"])
    Score(psnr=inf, ssim=1.0)
    """
    prediction, target = np.asarray(prediction), np.asarray(target)
    check_rgb8("target", target)
    if prediction.dtype != np.uint8 and prediction.dtype.kind != "f":
        raise ShapeError(
            f"prediction has dtype {prediction.dtype}; it must be uint8, or float in the [0, 1]"
            " scale: divide other integers by their peak"
        )
    same_shape(prediction, target)
    floats = finite_floats("prediction", prediction)
    # the very rounding of the file writer
    saved = prediction if prediction.dtype == np.uint8 else from_unit(floats, np.uint8)
    restored, wanted = (CHANNELS[protocol.channel](picture) for picture in (saved, target))
    # a uint8 prediction is its own file: there are no floats to keep apart
    from_floats = protocol.psnr_from == "floats" and prediction.dtype != np.uint8
    measured = floats * 255 if from_floats else restored
    return Score(
        psnr(measured, wanted, data_range=255),
        ssim(restored, wanted, data_range=255, kind=protocol.ssim),
    )
