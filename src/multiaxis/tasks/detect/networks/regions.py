"""Heads that look at proposed regions: Faster, Mask and Cascade R-CNN."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812 (the name everyone uses)
from torch import Tensor, nn

from multiaxis.tasks.detect.networks.boxes import (
    EMPTY,
    IGNORED,
    PictureTruth,
    box_loss,
    match,
    results,
    sample,
)
from multiaxis.tasks.detect.networks.config import DetectorConfig, RegionConfig
from multiaxis.tasks.detect.networks.layers import norm, start
from multiaxis.tasks.detect.networks.masks import MaskBranch, paste
from multiaxis.tasks.detect.networks.parts import (
    BoxCoder,
    LevelMapper,
    MultiScaleRoIAlign,
    clip_boxes_to_image,
)
from multiaxis.tasks.detect.networks.proposals import Proposals


def _coder(k: int) -> BoxCoder:
    """Build the code of the k-th head's offsets, from 1: boxes move less and less.

    Source: Cai and Vasconcelos, 2018; ``official/vision/modeling/maskrcnn_model.py``.
    """
    return BoxCoder((10.0 * k, 10.0 * k, 5.0 * k, 5.0 * k))


class BoxHead(nn.Module):
    """Classes and offsets of pooled regions.

    Parameters
    ----------
    config : DetectorConfig
    head : RegionConfig
    """

    def __init__(self, config: DetectorConfig, head: RegionConfig) -> None:
        super().__init__()
        channels, has_bias = config.pyramid.channels, config.norm == "none"
        layers: list[nn.Module] = []
        for _ in range(head.convs):
            conv = nn.Conv2d(channels, head.width, 3, padding=1, bias=has_bias)
            nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
            layers += [conv, norm(config, head.width), nn.ReLU()]
            channels = head.width
        layers.append(nn.Flatten())
        wide = channels * head.size**2
        for width in head.hidden:
            dense = nn.Linear(wide, width, bias=has_bias)
            layers += [dense, norm(config, width, is_map=False), nn.ReLU()]
            wide = width
        self.layers = nn.Sequential(*layers)
        self.classes = nn.Linear(wide, config.classes + 1)
        self.offsets = nn.Linear(wide, 4 if head.class_agnostic else 4 * (config.classes + 1))
        start(self.classes, 0.01)
        start(self.offsets, 0.001)

    def forward(self, pooled: Tensor) -> tuple[Tensor, Tensor]:
        """Look at (boxes, channels, size, size).

        Returns
        -------
        logits : Tensor, shape (boxes, classes + 1)
            The first is the background's.
        offsets : Tensor, shape (boxes, 4), or (boxes, 4 * (classes + 1)) where classes differ
        """
        seen = self.layers(pooled)
        return self.classes(seen).float(), self.offsets(seen).float()


@dataclass(frozen=True)
class _Matched:
    """The boxes of a picture that a head learns from, their objects and labels."""

    boxes: Tensor
    objects: Tensor
    labels: Tensor


class Regions(nn.Module):
    """Proposals, heads one behind the other, and the mask branch.

    Parameters
    ----------
    config : DetectorConfig
    head : RegionConfig
    strides : sequence of int
        Of the levels.
    """

    def __init__(self, config: DetectorConfig, head: RegionConfig, strides: Sequence[int]) -> None:
        super().__init__()
        self.config, self.head = config, head
        self.proposals = Proposals(config, head.proposals, strides)
        self.heads = nn.ModuleList(BoxHead(config, head) for _ in head.ious)
        self.coders = [_coder(k) for k in range(1, len(head.ious) + 1)]
        self.pool = _pool(head.size, strides)
        self.masks = None if head.masks is None else MaskBranch(config, head.masks)
        self.mask_pool = None if head.masks is None else _pool(head.masks.size, strides)

    def forward(
        self, maps: list[Tensor], size: tuple[int, int], truths: Sequence[PictureTruth] | None
    ) -> dict[str, Tensor] | list[dict[str, Tensor]]:
        """Find objects, or say what was missed.

        Parameters
        ----------
        maps : list of Tensor, shape (batch, channels, height, width)
            Of each level.
        size : (height, width)
            Of the pictures.
        truths : sequence of PictureTruth, or None
            With them, losses are returned.

        Returns
        -------
        dict of str to Tensor, shape (batch,)
            ``proposals``, ``proposal_boxes``, ``classes``, ``boxes`` and ``masks``.
        list of dict
            What `results` gives for each picture, and its ``masks``.
        """
        boxes, losses = self.proposals(maps, size, truths)
        if truths is None:
            return self._find(maps, boxes, size)
        matched = self._first(boxes, truths, size)
        shares: list[dict[str, Tensor]] = []
        for k, (head, coder) in enumerate(zip(self.heads, self.coders, strict=True)):
            if k:
                matched = [
                    self._again(m.boxes, truth, k) for m, truth in zip(matched, truths, strict=True)
                ]
            pooled = self._pooled(maps, [m.boxes for m in matched], size)
            logits, offsets = head(self._divided(pooled))
            shares.append(self._losses(logits, offsets, matched, truths, coder))
            if k + 1 < len(self.heads):
                moved = self._moved(offsets, [m.boxes for m in matched], coder, size)
                matched = [
                    _Matched(new, m.objects, m.labels)
                    for new, m in zip(moved, matched, strict=True)
                ]
        scale = 1 / len(shares) if self.head.losses == "mean" else 1.0
        for name in shares[0]:
            losses[name] = scale * torch.stack([share[name] for share in shares]).sum(dim=0)
        if self.masks is not None:
            losses["masks"] = self._mask_losses(self.masks, maps, matched, truths, size)
        return losses

    def _first(
        self, boxes: Sequence[Tensor], truths: Sequence[PictureTruth], size: tuple[int, int]
    ) -> list[_Matched]:
        """Draw what the first head learns from: proposals, and the objects themselves."""
        drawn: list[_Matched] = []
        for proposed, truth in zip(boxes, truths, strict=True):
            both = torch.cat((proposed, truth.boxes))
            if len(both) == 0:  # else a batch norm would see nothing
                both = proposed.new_tensor([[0, 0, size[1], size[0]]])
            objects, labels = match(both, truth, self.head.background, self.head.ious[0])
            chosen = sample(labels, self.head.samples, self.head.positives)
            drawn.append(_Matched(both[chosen], objects[chosen], labels[chosen]))
        return drawn

    def _again(self, boxes: Tensor, truth: PictureTruth, k: int) -> _Matched:
        """Match the boxes that a head has moved, by the next head's IoU; all are learnt from."""
        iou = self.head.ious[k]
        return _Matched(boxes, *match(boxes, truth, iou, iou))

    def _losses(
        self,
        logits: Tensor,
        offsets: Tensor,
        matched: Sequence[_Matched],
        truths: Sequence[PictureTruth],
        coder: BoxCoder,
    ) -> dict[str, Tensor]:
        """Say what a head's classes and boxes of each picture cost."""
        counts = [len(m.boxes) for m in matched]
        wrong: list[Tensor] = []
        apart: list[Tensor] = []
        pictures = zip(logits.split(counts), offsets.split(counts), matched, truths, strict=True)
        for seen, moved, m, truth in pictures:
            used = (m.labels != IGNORED).sum().clamp(min=1)
            cost = F.cross_entropy(seen, m.labels, ignore_index=IGNORED, reduction="sum")
            wrong.append(cost / used)
            filled = torch.where(m.labels > EMPTY)[0]
            wanted = coder.encode_single(truth.boxes[m.objects[filled]], m.boxes[filled])
            of_class = moved[filled].unflatten(1, (-1, 4))
            classes = torch.zeros_like(filled) if self.head.class_agnostic else m.labels[filled]
            own = of_class[torch.arange(len(filled), device=filled.device), classes]
            apart.append(box_loss(own, wanted, int(used), self.head.loss))
        return {"classes": torch.stack(wrong), "boxes": torch.stack(apart)}

    def _mask_losses(
        self,
        branch: MaskBranch,
        maps: list[Tensor],
        matched: Sequence[_Matched],
        truths: Sequence[PictureTruth],
        size: tuple[int, int],
    ) -> Tensor:
        chosen = [branch.choose(m.labels) for m in matched]
        boxes = [m.boxes[rows] for m, rows in zip(matched, chosen, strict=True)]
        objects = [m.objects[rows] for m, rows in zip(matched, chosen, strict=True)]
        shown = boxes
        if not any(map(len, boxes)):  # a batch norm needs something to see; it costs nothing
            shown = [matched[0].boxes[:1], *boxes[1:]]
        logits = branch(self._mask_pooled(maps, shown, size))
        if shown is not boxes:
            return logits.sum().expand(len(boxes)) * 0
        return branch.losses(logits, boxes, objects, truths)

    def _find(
        self, maps: list[Tensor], boxes: list[Tensor], size: tuple[int, int]
    ) -> list[dict[str, Tensor]]:
        logits: list[Tensor] = []
        offsets = boxes[0]
        for k, head in enumerate(self.heads):
            if k:
                boxes = self._moved(offsets, boxes, self.coders[k - 1], size)
            seen, offsets = head(self._pooled(maps, boxes, size))
            logits.append(seen)
        counts = [len(b) for b in boxes]
        scores = self._scores(logits).split(counts)
        moved = self.coders[-1].decode(offsets, boxes).split(counts)
        found = [self._picture(s, b, size) for s, b in zip(scores, moved, strict=True)]
        if self.masks is not None:
            all_logits = self.masks(self._mask_pooled(maps, [f["boxes"] for f in found], size))
            parts = all_logits.split([len(f["boxes"]) for f in found])
            for picture, part in zip(found, parts, strict=True):
                picture["masks"] = paste(part, picture, size)
        return found

    def _scores(self, logits: Sequence[Tensor]) -> Tensor:
        """Average what the heads say of classes, (boxes, classes + 1)."""
        if self.head.scores == "logits":
            return torch.stack(list(logits)).mean(dim=0).softmax(dim=-1)
        return torch.stack([x.softmax(dim=-1) for x in logits]).mean(dim=0)

    def _picture(self, scores: Tensor, boxes: Tensor, size: tuple[int, int]) -> dict[str, Tensor]:
        """Pick a picture's results: each class of each box is a candidate."""
        classes = scores.shape[1]
        labels = torch.arange(1, classes, device=scores.device).expand(len(scores), -1)
        of_class = boxes.expand(-1, classes, -1)[:, 1:]
        flat = (of_class.reshape(-1, 4), scores[:, 1:].reshape(-1), labels.reshape(-1))
        return results(*flat, size, self.config)

    def _moved(
        self, offsets: Tensor, boxes: Sequence[Tensor], coder: BoxCoder, size: tuple[int, int]
    ) -> list[Tensor]:
        """Move boxes by the offsets of a class-agnostic head, without gradients."""
        moved = clip_boxes_to_image(coder.decode(offsets.detach(), list(boxes))[:, 0], size)
        return list(moved.split([len(b) for b in boxes]))

    def _pooled(self, maps: list[Tensor], boxes: Sequence[Tensor], size: tuple[int, int]) -> Tensor:
        return self.pool(_named(maps), list(boxes), [size] * len(boxes))

    def _mask_pooled(
        self, maps: list[Tensor], boxes: Sequence[Tensor], size: tuple[int, int]
    ) -> Tensor:
        assert self.mask_pool is not None  # noqa: S101 (there is a mask branch)
        return self.mask_pool(_named(maps), list(boxes), [size] * len(boxes))

    def _divided(self, pooled: Tensor) -> Tensor:
        """Divide the gradient among the heads where their losses are added."""
        if self.head.losses == "mean" or len(self.heads) == 1:
            return pooled
        share = 1 / len(self.heads)
        return pooled * share + pooled.detach() * (1 - share)


def _named(maps: Sequence[Tensor]) -> dict[str, Tensor]:
    return {str(level): x for level, x in enumerate(maps)}


def _pool(side: int, strides: Sequence[int]) -> MultiScaleRoIAlign:
    """Build RoIAlign over all levels.

    torchvision would infer the strides from the first picture that it sees, wrongly for a small
    one whose maps are rounded up, and keep them.
    """
    pool = MultiScaleRoIAlign([str(n) for n in range(len(strides))], side, sampling_ratio=2)
    levels = [stride.bit_length() - 1 for stride in strides]
    pool.scales = [1 / stride for stride in strides]
    pool.map_levels = LevelMapper(levels[0], levels[-1])
    return pool
