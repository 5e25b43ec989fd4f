"""Faster, Mask and Cascade R-CNN: the same numbers as torchvision's, and by hand."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision.models.detection import MaskRCNN
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.models.detection.rpn import RPNHead
from torchvision.ops import MultiScaleRoIAlign

from multiaxis.models.pyramid import PyramidConfig
from multiaxis.tasks.detect.networks.boxes import EMPTY, IGNORED, PictureTruth
from multiaxis.tasks.detect.networks.config import BoxLossConfig, MaskConfig, RegionConfig
from multiaxis.tasks.detect.networks.network import DetectionNetwork
from multiaxis.tasks.detect.networks.regions import Regions
from small_detector import BODY, MASK, detector, shapes

_SMOOTH_L1 = BoxLossConfig(delta=1 / 9, weight=9.0, mean="samples")
_BASE = MASK.head
assert isinstance(_BASE, RegionConfig)
# One head, one box for each class, torchvision's losses: Mask R-CNN as torchvision has it.
PLAIN = replace(
    MASK,
    norm="none",
    pyramid=PyramidConfig(levels=(3, 6), channels=16, norm="none"),
    head=replace(
        _BASE,
        ious=(0.5,),
        class_agnostic=False,
        convs=0,
        hidden=(24, 24),
        samples=512,
        loss=_SMOOTH_L1,
        masks=MaskConfig(convs=2, width=16, samples=512),
        proposals=replace(_BASE.proposals, loss=_SMOOTH_L1, before=(60, 60), kept=(40, 40)),
    ),
)
_SHARED = {
    "rpn.head.conv.0.0": "proposals.network.head.tower.convs.0",
    "rpn.head.cls_logits": "proposals.network.head.filled",
    "rpn.head.bbox_pred": "proposals.network.head.offsets",
    "roi_heads.box_head.fc6": "heads.0.layers.1",
    "roi_heads.box_head.fc7": "heads.0.layers.4",
    "roi_heads.box_predictor.cls_score": "heads.0.classes",
    "roi_heads.box_predictor.bbox_pred": "heads.0.offsets",
    "roi_heads.mask_head.0.0": "masks.head.0.0",
    "roi_heads.mask_head.1.0": "masks.head.1.0",
    "roi_heads.mask_predictor.conv5_mask": "masks.predictor.conv5_mask",
    "roi_heads.mask_predictor.mask_fcn_logits": "masks.predictor.mask_fcn_logits",
}


class _Body(nn.Module):
    """Our maps, in the form that torchvision takes."""

    out_channels = 16

    def __init__(self, network: DetectionNetwork) -> None:
        super().__init__()
        self.maps = network.maps

    def forward(self, x: Tensor) -> OrderedDict[str, Tensor]:
        maps = self.maps.pyramid(x)
        return OrderedDict((str(k), maps[level]) for k, level in enumerate(sorted(maps)))


def _torchvisions(network: DetectionNetwork) -> MaskRCNN:
    """Build torchvision's Mask R-CNN on our maps and anchors, with our weights."""
    levels = [str(k) for k in range(4)]
    theirs = MaskRCNN(
        _Body(network),
        fixed_size=(64, 64),
        image_mean=list(PLAIN.mean),
        image_std=list(PLAIN.std),
        rpn_head=RPNHead(16, 3),
        rpn_pre_nms_top_n_train=60,
        rpn_pre_nms_top_n_test=60,
        rpn_post_nms_top_n_train=40,
        rpn_post_nms_top_n_test=40,
        box_roi_pool=MultiScaleRoIAlign(levels, 7, 2),
        box_head=TwoMLPHead(16 * 49, 24),
        box_predictor=FastRCNNPredictor(24, 4),
        mask_roi_pool=MultiScaleRoIAlign(levels, 14, 2),
        mask_head=MaskRCNNHeads(16, (16, 16), 1),
        mask_predictor=MaskRCNNPredictor(16, 16, 4),
        box_score_thresh=PLAIN.score,
        box_nms_thresh=PLAIN.nms,
        box_detections_per_img=PLAIN.most,
    )
    head = network.head
    assert isinstance(head, Regions)
    theirs.rpn.anchor_generator = head.proposals.network.anchor_generator
    for name, ours in _SHARED.items():
        source, target = head.get_submodule(ours), theirs.get_submodule(name)
        target.load_state_dict(source.state_dict())
    return theirs


