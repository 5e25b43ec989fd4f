"""The mask branch: what of a box is the object (He et al., 2017)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn

from multiaxis.tasks.detect.networks.boxes import EMPTY, PictureTruth
from multiaxis.tasks.detect.networks.config import DetectorConfig, MaskConfig
from multiaxis.tasks.detect.networks.layers import norm
from multiaxis.tasks.detect.networks.parts import (
    MaskRCNNHeads,
    MaskRCNNPredictor,
    maskrcnn_loss,
    paste_masks_in_image,
)


class MaskBranch(nn.Module):
    """Outlines each box's object, one map for each class.

    Parameters
    ----------
    config : DetectorConfig
    masks : MaskConfig
    """

    def __init__(self, config: DetectorConfig, masks: MaskConfig) -> None:
        super().__init__()
        self.config = masks
        layer = None if config.norm == "none" else partial(norm, config)
        widths = [masks.width] * masks.convs
        self.head = MaskRCNNHeads(config.pyramid.channels, widths, 1, layer)
        channels = masks.width if masks.convs else config.pyramid.channels
        self.predictor = MaskRCNNPredictor(channels, masks.width, config.classes + 1)

    def forward(self, pooled: Tensor) -> Tensor:
        """Turn pooled maps (boxes, channels, size, size) into logits (boxes, classes + 1, ...)."""
        return self.predictor(self.head(pooled)).float()

    def choose(self, labels: Tensor) -> Tensor:
        """Draw filled boxes of a picture for the loss."""
        filled = torch.where(labels > EMPTY)[0]
        if len(filled) <= self.config.samples:
            return filled
        order = torch.randperm(len(filled), device=filled.device)[: self.config.samples]
        return filled[order]

    def losses(
        self,
        logits: Tensor,
        boxes: Sequence[Tensor],
        objects: Sequence[Tensor],
        truths: Sequence[PictureTruth],
    ) -> Tensor:
        """Say what the outlines of each picture cost: the mean over the pixels of its boxes.

        Parameters
        ----------
        logits : Tensor
            Of the boxes of all pictures.
        boxes, objects : sequence of Tensor
            Of each picture: boxes that have an object, and its number.
        truths : sequence of PictureTruth

        Returns
        -------
        Tensor, shape (batch,)
            0 for pictures without filled boxes.
        """
        parts = logits.split([len(b) for b in boxes])
        each = zip(parts, boxes, objects, truths, strict=True)
        return torch.stack(
            [
                maskrcnn_loss(part, [b], [cast(Tensor, t.masks)], [t.labels], [n])
                for part, b, n, t in each
            ]
        )


def paste(logits: Tensor, found: dict[str, Tensor], size: tuple[int, int]) -> Tensor:
    """Lay the outlines of a picture's results into the picture.

    Parameters
    ----------
    logits : Tensor, shape (results, classes + 1, side, side)
    found : dict of str to Tensor
        The results.
    size : (height, width)

    Returns
    -------
    Tensor of bool, shape (results, height, width)
        Probabilities of a half and more. One result is laid at a time: probabilities of all of
        them would take four times the memory.
    """
    labels, boxes = found["labels"], found["boxes"]
    rows = torch.arange(len(labels), device=logits.device)
    shown = logits[rows, labels].sigmoid()[:, None]
    masks = torch.zeros(len(labels), *size, dtype=torch.bool, device=logits.device)
    for k in range(len(labels)):
        masks[k] = paste_masks_in_image(shown[k : k + 1], boxes[k : k + 1], size)[0, 0] >= 0.5
    return masks
