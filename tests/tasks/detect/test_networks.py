"""Whole detectors: what they give, for pictures of any size, whatever lies beside them."""

from __future__ import annotations

import importlib
import sys
from dataclasses import replace

import pytest
import torch

from multiaxis.errors import MissingExtraError, ShapeError
from multiaxis.tasks.detect.networks.config import DetectorConfig, ResNetConfig
from small_detector import KINDS, MASK, RETINA, detector, shapes

SIZES = [(64, 64), (50, 83), (64, 64), (97, 33)]
LOSSES = {
    "retina": {"classes", "boxes"},
    "faster": {"proposals", "proposal_boxes", "classes", "boxes"},
    "mask": {"proposals", "proposal_boxes", "classes", "boxes", "masks"},
    "cascade": {"proposals", "proposal_boxes", "classes", "boxes", "masks"},
}


def _several() -> tuple[list[torch.Tensor], list[dict[str, torch.Tensor]]]:
    drawn = [shapes(1, size, seed=k) for k, size in enumerate(SIZES)]
    return [pictures[0] for pictures, _ in drawn], [targets[0] for _, targets in drawn]


@pytest.mark.parametrize("kind", KINDS)
def test_results_do_not_depend_on_neighbours(kind: str) -> None:
    network = detector(KINDS[kind]).eval()
    pictures, _ = _several()
    with torch.inference_mode():
        together = network(pictures)
        for picture, found in zip(pictures, together, strict=True):
            alone = network([picture])[0]
            assert len(alone["boxes"]) > 2
            for name in ("boxes", "scores", "labels"):
                torch.testing.assert_close(found[name], alone[name], atol=1e-4, rtol=0)
            if alone["masks"] is not None:
                assert (found["masks"] == alone["masks"]).float().mean() > 0.9999


