"""Layers that the heads share."""

from __future__ import annotations

import torch.nn.functional as F  # noqa: N812 (the name everyone uses)
from torch import Tensor, nn

from multiaxis.tasks.detect.networks.config import DetectorConfig

_GROUP = 8  # channels; at 256 these are the 32 groups of Wu and He, 2018


def norm(config: DetectorConfig, channels: int, *, is_map: bool = True) -> nn.Module:
    """Build a norm over maps, or over vectors, with the constants of the pyramid's."""
    if config.norm == "none":
        return nn.Identity()
    if config.norm == "batch":
        pyramid, kind = config.pyramid, nn.BatchNorm2d if is_map else nn.BatchNorm1d
        return kind(channels, eps=pyramid.bn_epsilon, momentum=pyramid.bn_momentum)
    groups = next(n for n in range(max(channels // _GROUP, 1), 0, -1) if channels % n == 0)
    return nn.GroupNorm(groups, channels)


class Tower(nn.Module):
    """Convolutions that all levels share, each with a norm; batch norms are the level's own.

    Levels differ in their statistics: one batch norm for all would fit none of them.

    Parameters
    ----------
    config : DetectorConfig
    convs, levels : int
    """

    def __init__(self, config: DetectorConfig, convs: int, levels: int) -> None:
        super().__init__()
        channels, has_bias = config.pyramid.channels, config.norm == "none"
        self.convs = nn.ModuleList(
            nn.Conv2d(channels, channels, 3, padding=1, bias=has_bias) for _ in range(convs)
        )
        count = levels if config.norm == "batch" else 1
        self.norms = nn.ModuleList(
            nn.ModuleList(norm(config, channels) for _ in range(convs)) for _ in range(count)
        )
        for conv in self.convs:
            start(conv, 0.01)

    def forward(self, x: Tensor, level: int) -> Tensor:
        """Convolve the map of a level, (batch, channels, height, width)."""
        norms = self.norms[level if len(self.norms) > 1 else 0]
        for conv, norm in zip(self.convs, norms, strict=True):  # pyright: ignore[reportArgumentType] (a ModuleList)
            x = F.relu(norm(conv(x)))
        return x


def start(layer: nn.Module, std: float) -> nn.Module:
    """Start a layer with normal weights and no bias."""
    if isinstance(layer, nn.Conv2d | nn.Linear):
        nn.init.normal_(layer.weight, std=std)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
    return layer
