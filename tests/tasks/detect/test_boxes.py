"""Anchors, matching, what a wrong box costs, and which results are kept."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.image_list import ImageList

from multiaxis.tasks.detect.networks.anchors import Anchors
from multiaxis.tasks.detect.networks.boxes import (
    EMPTY,
    IGNORED,
    PictureTruth,
    box_loss,
    match,
    results,
    sample,
)
from multiaxis.tasks.detect.networks.config import AnchorConfig, BoxLossConfig
from small_detector import RETINA, detector

CPU = torch.device("cpu")


def test_anchors_are_the_authors() -> None:
    """Sheet of downstream uses, section 2: sides of 3 * 2 ** level * 2 ** (i / 3)."""
    anchors = Anchors(AnchorConfig(), (8, 16)).on([(1, 1), (1, 1)], CPU)
    assert anchors.shape == (18, 4)
    sides = anchors[:, 2:] - anchors[:, :2]
    areas = torch.tensor([3 * s * 2 ** (i / 3) for s in (8, 16) for i in range(3)]) ** 2
    torch.testing.assert_close(sides.prod(dim=1), areas.repeat_interleave(3))
    torch.testing.assert_close(sides[:3, 0] / sides[:3, 1], torch.tensor([0.5, 1.0, 2.0]))
    centres = (anchors[:, :2] + anchors[:, 2:]) / 2
    torch.testing.assert_close(centres[:9], torch.full((9, 2), 4.0))
    torch.testing.assert_close(centres[9:], torch.full((9, 2), 8.0))


def test_anchors_are_torchvisions_half_a_stride_further() -> None:
    """Where the map divides the picture; torchvision names ratios height over width."""
    ours = Anchors(AnchorConfig(scales=1, size=4.0, ratios=(1.0, 4.0, 0.25)), (8,))
    theirs = AnchorGenerator(((32,),), ((1.0, 0.25, 4.0),))
    x = torch.zeros(1, 4, 3, 5)
    (wanted,) = theirs(ImageList(torch.zeros(1, 3, 24, 40), [(24, 40)]), [x])
    torch.testing.assert_close(ours.on([(3, 5)], CPU), wanted + 4)


@given(st.integers(1, 300), st.integers(1, 300))
@settings(max_examples=20, deadline=None)
def test_anchors_of_any_picture_stand_on_its_pixels(height: int, width: int) -> None:
    strides = (8, 16, 32)
    sizes = [(-(-height // s), -(-width // s)) for s in strides]
    anchors = Anchors(AnchorConfig(scales=1, ratios=(1.0,)), strides).on(sizes, CPU)
    parts = anchors.split([h * w for h, w in sizes])
    for part, (rows, columns), stride in zip(parts, sizes, strides, strict=True):
        x, y = ((part[:, :2] + part[:, 2:]) / 2).view(rows, columns, 2).unbind(-1)
        assert x[0, -1] == (columns - 0.5) * stride < width + stride
        assert y[-1, 0] == (rows - 0.5) * stride < height + stride


def _truth() -> PictureTruth:
    boxes = torch.tensor([[0.0, 0.0, 100.0, 100.0], [200.0, 200.0, 210.0, 210.0]])
    return PictureTruth(boxes, torch.tensor([3, 1]), None, torch.zeros(0, 4))


def test_boxes_between_both_thresholds_are_ignored() -> None:
    boxes = torch.tensor([[0.0, 0, w, 100] for w in (80, 70, 50, 30, 20)])
    objects, labels = match(boxes, _truth(), 0.3, 0.7)
    assert labels.tolist() == [3, 3, IGNORED, IGNORED, EMPTY]
    assert objects.tolist() == [0] * 5


def test_each_object_gets_its_best_box() -> None:
    boxes = torch.tensor([[0.0, 0, 90, 100], [195.0, 195, 225, 225], [300.0, 0, 320, 20]])
    assert match(boxes, _truth(), 0.3, 0.7)[1].tolist() == [3, EMPTY, EMPTY]
    assert match(boxes, _truth(), 0.3, 0.7, best=True)[1].tolist() == [3, 1, EMPTY]


def test_without_objects_or_boxes_nothing_matches() -> None:
    nothing = PictureTruth(torch.zeros(0, 4), torch.zeros(0).long(), None, torch.zeros(0, 4))
    assert match(torch.rand(3, 4), nothing, 0.3, 0.7)[1].tolist() == [EMPTY] * 3
    assert match(torch.zeros(0, 4), _truth(), 0.3, 0.7)[1].tolist() == []


def test_crowds_are_parted_from_objects() -> None:
    target = {
        "boxes": torch.tensor([[0, 0, 9, 9], [20, 20, 60, 60]]),
        "labels": torch.tensor([2, 1]),
        "masks": torch.ones(2, 70, 70, dtype=torch.bool),
        "crowd": torch.tensor([False, True]),
    }
    truth = PictureTruth.of(target)
    assert truth.labels.tolist() == [2]
    assert truth.masks is not None
    assert len(truth.masks) == 1
    assert truth.crowds.tolist() == [[20, 20, 60, 60]]
    inside = torch.tensor([[25.0, 25, 35, 35], [50.0, 50, 70, 70], [0.0, 0, 9, 9]])
    # A quarter of the second lies in the crowd: it is empty.
    assert match(inside, truth, 0.3, 0.7)[1].tolist() == [IGNORED, EMPTY, 2]


def test_samples_keep_their_shares() -> None:
    labels = torch.tensor([1] * 50 + [0] * 500 + [-1] * 50)
    chosen = sample(labels, 64, 0.25)
    assert len(chosen) == 64
    assert (labels[chosen] > 0).sum() == 16
    assert (labels[chosen] == IGNORED).sum() == 0
    assert len(sample(labels[:10], 64, 0.5)) == 10


def test_box_losses_are_hubers() -> None:
    offsets, wanted = torch.tensor([[1.0, 0, 0, 3.0]]), torch.zeros(1, 4)
    authors = box_loss(offsets, wanted, 5, BoxLossConfig(delta=1.0))
    torch.testing.assert_close(authors, torch.tensor((0.5 + 2.5) / 4))
    config = BoxLossConfig(delta=1 / 9, weight=9.0, mean="samples")
    smooth = F.smooth_l1_loss(offsets, wanted, beta=1 / 9, reduction="sum") / 5
    torch.testing.assert_close(box_loss(offsets, wanted, 5, config), smooth)
    assert box_loss(offsets[:0], wanted[:0], 0, config) == 0


def test_doubles_low_scores_and_slivers_are_left_out() -> None:
    boxes = torch.tensor(
        [
            [0.0, 0, 10, 10],
            [0.0, 0, 10, 11],  # the same object again
            [0.0, 0, 10, 11],  # of another class
            [20.0, 20, 30, 30],  # too low a score
            [200.0, 0, 210, 10],  # beside the picture
            [40.0, 40, 90, 90],  # cut to it
        ]
    )
    scores = torch.tensor([0.9, 0.8, 0.7, 0.01, 0.9, 0.95])
    labels = torch.tensor([1, 1, 2, 1, 1, 3])
    found = results(boxes, scores, labels, (64, 100), replace(RETINA, score=0.05))
    assert found["labels"].tolist() == [3, 1, 2]
    assert found["boxes"][0].tolist() == [40, 40, 90, 64]
    few = results(boxes, scores, labels, (64, 100), replace(RETINA, most=1))
    assert few["labels"].tolist() == [3]


@pytest.mark.parametrize("kind", ["batch", "group", "none"])
def test_levels_have_batch_norms_of_their_own(kind: str) -> None:
    network = detector(replace(RETINA, norm=kind))
    tower = network.head.class_tower
    assert len(tower.norms) == (4 if kind == "batch" else 1)  # pyright: ignore[reportArgumentType]
