"""Detectors that a test can afford, and pictures of coloured shapes for them."""

from __future__ import annotations

from dataclasses import replace

import torch

from multiaxis.models.maxvit import MaxViTConfig
from multiaxis.models.pyramid import PyramidConfig
from multiaxis.tasks.detect.networks.config import (
    AnchorConfig,
    DetectorConfig,
    MaskConfig,
    ProposalConfig,
    RegionConfig,
    RetinaConfig,
)
from multiaxis.tasks.detect.networks.network import DetectionNetwork

BODY = MaxViTConfig(
    stem_widths=(8, 8),
    depths=(1, 1, 1, 1),
    widths=(8, 16, 16, 16),
    head_dim=8,
    window_size=4,
    num_classes=0,
    expansion_rate=2,
    bn_momentum=0.1,
)
RETINA = DetectorConfig(
    classes=3,
    backbone=BODY,
    pyramid=PyramidConfig(levels=(3, 6), channels=16, bn_momentum=0.1),
    anchors=AnchorConfig(scales=1),
    head=RetinaConfig(convs=1),
    norm="group",
    most=20,
    score=1e-4,
)
REGIONS = RegionConfig(
    proposals=ProposalConfig(convs=1, before=(60, 60), kept=(40, 40)),
    ious=(0.5,),
    samples=32,
    convs=1,
    width=16,
    hidden=(32,),
    masks=MaskConfig(convs=1, width=16, samples=16, size=8),
)
FASTER = replace(RETINA, head=replace(REGIONS, masks=None))
MASK = replace(RETINA, head=REGIONS)
CASCADE = replace(RETINA, head=replace(REGIONS, ious=(0.6, 0.7)), norm="batch")
KINDS = {"retina": RETINA, "faster": FASTER, "mask": MASK, "cascade": CASCADE}


def detector(config: DetectorConfig, seed: int = 0) -> DetectionNetwork:
    """Build a network whose outputs are not all alike."""
    torch.manual_seed(seed)
    network = DetectionNetwork(config)
    with torch.no_grad():
        for parameter in network.head.parameters():
            if parameter.ndim > 1:
                parameter.mul_(3)
    return network


def shapes(
    count: int, size: tuple[int, int] = (96, 96), seed: int = 0
) -> tuple[list[torch.Tensor], list[dict[str, torch.Tensor]]]:
    """Draw pictures with a red square, a green disc or a blue bar or two of them, and targets."""
    random = torch.Generator().manual_seed(seed)

    def draw(low: int, high: int) -> int:
        return int(torch.randint(low, high, (), generator=random))

    pictures, targets = [], []
    y, x = torch.meshgrid(torch.arange(size[0]), torch.arange(size[1]), indexing="ij")
    for number in range(count):
        picture = torch.rand(3, *size, generator=random) * 0.1 + 0.4
        boxes, labels, masks = [], [], []
        for place in range(1 + number % 2):
            label, side = 1 + draw(0, 3), draw(min(size) // 5, min(size) // 3)
            wide = side if label < 3 else side * 3 // 2
            left = draw(0, size[1] // 2 - wide + 1) + place * (size[1] // 2)
            top = draw(0, size[0] - side)
            mask = (x >= left) & (x < left + wide) & (y >= top) & (y < top + side)
            if label == 2:
                centre = (left + (side - 1) / 2, top + (side - 1) / 2)
                mask &= (x - centre[0]) ** 2 + (y - centre[1]) ** 2 <= (side / 2) ** 2
            for channel in range(3):
                picture[channel][mask] = 0.95 if channel == label - 1 else 0.05
            boxes.append([left, top, left + wide, top + side])
            labels.append(label)
            masks.append(mask)
        pictures.append(picture)
        targets.append(
            {
                "boxes": torch.tensor(boxes, dtype=torch.float32),
                "labels": torch.tensor(labels),
                "masks": torch.stack(masks),
            }
        )
    return pictures, targets
