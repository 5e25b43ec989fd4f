"""What learns to tell made pictures from real ones."""

from __future__ import annotations

import math

import torch.nn.functional as F  # noqa: N812 (the name everyone uses)
from torch import Tensor, nn

from multiaxis.errors import ConfigError, ShapeError
from multiaxis.tasks.generate.config import DiscriminatorConfig

_SLOPE = 0.2  # of leaky ReLUs below zero


class ResidualBlock(nn.Module):
    """Two convolutions beside a shortcut; both halve the map."""

    def __init__(self, before: int, channels: int) -> None:
        super().__init__()
        self.first = _conv(before, before, 3)
        self.second = _conv(before, channels, 3)
        self.shortcut = _conv(before, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (batch, before, height, width) to half the sides."""
        y = F.leaky_relu(self.first(x), _SLOPE)
        y = F.avg_pool2d(F.leaky_relu(self.second(y), _SLOPE), 2)
        return (y + self.shortcut(F.avg_pool2d(x, 2))) / math.sqrt(2)


class Discriminator(nn.Module):
    """A residual network down to a small map, and two layers on it.

    Source: Karras et al., StyleGAN2 (2020), appendix; HiT's takes averages instead of blurs, and
    neither equalised learning rates nor statistics of the batch.

    Parameters
    ----------
    config : DiscriminatorConfig
    size : int
        Side of the pictures, pixels.

    Raises
    ------
    ConfigError
        If the pictures cannot be halved as often as the widths ask for.
    """

    def __init__(self, config: DiscriminatorConfig, size: int) -> None:
        super().__init__()
        halvings = len(config.widths) - 1
        if size % 2**halvings:
            raise ConfigError(
                f"a discriminator of {len(config.widths)} widths halves pictures {halvings} times, "
                f"which {size} pixels do not allow: give it fewer widths"
            )
        self.size = size
        first, last = config.widths[0], config.widths[-1]
        self.from_rgb = _conv(3, first, 1)
        pairs = zip(config.widths, config.widths[1:], strict=False)
        self.residual = nn.Sequential(*(ResidualBlock(a, b) for a, b in pairs))
        self.conv = _conv(last, last, 3)
        self.hidden = nn.Linear((size >> halvings) ** 2 * last, last)
        self.logit = nn.Linear(last, 1)
        for layer in (self.hidden, self.logit):
            _start(layer)

    def forward(self, pictures: Tensor) -> Tensor:
        """Give a logit for each picture, the greater the more it seems real: (batch,).

        Parameters
        ----------
        pictures : Tensor, shape (batch, 3, size, size)
            sRGB, -1 to 1.

        Raises
        ------
        ShapeError
            If they have another shape.
        """
        if pictures.shape[1:] != (3, self.size, self.size):
            raise ShapeError(
                f"received pictures of shape {tuple(pictures.shape)}: accepted is (batch, 3, "
                f"{self.size}, {self.size})"
            )
        x = F.leaky_relu(self.from_rgb(pictures), _SLOPE)
        x = F.leaky_relu(self.conv(self.residual(x)), _SLOPE)
        return self.logit(F.leaky_relu(self.hidden(x.flatten(1)), _SLOPE))[:, 0]


def _conv(before: int, channels: int, kernel: int, *, bias: bool = True) -> nn.Conv2d:
    layer = nn.Conv2d(before, channels, kernel, padding=kernel // 2, bias=bias)
    _start(layer)
    return layer


def _start(layer: nn.Conv2d | nn.Linear) -> None:
    nn.init.kaiming_normal_(layer.weight, a=_SLOPE)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
