"""From a decoder's logits to a picture's pixels, a strip of rows at a time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_STRIP = 1 << 22  # values that are made at once


def strips(
    logits: Tensor, level: int, shown: tuple[int, int], wanted: tuple[int, int]
) -> Iterator[tuple[slice, Tensor]]:
    """Interpolate (bilinear) the logits of a picture to its pixels.

    Parameters
    ----------
    logits : Tensor, shape (classes, height, width)
        At the decoder's level.
    level : int
    shown : (int, int)
        Sides of the picture as the model saw it.
    wanted : (int, int)
        Sides of the result.

    Yields
    ------
    rows : slice
        Of the result.
    values : Tensor, shape (classes, rows, wanted[1])
    """
    ratios = [side / (new * 2**level) for side, new in zip(shown, wanted, strict=True)]
    tops = _places(wanted[0], ratios[0], logits.shape[1], logits.device)
    lefts = _places(wanted[1], ratios[1], logits.shape[2], logits.device)
    rows = max(1, _STRIP // (logits.shape[0] * wanted[1]))
    for first in range(0, wanted[0], rows):
        part = slice(first, min(first + rows, wanted[0]))
        before, after, share = (x[part] for x in tops)
        share = share[:, None].to(logits.dtype)
        some = torch.lerp(logits[:, before], logits[:, after], share.expand_as(logits[:, before]))
        before, after, share = lefts
        share = share.to(logits.dtype).expand(*some.shape[:2], -1)
        yield part, torch.lerp(some[:, :, before], some[:, :, after], share)


def strongest(
    logits: Tensor, level: int, shown: tuple[int, int], wanted: tuple[int, int]
) -> NDArray[np.unsignedinteger]:
    """Name the class with the greatest logit in each pixel; arguments are those of `strips`.

    Returns
    -------
    array of uint8, of uint16 beyond 256 classes, shape (height, width)
    """
    labels = np.empty(wanted, np.uint8 if logits.shape[0] <= 256 else np.uint16)
    kept = torch.uint8 if logits.shape[0] <= 256 else torch.int32
    for rows, values in strips(logits, level, shown, wanted):
        # An index has 8 bytes: it is narrowed before it leaves the device.
        labels[rows] = values.argmax(dim=0).to(kept).cpu().numpy()
    return labels


def _places(
    count: int, ratio: float, given: int, device: torch.device
) -> tuple[Tensor, Tensor, Tensor]:
    """Give for each of `count` pixels the two that it lies between, and how far from the first."""
    centres = (torch.arange(count, dtype=torch.float64, device=device) + 0.5) * ratio - 0.5
    centres = centres.clamp(0, given - 1)
    before = centres.floor().long()
    return before, (before + 1).clamp(max=given - 1), centres - before
