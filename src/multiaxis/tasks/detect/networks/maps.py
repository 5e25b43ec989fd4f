"""What heads look at: a backbone and its pyramid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from torch import Tensor, nn

from multiaxis.models.fpn import PyramidBackbone
from multiaxis.models.maxvit.backbone import Backbone
from multiaxis.models.maxvit.config import MaxViTConfig
from multiaxis.tasks.detect.networks.config import DetectorConfig
from multiaxis.tasks.detect.networks.parts import resnet18


class ResNetMaps(nn.Module):
    """torchvision's ResNet-18, from scratch, as a pyramid's backbone."""

    def __init__(self) -> None:
        super().__init__()
        whole = resnet18(weights=None)
        self.stem = nn.Sequential(whole.conv1, whole.bn1, whole.relu)
        self.stages = nn.ModuleList(
            (
                nn.Sequential(whole.maxpool, whole.layer1),
                whole.layer2,
                whole.layer3,
                whole.layer4,
            )
        )
        self.pyramid_channels = (64, 64, 128, 256, 512)
        self.pyramid_strides = (2, 4, 8, 16, 32)

    def forward_pyramid(self, x: Tensor, levels: Sequence[int] | None = None) -> list[Tensor]:
        """Give the maps of (batch, 3, height, width), as `MaxViT.forward_pyramid`."""
        maps = [self.stem(x)]
        for stage in self.stages:
            maps.append(stage(maps[-1]))
        return [maps[level] for level in (levels or range(len(maps)))]


def build_maps(config: DetectorConfig) -> PyramidBackbone:
    """Build a detector's backbone and its pyramid."""
    body, (first, last) = config.backbone, config.pyramid.levels
    if not isinstance(body, MaxViTConfig):
        return PyramidBackbone(ResNetMaps(), config.pyramid)
    # Level n has the stride 2 ** n; the stem's map is level 1.
    wanted = tuple(n for n in range(len(body.depths) + 1) if first <= n + 1 <= last)
    return PyramidBackbone(Backbone(replace(body, out_indices=wanted)), config.pyramid)