def test_a_cascade_of_one_head_is_mask_rcnn_in_evaluation() -> None:
    network = detector(PLAIN).eval()
    theirs = _torchvisions(network).eval()
    pictures, _ = shapes(3, (64, 64))
    with torch.inference_mode():
        found, wanted = network(pictures), theirs(pictures)
    for ours, other in zip(found, wanted, strict=True):
        assert len(ours["boxes"]) == 20
        for name in ("boxes", "scores", "labels"):
            torch.testing.assert_close(ours[name], other[name], atol=1e-5, rtol=1e-5)
        assert torch.equal(ours["masks"], other["masks"][:, 0] >= 0.5)


def test_a_cascade_of_one_head_is_mask_rcnn_in_training() -> None:
    network = detector(PLAIN).train()
    theirs = _torchvisions(network).train()
    names = {
        "proposals": "loss_objectness",
        "proposal_boxes": "loss_rpn_box_reg",
        "classes": "loss_classifier",
        "boxes": "loss_box_reg",
        "masks": "loss_mask",
    }
    for picture, target in zip(*shapes(3, (64, 64)), strict=True):
        ours, other = network([picture], [target]), theirs([picture], [target])
        assert set(ours) == set(names)
        for name, value in ours.items():
            torch.testing.assert_close(value[0], other[names[name]], atol=1e-5, rtol=1e-4)


def _two_heads(**changes: Any) -> Regions:
    config = replace(MASK, head=replace(_BASE, ious=(0.6, 0.7), masks=None, **changes))
    head = detector(config).head
    assert isinstance(head, Regions)
    return head


def _truth(boxes: list[list[float]], labels: list[int]) -> PictureTruth:
    none = torch.zeros(0, 4)
    return PictureTruth(torch.tensor(boxes), torch.tensor(labels), None, none)


# Boxes of 10 x 100 over one of 100 x 100 have an IoU of their width over 100.
TRUTH = _truth([[0.0, 0.0, 100.0, 100.0], [200.0, 0.0, 300.0, 100.0]], [2, 1])


def _wide(*widths: float) -> Tensor:
    return torch.tensor([[0.0, 0.0, width, 100.0] for width in widths])


def test_the_first_head_ignores_what_lies_between() -> None:
    head = _two_heads(samples=512)
    (matched,) = head._first([_wide(75, 65, 55, 45)], [TRUTH], (400, 400))
    # 0.55 is neither filled, from 0.6 on, nor empty, below 0.5; the objects themselves are added.
    assert matched.boxes[:, 2].tolist() == [75, 65, 45, 100, 300]
    assert matched.labels.tolist() == [2, 2, EMPTY, 2, 1]
    assert matched.objects.tolist() == [0, 0, 0, 0, 1]


def test_the_second_head_matches_moved_boxes_by_its_own_iou() -> None:
    head = _two_heads()
    matched = head._again(_wide(75, 65, 55, 45), TRUTH, 1)
    assert matched.labels.tolist() == [2, EMPTY, EMPTY, EMPTY]  # all are kept, none is ignored
    assert matched.objects.tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize(("k", "step"), [(0, 10.0), (1, 20.0)])
def test_offsets_weigh_more_from_head_to_head(k: int, step: float) -> None:
    head = _two_heads()
    offsets = torch.tensor([[step / 10, 0.0, 0.0, step / 2 * torch.tensor(2.0).log().item()]])
    (moved,) = head._moved(
        offsets, [torch.tensor([[100.0, 100.0, 200.0, 140.0]])], head.coders[k], (400, 400)
    )
    torch.testing.assert_close(moved, torch.tensor([[110.0, 80.0, 210.0, 160.0]]))


class _Says(nn.Module):
    """A head that says the same of every region, and keeps what it was asked."""

    def __init__(self, offsets: list[float]) -> None:
        super().__init__()
        self.offsets = nn.Parameter(torch.tensor(offsets))
        self.seen: list[int] = []

    def forward(self, pooled: Tensor) -> tuple[Tensor, Tensor]:
        self.seen.append(len(pooled))
        return torch.zeros(len(pooled), 4), self.offsets.expand(len(pooled), 4)


