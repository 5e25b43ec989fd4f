"""Mixing the pictures of a batch, and their labels with them: MixUp and CutMix."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def mix_batch(
    pictures: Tensor, shares: Tensor, *, mixup: float, cutmix: float, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Mix each picture of a batch with its mirror partner, by MixUp or CutMix.

    Parameters
    ----------
    pictures : Tensor, shape (batch, channels, height, width)
    shares : Tensor, shape (batch, classes)
        How much of each class a picture shows.
    mixup, cutmix : float
        Parameters of the Beta distributions; 0 switches one off. With both, a coin decides.
    rng : Generator

    Returns
    -------
    pictures, shares : Tensor
        Mixed, both with the same weight.
    """
    if not (mixup or cutmix):
        return pictures, shares
    cuts = bool(cutmix) and (not mixup or rng.random() < 0.5)
    alpha = cutmix if cuts else mixup
    kept = float(rng.beta(alpha, alpha))
    partners = pictures.flip(0)
    if not cuts:
        return kept * pictures + (1 - kept) * partners, kept * shares + (1 - kept) * shares.flip(0)
    height, width = pictures.shape[-2:]
    h, w = (round(side * np.sqrt(1 - kept)) for side in (height, width))
    top, left = int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1))
    inside = torch.zeros(height, width, dtype=torch.bool, device=pictures.device)
    inside[top : top + h, left : left + w] = True
    kept = 1 - h * w / (height * width)
    mixed = torch.where(inside, partners, pictures)
    return mixed, kept * shares + (1 - kept) * shares.flip(0)
