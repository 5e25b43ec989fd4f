"""A predictor and the denoiser of its residuals, as a training moves them."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from multiaxis.models.maxim.network import Maxim
from multiaxis.tasks.restore.refine.config import COLOURS, DenoiserConfig, RefinerConfig
from multiaxis.tasks.restore.refine.diffusion import noise_of, noisy, velocity
from multiaxis.tasks.restore.refine.unet import Unet


class RefinerNet(nn.Module):
    """Both networks of predict and refine.

    Parameters
    ----------
    predictor : Maxim
        Restores pictures.
    config : RefinerConfig
        `config.predictor` is the predictor's.

    Attributes
    ----------
    config : RefinerConfig
    predictor : Maxim
    denoiser : Maxim or Unet
    """

    def __init__(self, predictor: Maxim, config: RefinerConfig) -> None:
        super().__init__()
        self.config, self.predictor = config, predictor
        is_unet = config.denoiser.kind == "unet"
        self.denoiser = Unet(config.denoiser) if is_unet else Maxim(config.denoiser.maxim)

    def forward(
        self, degraded: Tensor, target: Tensor, noise: Tensor, level: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Restore, and tell noise and residual of what was restored apart.

        Gradients reach the predictor through the residual, unless it is frozen; never through the
        prediction that the denoiser may see.

        Parameters
        ----------
        degraded, target : Tensor, shape (batch, 3, height, width)
            Values in [0, 1].
        noise : Tensor, of that shape
            Standard normal.
        level : Tensor, shape (batch,)
            As in `diffusion`.

        Returns
        -------
        predicted, told, wanted : Tensor, of that shape
            The restored picture, what the denoiser tells, and what is right.
        """
        predicted = self.predictor(degraded)
        residual = self.config.denoiser.scale * (target - predicted)
        shares = level[:, None, None, None]
        z = noisy(residual, noise, shares)
        shown = (degraded.movedim(1, -1), predicted.detach().movedim(1, -1))
        seen = see(z.movedim(1, -1), *shown, level, self.config.denoiser)
        answer = self.denoiser(seen.movedim(-1, 1))
        told = answer[:, :COLOURS]
        if self.config.denoiser.tells == "noise":
            return predicted, told, noise
        return predicted, told - z, velocity(residual, noise, shares)

    def blocks(self) -> Iterator[nn.Module]:
        """Give the blocks, which a training compiles one by one."""
        yield from (*self.predictor.blocks(), *self.denoiser.blocks())

    def set_grad_checkpointing(self, enable: bool = True) -> None:  # noqa: FBT001, FBT002 (timm's)
        """Recompute each block in the backward pass instead of keeping its maps."""
        self.predictor.set_grad_checkpointing(enable)
        self.denoiser.set_grad_checkpointing(enable)


def see(
    z: Tensor, degraded: Tensor, predicted: Tensor, level: Tensor, config: DenoiserConfig
) -> Tensor:
    """Put together what a denoiser sees.

    Parameters
    ----------
    z : Tensor, shape (batch, height, width, 3)
        Noisy residuals.
    degraded, predicted : Tensor, of that shape
        Values in [0, 1].
    level : Tensor, shape (batch,)
    config : DenoiserConfig
        A U-Net sees the noise's share in one plane, and makes waves of it itself.

    Returns
    -------
    Tensor, shape (batch, height, width, config.colours + planes)
    """
    told = (1 - level).sqrt()[:, None]
    if config.kind == "maxim":
        waves = 2.0 ** torch.arange(config.planes, device=level.device, dtype=level.dtype)
        told = torch.cos(math.pi * waves * told)
    planes = told[:, None, None].expand(*z.shape[:3], told.shape[1])
    pictures = (degraded, predicted) if config.shown else (degraded,)
    return torch.cat([z, *(2 * x - 1 for x in pictures), planes.to(z.dtype)], dim=-1)


def tell(answer: Tensor, z: Tensor, level: float, config: DenoiserConfig) -> Tensor:
    """Take the noise out of a denoiser's answer, (batch, height, width, channels).

    Networks start by answering z. Told as a velocity, that is no residual and no noise either, but
    the best guess about residuals of the noise's size: their share of z.
    """
    told = answer[..., :COLOURS]
    return told if config.tells == "noise" else noise_of(z, told - z, level)
