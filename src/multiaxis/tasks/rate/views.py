"""What of a picture a rater looks at: all of it resized, its sharpest tiles, classical numbers."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from multiaxis.devices import check_finite, full_precision
from multiaxis.errors import ShapeError
from multiaxis.memory import refusing
from multiaxis.tasks.rate.config import HeadConfig
from multiaxis.tasks.rate.network import ClosenessNet, RatingNet
from multiaxis.tasks.rate.statistics import measure

Pixels = NDArray[np.uint8]
_TILES, _COMPARED = 2, 6  # tiles that are looked at
_LEAST = 32  # pixels of a side that a model sees
_MOST_OBLONG = 100  # times as long as wide


def describe(network: RatingNet, pixels: Pixels) -> Tensor:
    """Describe a picture as a rater's head takes it: all views side by side.

    Parameters
    ----------
    network : RatingNet
        In evaluation.
    pixels : array of uint8, shape (height, width, 3)
        sRGB, upright.

    Returns
    -------
    Tensor, shape (width of the head,)
        In float32, on the processor.

    Raises
    ------
    ShapeError
        If one side is more than 100 times the other.
    """
    check_shape(pixels)
    head, parts = network.config.head, list[Tensor]()
    for view in head.views:
        if view == "statistics":
            parts.append(torch.from_numpy(measure(pixels)))
            continue
        shown = [whole(pixels, head.size)] if view == "whole" else sharpest(pixels, head.size)
        with _calculating(network.head.weight, head.size):
            found = [network.features(prepared(x, head, network.head.weight))[0] for x in shown]
        made = torch.stack(found).mean(dim=0).float().cpu()
        parts.append(check_finite(made, network.head.weight.dtype))
    return torch.cat(parts)


def check_shape(pixels: NDArray[Any]) -> None:
    """Refuse what would be a line when it is resized."""
    height, width = pixels.shape[:2]
    if max(height, width) > _MOST_OBLONG * min(height, width):
        raise ShapeError(
            f"received a picture of {width}x{height}: accepted are sides that differ by "
            f"{_MOST_OBLONG} times at most, so cut the part out that matters"
        )


def prepared(pixels: Pixels, head: HeadConfig, like: Tensor) -> Tensor:
    """Normalise a picture: (1, 3, height, width), of the dtype and on the device of `like`."""
    # Written anew: Pillow's arrays are not writable, and tiles are no whole rows.
    x = torch.from_numpy(np.array(pixels, np.float32)).permute(2, 0, 1)[None] / 255
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (head.mean, head.std))
    return ((x - mean) / std).to(like.device, like.dtype)


def whole(pixels: Pixels, side: int) -> Pixels:
    """Resize to the area of a square, shape kept."""
    height, width = pixels.shape[:2]
    factor = side / (height * width) ** 0.5
    rows, columns = (max(_LEAST, round(n * factor)) for n in (height, width))
    if (rows, columns) == (height, width):
        return pixels
    image = Image.fromarray(pixels)
    return np.asarray(image.resize((columns, rows), Image.Resampling.BICUBIC))


def sharpest(pixels: Pixels, side: int) -> list[Pixels]:
    """Cut out the tiles of most contrast between neighbours, at the picture's own size."""
    if min(pixels.shape[:2]) < side:
        return [whole(pixels, side)]
    return [pixels[rows, columns] for rows, columns in places(pixels, side, _TILES)]


def places(pixels: Pixels, side: int, most: int) -> list[tuple[slice, slice]]:
    """Find the tiles of most contrast between neighbours; all of a picture that is smaller."""
    height, width = pixels.shape[:2]
    if min(height, width) < side:
        return [(slice(0, height), slice(0, width))]
    grey = np.asarray(Image.fromarray(pixels).convert("L"), np.int16)
    rows, columns = height // side, width // side
    inner = grey[: rows * side, : columns * side]
    change = np.abs(np.diff(inner, axis=1, append=inner[:, -1:]))
    change += np.abs(np.diff(inner, axis=0, append=inner[-1:]))
    tiles = change.reshape(rows, side, columns, side).mean(axis=(1, 3)).ravel()
    found = [int(k) for k in np.argsort(-tiles, kind="stable")[:most]]
    corners = [((k // columns) * side, (k % columns) * side) for k in found]
    return [(slice(top, top + side), slice(left, left + side)) for top, left in corners]


def differences(network: ClosenessNet, reference: Pixels, picture: Pixels) -> Tensor:
    """Describe how a picture differs from its original, at their own size.

    Parameters
    ----------
    network : ClosenessNet
        In evaluation.
    reference, picture : array of uint8, shape (height, width, 3)

    Returns
    -------
    Tensor, shape (channels of all levels,)
        The mean over up to six tiles of most contrast; in float32, on the processor.

    Raises
    ------
    ShapeError
        If the sizes differ.
    """
    if reference.shape != picture.shape:
        (h, w), (rows, columns) = reference.shape[:2], picture.shape[:2]
        raise ShapeError(
            f"received an original of {w}x{h} and a picture of {columns}x{rows}: accepted are two "
            "of one size, so resize or crop one first"
        )
    check_shape(reference)
    head, found = network.config.head, list[Tensor]()
    for rows, columns in places(reference, head.size, _COMPARED):
        pair = (prepared(x[rows, columns], head, network.weight) for x in (reference, picture))
        with _calculating(network.weight, head.size):
            made = network.features(*pair)[0].float().cpu()
            found.append(check_finite(made, network.weight.dtype))
    return torch.stack(found).mean(dim=0)


@contextmanager
def _calculating(weight: Tensor, side: int) -> Generator[None]:
    """Calculate without gradients and exactly, and refuse what does not fit into the memory."""
    what = f"a view of {side} x {side} pixels: free memory, or use device='cpu'"
    with refusing(weight.device, what), torch.inference_mode(), full_precision():
        yield
