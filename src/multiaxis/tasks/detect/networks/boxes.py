"""Boxes and the objects of a picture: which belongs to which, what a wrong box costs, doubles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812 (the name everyone uses)
from torch import Tensor

from multiaxis.tasks.detect.networks.config import BoxLossConfig, DetectorConfig
from multiaxis.tasks.detect.networks.parts import (
    BalancedPositiveNegativeSampler,
    Matcher,
    batched_nms,
    box_iou,
    clip_boxes_to_image,
    remove_small_boxes,
)

EMPTY, IGNORED = 0, -1
"""Labels of boxes without an object, and of those that a loss does not look at."""

_CROWDED = 0.7  # share of an empty box inside a crowd from which on it is ignored: Detectron's


@dataclass(frozen=True)
class PictureTruth:
    """The objects of a picture.

    Attributes
    ----------
    boxes : Tensor, shape (objects, 4)
        (left, top, right, bottom) in pixels.
    labels : Tensor of int64, shape (objects,)
        From 1 on.
    masks : Tensor of bool, shape (objects, height, width), or None
    crowds : Tensor, shape (crowds, 4)
        Regions with uncounted objects: nothing is learnt there.
    """

    boxes: Tensor
    labels: Tensor
    masks: Tensor | None
    crowds: Tensor

    @staticmethod
    def of(target: Mapping[str, Tensor]) -> PictureTruth:
        """Part single objects from crowds."""
        boxes, labels, masks = target["boxes"].float(), target["labels"], target.get("masks")
        crowd = target.get("crowd")
        if crowd is None or not crowd.any():
            return PictureTruth(boxes, labels, masks, boxes[:0])
        single = ~crowd
        shown = None if masks is None else masks[single]
        return PictureTruth(boxes[single], labels[single], shown, boxes[crowd])


def match(
    boxes: Tensor, truth: PictureTruth, empty: float, filled: float, *, best: bool = False
) -> tuple[Tensor, Tensor]:
    """Find the object of each box.

    Parameters
    ----------
    boxes : Tensor, shape (boxes, 4)
    truth : PictureTruth
    empty, filled : float
        IoU below which a box has no object, and from which on it has one; between, it is ignored.
    best : bool
        Give each object the boxes that fit it best, too, however badly.

    Returns
    -------
    objects : Tensor of int64, shape (boxes,)
        Number of the object; 0 for a box without one.
    labels : Tensor of int64, shape (boxes,)
        The object's label, `EMPTY` or `IGNORED`.
    """
    none = torch.zeros(len(boxes), dtype=torch.int64, device=boxes.device)
    if len(truth.boxes) == 0 or len(boxes) == 0:
        objects, labels = none, none.clone()
    else:
        matcher = Matcher(filled, empty, allow_low_quality_matches=best)
        found = matcher(box_iou(truth.boxes, boxes))
        objects = found.clamp(min=0)
        labels = truth.labels[objects]
        labels = torch.where(found == matcher.BELOW_LOW_THRESHOLD, EMPTY, labels)
        labels = torch.where(found == matcher.BETWEEN_THRESHOLDS, IGNORED, labels)
    if len(truth.crowds):
        crowded = _share_inside(boxes, truth.crowds).amax(dim=1) >= _CROWDED
        labels = torch.where((labels == EMPTY) & crowded, IGNORED, labels)
    return objects, labels


def sample(labels: Tensor, count: int, positives: float) -> Tensor:
    """Draw boxes for a loss: `count` at most, a share of `positives` at most with an object.

    Returns
    -------
    Tensor of int64
        Their numbers, in rising order.
    """
    filled, empty = BalancedPositiveNegativeSampler(count, positives)([labels])
    return torch.where(filled[0].bool() | empty[0].bool())[0]


def box_loss(offsets: Tensor, wanted: Tensor, samples: int, config: BoxLossConfig) -> Tensor:
    """Say what the offsets of a picture's filled boxes cost.

    Parameters
    ----------
    offsets, wanted : Tensor, shape (filled boxes, 4)
    samples : int
        Boxes that were sampled in all.
    config : BoxLossConfig

    Returns
    -------
    Tensor, shape ()
    """
    total = F.huber_loss(offsets.float(), wanted, reduction="sum", delta=config.delta)
    count = offsets.numel() if config.mean == "positives" else samples
    return config.weight * total / max(count, 1)


def results(
    boxes: Tensor, scores: Tensor, labels: Tensor, size: tuple[int, int], config: DetectorConfig
) -> dict[str, Tensor]:
    """Keep the best boxes of a picture, without doubles.

    Parameters
    ----------
    boxes : Tensor, shape (boxes, 4)
    scores, labels : Tensor, shape (boxes,)
    size : (height, width)
        Of the picture, which boxes are cut to.
    config : DetectorConfig

    Returns
    -------
    dict of str to Tensor
        ``boxes``, ``labels`` and ``scores``, the highest first.
    """
    boxes = clip_boxes_to_image(boxes, size)
    kept = torch.where(scores > config.score)[0]
    kept = kept[remove_small_boxes(boxes[kept], min_size=1e-2)]
    boxes, scores, labels = boxes[kept], scores[kept], labels[kept]
    kept = batched_nms(boxes, scores, labels, config.nms)[: config.most]
    return {"boxes": boxes[kept], "labels": labels[kept], "scores": scores[kept]}


def _share_inside(boxes: Tensor, regions: Tensor) -> Tensor:
    """Give the share of each box's area that lies in each region, (boxes, regions)."""
    first = torch.maximum(boxes[:, None, :2], regions[None, :, :2])
    last = torch.minimum(boxes[:, None, 2:], regions[None, :, 2:])
    common = (last - first).clamp(min=0).prod(dim=-1)
    areas = (boxes[:, 2:] - boxes[:, :2]).clamp(min=0).prod(dim=-1)
    return common / areas[:, None].clamp(min=1e-6)
