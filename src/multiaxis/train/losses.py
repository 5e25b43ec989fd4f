"""What a prediction costs."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 (the name everyone uses)
from torch import Tensor


def charbonnier(x: Tensor, target: Tensor, epsilon: float = 1e-3) -> Tensor:
    """Mean of sqrt((x - target)^2 + epsilon^2)."""
    return torch.sqrt((x - target).square() + epsilon**2).mean()


def frequency(x: Tensor, target: Tensor) -> Tensor:
    """Mean absolute difference of the 2D Fourier transforms' real and imaginary parts.

    The transform is not normalised. MAXIM's paper writes a 1-norm; that the mean is meant is our
    reading (its code has no training).
    """
    difference = torch.fft.rfft2((x - target).float())
    return torch.view_as_real(difference).abs().mean()


def multi_scale(
    outputs: list[list[Tensor]], target: Tensor, *, weight: float, epsilon: float
) -> Tensor:
    """Charbonnier and frequency loss, summed over stages and scales (MAXIM, section 4.1).

    Parameters
    ----------
    outputs : list of list of Tensor
        ``outputs[stage][scale]``, (batch, channels, height, width) each.
    target : Tensor
        At full size; shrunk bilinearly, with antialiasing, to each scale.
    weight : float
        Of the frequency loss.
    epsilon : float
        Of the Charbonnier loss.
    """
    total = target.new_zeros(())
    for picture in (picture for stage in outputs for picture in stage):
        wanted = target
        if picture.shape[-2:] != target.shape[-2:]:
            size = list(picture.shape[-2:])
            wanted = F.interpolate(target, size, mode="bilinear", antialias=True)
        total = total + charbonnier(picture, wanted, epsilon)
        if weight:
            total = total + weight * frequency(picture, wanted)
    return total