@pytest.mark.parametrize("kind", KINDS)
def test_losses_are_those_of_each_picture(kind: str) -> None:
    config = replace(KINDS[kind], norm="group", backbone=ResNetConfig())
    network = detector(config).eval()  # no dropped paths, no statistics of the batch
    pictures, targets = _several()
    torch.manual_seed(1)
    together = network(pictures, targets)
    assert set(together) == LOSSES[kind]
    for values in together.values():
        assert values.shape == (4,)
        assert values.isfinite().all()
        assert (values >= 0).all()
    # What is sampled at random differs; what looks at all anchors is the same.
    if kind == "retina":
        alone = network(pictures[1:2], targets[1:2])
        for name, values in together.items():
            torch.testing.assert_close(values[1:2], alone[name], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_every_parameter_learns(kind: str) -> None:
    network = detector(KINDS[kind]).train()
    pictures, targets = shapes(2, (64, 64))
    losses = network(pictures, targets)
    sum(value.mean() for value in losses.values()).backward()
    assert [name for name, p in network.named_parameters() if p.grad is None] == []


@pytest.mark.parametrize("kind", KINDS)
def test_pictures_without_objects_are_learnt_from(kind: str) -> None:
    network = detector(KINDS[kind]).train()
    pictures, _ = shapes(2, (64, 64))
    nothing = {
        "boxes": torch.zeros(0, 4),
        "labels": torch.zeros(0, dtype=torch.int64),
        "masks": torch.zeros(0, 64, 64, dtype=torch.bool),
    }
    losses = network(pictures, [nothing] * 2)
    assert set(losses) == LOSSES[kind]
    sum(value.mean() for value in losses.values()).backward()
    for name, values in losses.items():
        assert values.isfinite().all()
        assert (values > 0).all() == (name in ("classes", "proposals"))
    buffers = [b for b in network.buffers() if b.is_floating_point()]
    assert all(buffer.isfinite().all() for buffer in buffers)


def test_results_lie_in_the_picture_and_are_sorted() -> None:
    network = detector(MASK).eval()
    with torch.inference_mode():
        found = network([torch.rand(3, 70, 45)])[0]
    boxes = found["boxes"]
    assert (boxes[:, :2] >= 0).all()
    assert (boxes[:, 2] <= 45).all()
    assert (boxes[:, 3] <= 70).all()
    assert (boxes[:, 2:] > boxes[:, :2]).all()
    assert torch.equal(found["scores"], found["scores"].sort(descending=True).values)
    assert found["masks"].shape == (len(boxes), 70, 45)
    assert found["masks"].dtype == torch.bool
    assert set(found["labels"].tolist()) <= {1, 2, 3}


def _target(**changes: torch.Tensor) -> dict[str, torch.Tensor]:
    target = shapes(1, (64, 64))[1][0]
    return {**target, **changes}


@pytest.mark.parametrize(
    ("picture", "target", "message"),
    [
        (torch.zeros(64, 64), _target(), "accepted"),
        (torch.zeros(1, 64, 64), _target(), r"accepted is \(3, height, width\)"),
        (torch.zeros(3, 64, 64, dtype=torch.uint8), _target(), "floats from 0 to 1"),
        (torch.zeros(3, 64, 64), _target(labels=torch.tensor([4])), "labels from 4 to 4"),
        (torch.zeros(3, 64, 64), _target(labels=torch.tensor([0])), "accepted are 1 to 3"),
        (torch.zeros(3, 64, 64), _target(labels=torch.tensor([1.0])), "torch.int64"),
        (torch.zeros(3, 64, 64), _target(boxes=torch.tensor([[4.0, 4, 4, 9]])), "without area"),
        (torch.zeros(3, 64, 64), _target(boxes=torch.zeros(1, 5)), r"\(objects, 4\)"),
        (torch.zeros(3, 60, 64), _target(), "mask of the picture's size"),
        (torch.zeros(3, 64, 64), _target(crowd=torch.tensor([1])), "of torch.bool"),
        (torch.zeros(3, 64, 64), {"masks": torch.zeros(1)}, "accepted has boxes and labels"),
    ],
)
def test_other_inputs_are_refused(
    picture: torch.Tensor, target: dict[str, torch.Tensor], message: str
) -> None:
    with pytest.raises(ShapeError, match=message):
        detector(MASK)([picture], [target])


def test_numbers_of_pictures_and_targets_agree() -> None:
    with pytest.raises(ShapeError, match="2 pictures and 1 targets"):
        detector(RETINA)([torch.zeros(3, 32, 32)] * 2, [_target()])


def test_masks_are_asked_for_where_they_are_learnt() -> None:
    target = _target()
    del target["masks"]
    with pytest.raises(ShapeError, match="received masks none"):
        detector(MASK)([torch.zeros(3, 64, 64)], [target])


@pytest.mark.parametrize("size", [(9, 9), (33, 20)])
def test_small_pictures_go_through(size: tuple[int, int]) -> None:
    config: DetectorConfig = replace(MASK, backbone=ResNetConfig())
    for network in (detector(MASK).eval(), detector(config).eval()):
        with torch.inference_mode():
            assert network([torch.rand(3, *size)])[0]["boxes"].shape[1] == 4


@pytest.mark.parametrize("kind", ["retina", "cascade"])
def test_bfloat16_finds_and_learns(kind: str) -> None:
    network = detector(KINDS[kind])
    pictures, targets = shapes(2, (64, 64))
    with torch.autocast("cpu", torch.bfloat16):
        losses = network(pictures, targets)
        sum(value.mean() for value in losses.values()).backward()
        with torch.inference_mode():
            found = network.eval()(pictures)[0]
    assert all(v.dtype == torch.float32 and v.isfinite().all() for v in losses.values())
    assert found["boxes"].dtype == found["scores"].dtype == torch.float32


def test_blocks_are_recomputed_and_listed() -> None:
    pictures, targets = shapes(2, (64, 64))
    gradients = []
    for recompute in (False, True):
        network = detector(RETINA)
        network.set_grad_checkpointing(recompute)
        assert len(network.blocks()) == 4
        losses = network(pictures, targets)
        losses["boxes"].mean().backward()
        gradients.append(network.maps.backbone.stem.conv1.weight.grad)  # pyright: ignore[reportAttributeAccessIssue]
    torch.testing.assert_close(gradients[0], gradients[1])
    plain = detector(replace(RETINA, backbone=ResNetConfig()))
    plain.set_grad_checkpointing()
    assert plain.blocks() == []


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "multiaxis.tasks.detect.networks.parts"
    monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torchvision.models.detection._utils", None)  # pyright: ignore[reportArgumentType] (hides it)
    with pytest.raises(MissingExtraError, match=r"multiaxis\[detect\]"):
        importlib.import_module(name)