def test_the_second_head_learns_from_what_the_first_one_moved() -> None:
    """The first head widens boxes by half: one of 65 then fits with 0.975, one of 45 with 0.675."""
    head = _two_heads(samples=512).train()
    wider = 5 * torch.tensor(1.5).log().item()
    # The centre moves so that the left edge stays: by a quarter of the width.
    first, second = _Says([2.5, 0.0, wider, 0.0]), _Says([0.0] * 4)
    head.heads = nn.ModuleList([first, second])
    head.proposals.forward = lambda *_: ([_wide(65, 45)], {})  # pyright: ignore[reportAttributeAccessIssue]
    seen: list[list[int]] = []
    losses = head._losses

    def keep(logits: Tensor, offsets: Tensor, matched: Any, *rest: Any) -> dict[str, Tensor]:
        seen.append(matched[0].labels.tolist())
        return losses(logits, offsets, matched, *rest)

    head._losses = keep  # pyright: ignore[reportAttributeAccessIssue]
    maps = [torch.zeros(1, 16, 400 // n, 400 // n) for n in (8, 16, 32, 64)]
    cost = head(maps, (400, 400), [TRUTH])
    # Both objects are among the first head's boxes, and twice as far off behind it.
    assert seen == [[2, EMPTY, 2, 1], [2, EMPTY, EMPTY, EMPTY]]
    assert first.seen == second.seen == [4]
    assert set(cost) == {"classes", "boxes"}
    torch.testing.assert_close(cost["classes"], torch.tensor([4.0]).log())


def test_scores_are_averaged_as_logits_or_probabilities() -> None:
    logits = [torch.tensor([[0.0, 2.0, -1.0, 0.5]]), torch.tensor([[1.0, -2.0, 3.0, 0.0]])]
    authors = _two_heads()._scores(logits)
    others = _two_heads(scores="probabilities")._scores(logits)
    torch.testing.assert_close(authors, ((logits[0] + logits[1]) / 2).softmax(-1))
    torch.testing.assert_close(others, (logits[0].softmax(-1) + logits[1].softmax(-1)) / 2)


def test_losses_are_meant_or_added_and_their_gradient_divided() -> None:
    """Where losses are added, heads learn twice as fast, and maps as fast as by the mean."""
    gradients: list[dict[str, Tensor]] = []
    values: list[dict[str, Tensor]] = []
    for way in ("mean", "sum"):
        config = replace(MASK, head=replace(_BASE, ious=(0.6, 0.7), masks=None, losses=way))
        network = detector(config).train()
        torch.manual_seed(1)
        losses = network(*shapes(2, (64, 64)))
        (losses["classes"] + losses["boxes"]).mean().backward()
        gradients.append({n: p.grad for n, p in network.named_parameters() if p.grad is not None})
        values.append(losses)
    mean, added = gradients
    for name in ("classes", "boxes"):
        torch.testing.assert_close(values[1][name], 2 * values[0][name])
    for name, gradient in mean.items():
        factor = 2 if name.startswith("head.heads") else 1
        torch.testing.assert_close(added[name], factor * gradient, atol=1e-6, rtol=1e-3)


def test_three_heads_find_and_learn() -> None:
    head = replace(_BASE, ious=(0.5, 0.6, 0.7), scores="probabilities", losses="sum")
    network = detector(replace(MASK, head=head))
    pictures, targets = shapes(2, (64, 64))
    assert all(v.isfinite().all() for v in network(pictures, targets).values())
    with torch.inference_mode():
        assert len(network.eval()(pictures)[0]["boxes"]) > 0
    assert len(network.head.heads) == 3  # pyright: ignore[reportArgumentType]


def test_crowds_are_neither_learnt_nor_empty() -> None:
    crowd = torch.tensor([[300.0, 0.0, 400.0, 400.0]])
    truth = replace(TRUTH, crowds=crowd)
    boxes = torch.tensor([[310.0, 0.0, 390.0, 90.0], [0.0, 200.0, 90.0, 290.0]])
    assert _two_heads()._again(boxes, truth, 1).labels.tolist() == [IGNORED, EMPTY]
    assert BODY.num_classes == 0
