"""The region proposal network: where an object might be (Ren et al., 2015)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812 (the name everyone uses)
from torch import Tensor, nn

from multiaxis.tasks.detect.networks.anchors import Anchors
from multiaxis.tasks.detect.networks.boxes import EMPTY, PictureTruth, box_loss, match, sample
from multiaxis.tasks.detect.networks.config import DetectorConfig, ProposalConfig
from multiaxis.tasks.detect.networks.layers import Tower, start
from multiaxis.tasks.detect.networks.parts import (
    ImageList,
    RegionProposalNetwork,
    concat_box_prediction_layers,
)


class ProposalHead(nn.Module):
    """Says of each anchor whether it has an object, and how it is to move.

    Parameters
    ----------
    config : DetectorConfig
    convs, levels : int
    """

    def __init__(self, config: DetectorConfig, convs: int, levels: int) -> None:
        super().__init__()
        channels, count = config.pyramid.channels, config.anchors.count
        self.tower = Tower(config, convs, levels)
        self.filled = nn.Conv2d(channels, count, 1)
        self.offsets = nn.Conv2d(channels, count * 4, 1)
        start(self.filled, 0.01)
        start(self.offsets, 0.01)

    def forward(self, maps: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Give logits and offsets of each level."""
        seen = [self.tower(x, level) for level, x in enumerate(maps)]
        return [self.filled(x) for x in seen], [self.offsets(x) for x in seen]


class Proposals(nn.Module):
    """torchvision's region proposal network, with losses for each picture and crowds ignored.

    Parameters
    ----------
    config : DetectorConfig
    proposals : ProposalConfig
    strides : sequence of int
        Of the levels.
    """

    def __init__(
        self, config: DetectorConfig, proposals: ProposalConfig, strides: Sequence[int]
    ) -> None:
        super().__init__()
        self.config = proposals
        (before_training, before), (kept_training, kept) = proposals.before, proposals.kept
        self.network = RegionProposalNetwork(
            Anchors(config.anchors, strides),  # pyright: ignore[reportArgumentType] (called alike)
            ProposalHead(config, proposals.convs, len(strides)),
            proposals.matched,
            proposals.unmatched,
            proposals.samples,
            proposals.positives,
            {"training": before_training, "testing": before},
            {"training": kept_training, "testing": kept},
            proposals.nms,
        )

    def forward(
        self, maps: list[Tensor], size: tuple[int, int], truths: Sequence[PictureTruth] | None
    ) -> tuple[list[Tensor], dict[str, Tensor]]:
        """Propose boxes.

        Parameters
        ----------
        maps : list of Tensor, shape (batch, channels, height, width)
        size : (height, width)
            Of the pictures.
        truths : sequence of PictureTruth, or None

        Returns
        -------
        list of Tensor, shape (proposals, 4)
            Of each picture, without gradients.
        dict of str to Tensor, shape (batch,)
            With truths: ``proposals`` (objects seen or not) and ``proposal_boxes``.
        """
        network, batch = self.network, len(maps[0])
        logits, offsets = network.head(maps)
        counts = [x[0].numel() for x in logits]
        flat_logits, flat_offsets = concat_box_prediction_layers(logits, offsets)
        flat_logits, flat_offsets = flat_logits.float().view(batch, -1), flat_offsets.float()
        anchors = network.anchor_generator(ImageList(maps[0], [size] * batch), maps)
        decoded = network.box_coder.decode(flat_offsets.detach(), anchors).view(batch, -1, 4)
        boxes, _ = network.filter_proposals(decoded, flat_logits.detach(), [size] * batch, counts)
        if truths is None:
            return boxes, {}
        each = zip(flat_logits, flat_offsets.view(batch, -1, 4), anchors, truths, strict=True)
        costs = [self._losses(*picture) for picture in each]
        return boxes, {name: torch.stack([cost[name] for cost in costs]) for name in costs[0]}

    def _losses(
        self, logits: Tensor, offsets: Tensor, anchors: Tensor, truth: PictureTruth
    ) -> dict[str, Tensor]:
        config = self.config
        objects, labels = match(anchors, truth, config.unmatched, config.matched, best=True)
        labels = labels.clamp(max=1)
        chosen = sample(labels, config.samples, config.positives)
        filled = chosen[labels[chosen] > EMPTY]
        wanted = self.network.box_coder.encode_single(truth.boxes[objects[filled]], anchors[filled])
        seen = F.binary_cross_entropy_with_logits(
            logits[chosen], labels[chosen].float(), reduction="sum"
        )
        return {
            "proposals": seen / max(len(chosen), 1),
            "proposal_boxes": box_loss(offsets[filled], wanted, len(chosen), config.loss),
        }
