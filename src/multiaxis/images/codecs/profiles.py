"""Colours from one profile to another, by littleCMS inside libvips."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from multiaxis.images.codecs.libvips import BLOBS, FAILURES, new_image, refusal, set_blob


def to_srgb(samples: NDArray[np.uint16], icc: bytes) -> NDArray[np.uint16]:
    """Convert RGB samples in a profile to sRGB, by relative colorimetry.

    Parameters
    ----------
    samples : array of uint16, shape (height, width, 3)
    icc : bytes

    Raises
    ------
    CodecError
        If the profile cannot be used.
    """
    return _through_lab(samples, {"embedded": True}, icc, {"output_profile": "srgb"})


def from_srgb(samples: NDArray[np.uint16], icc: bytes) -> NDArray[np.uint16]:
    """Convert sRGB samples to a profile; as `to_srgb`."""
    return _through_lab(samples, {"input_profile": "srgb"}, icc, {})


def _through_lab(
    samples: NDArray[np.uint16], source: dict[str, Any], icc: bytes, target: dict[str, Any]
) -> NDArray[np.uint16]:
    try:
        image = new_image(samples, "rgb16")
        if source.get("embedded"):
            set_blob(image, BLOBS["icc"], icc)
        image = image.icc_import(intent="relative", **source)
        if not target:  # what is embedded is what is exported to
            image = image.copy()
            set_blob(image, BLOBS["icc"], icc)
        found: NDArray[Any] = image.icc_export(intent="relative", depth=16, **target).numpy()
    except FAILURES as error:
        raise refusal() from error
    return found.reshape(samples.shape)
