"""RetinaNet's head: classes and boxes from every pixel of every level (Lin et al., 2017)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from multiaxis.tasks.detect.networks.anchors import Anchors
from multiaxis.tasks.detect.networks.boxes import (
    EMPTY,
    IGNORED,
    PictureTruth,
    box_loss,
    match,
    results,
)
from multiaxis.tasks.detect.networks.config import DetectorConfig, RetinaConfig
from multiaxis.tasks.detect.networks.layers import Tower, start
from multiaxis.tasks.detect.networks.parts import BoxCoder, sigmoid_focal_loss

_PRIOR = 0.01  # share of anchors with an object that the scores start from


class RetinaHead(nn.Module):
    """One stage.

    Parameters
    ----------
    config : DetectorConfig
    head : RetinaConfig
    strides : sequence of int
        Of the levels.
    """

    def __init__(self, config: DetectorConfig, head: RetinaConfig, strides: Sequence[int]) -> None:
        super().__init__()
        self.config, self.head = config, head
        self.anchors = Anchors(config.anchors, strides)
        width, count = config.pyramid.channels, config.anchors.count
        self.class_tower, self.box_tower = (
            Tower(config, head.convs, len(strides)) for _ in range(2)
        )
        self.classes = nn.Conv2d(width, count * config.classes, 3, padding=1)
        self.offsets = nn.Conv2d(width, count * 4, 3, padding=1)
        start(self.classes, 0.01)
        start(self.offsets, 0.01)
        nn.init.constant_(self.classes.bias, -math.log((1 - _PRIOR) / _PRIOR))  # pyright: ignore[reportArgumentType] (it has one)
        self.coder = BoxCoder((1.0, 1.0, 1.0, 1.0))

    def forward(
        self, maps: Sequence[Tensor], size: tuple[int, int], truths: Sequence[PictureTruth] | None
    ) -> dict[str, Tensor] | list[dict[str, Tensor]]:
        """Find objects, or say what was missed; arguments are those of `regions.Regions`.

        Returns
        -------
        dict of str to Tensor, shape (batch,)
            ``classes`` and ``boxes``, each by the number of the picture's filled anchors.
        list of dict
            What `results` gives for each picture.
        """
        logits = [
            _by_anchor(self.classes(self.class_tower(x, level)), self.config.classes)
            for level, x in enumerate(maps)
        ]
        offsets = [
            _by_anchor(self.offsets(self.box_tower(x, level)), 4) for level, x in enumerate(maps)
        ]
        anchors = self.anchors.on([(x.shape[-2], x.shape[-1]) for x in maps], maps[0].device)
        if truths is None:
            parts = anchors.split([level.shape[1] for level in logits])
            return [
                self._results([x[i] for x in logits], [x[i] for x in offsets], parts, size)
                for i in range(len(maps[0]))
            ]
        all_logits, all_offsets = torch.cat(logits, dim=1), torch.cat(offsets, dim=1)
        costs = [
            self._losses(*picture, anchors)
            for picture in zip(all_logits, all_offsets, truths, strict=True)
        ]
        return {name: torch.stack([cost[name] for cost in costs]) for name in costs[0]}

    def _losses(
        self, logits: Tensor, offsets: Tensor, truth: PictureTruth, anchors: Tensor
    ) -> dict[str, Tensor]:
        head = self.head
        objects, labels = match(anchors, truth, head.unmatched, head.matched, best=True)
        filled = torch.where(labels > EMPTY)[0]
        wanted = torch.zeros_like(logits)
        wanted[filled, labels[filled] - 1] = 1.0
        seen = labels != IGNORED
        focal = sigmoid_focal_loss(
            logits[seen].float(), wanted[seen].float(), head.alpha, head.gamma, reduction="sum"
        )
        goals = self.coder.encode_single(truth.boxes[objects[filled]], anchors[filled])
        return {
            "classes": focal / max(len(filled), 1),
            "boxes": box_loss(offsets[filled], goals, len(filled), head.loss),
        }

    def _results(
        self,
        logits: Sequence[Tensor],
        offsets: Sequence[Tensor],
        anchors: Sequence[Tensor],
        size: tuple[int, int],
    ) -> dict[str, Tensor]:
        """Pick a picture's results from its levels."""
        boxes: list[Tensor] = []
        scores: list[Tensor] = []
        labels: list[Tensor] = []
        for of_level, moved, start_boxes in zip(logits, offsets, anchors, strict=True):
            flat = of_level.float().sigmoid().flatten()
            candidates = torch.where(flat > self.config.score)[0]
            best = flat[candidates].topk(min(self.head.before, len(candidates)))
            places = candidates[best.indices]
            rows = places // self.config.classes
            boxes.append(self.coder.decode_single(moved[rows].float(), start_boxes[rows]))
            scores.append(best.values)
            labels.append(places % self.config.classes + 1)
        return results(torch.cat(boxes), torch.cat(scores), torch.cat(labels), size, self.config)


def _by_anchor(x: Tensor, values: int) -> Tensor:
    """Turn (batch, anchors * values, height, width) into (batch, all anchors, values)."""
    return x.unflatten(1, (-1, values)).permute(0, 3, 4, 1, 2).flatten(1, 3)
