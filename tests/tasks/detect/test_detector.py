"""The detector sees every kind of picture alike, and says what it cannot do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import multiaxis
import small_detections
from multiaxis.errors import ConfigError, DataError, ShapeError, WeightsError
from multiaxis.models.store import save_network
from multiaxis.tasks.detect.annotations import read_annotations
from multiaxis.tasks.detect.detector import Detector
from multiaxis.tasks.detect.draw import colour_of, draw
from multiaxis.tasks.detect.evaluate import evaluate
from multiaxis.tasks.detect.found import Found, to_found
from multiaxis.tasks.detect.masks import bounds, decode, encode
from multiaxis.tasks.detect.samples import AnnotatedFolder
from multiaxis.weights.store import write_safetensors
from small_detector import MASK, RETINA, detector


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_detections.write_set(tmp_path_factory.mktemp("shapes"))


@pytest.fixture(scope="module")
def masks(tmp_path_factory: pytest.TempPathFactory) -> Detector:
    path = tmp_path_factory.mktemp("weights") / "mask.safetensors"
    weights = small_detections.write_weights(path, "mask")
    return multiaxis.Detector(weights, threshold=0.0, device="cpu")


def test_all_kinds_of_pictures(truth: Path, masks: Detector, tmp_path: Path) -> None:
    path = truth.parent / "1.png"
    pixels = np.array(Image.open(path))
    found = masks.detect(path)
    assert 0 < len(found) <= 20
    one = found[0]
    assert one.label == masks.labels[one.index]
    assert one.mask is not None
    assert one.mask.shape == (64, 80)
    assert found == sorted(found, key=lambda d: -d.score)
    assert all(0 <= n <= 80 for thing in found for n in thing.box)
    for other in (Image.open(path), pixels, pixels.astype(np.uint16) * 257, pixels / 255):
        assert masks.detect(other) == found
    alpha = np.dstack([pixels, np.full(pixels.shape[:2], 255, np.uint8)])
    assert masks.detect([path, alpha]) == [found, found]
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.rot90(pixels)).save(tmp_path / "turned.png", exif=exif)
    assert masks.detect(tmp_path / "turned.png") == found  # turned once


def test_large_pictures_are_seen_smaller_and_answered_large(masks: Detector, truth: Path) -> None:
    large = Image.open(truth.parent / "1.png").resize((800, 640))
    found = masks.detect(large)
    assert found[0].mask is not None
    assert found[0].mask.shape == (640, 800)
    assert max(n for thing in found for n in thing.box) > 80
    finer = Detector(masks.network, labels=masks.labels, size=200, threshold=0.0, device="cpu")
    assert finer.detect(large) != found


def test_pictures_are_shown_as_in_a_training(masks: Detector, truth: Path) -> None:
    """On the same square: windows fall as they were learnt. What lies beside a picture is out."""
    data = AnnotatedFolder(
        folder=str(truth.parent), annotations=str(truth), size=masks.size, train=False
    )
    wanted = data.open().sample(1, np.random.default_rng(0))["picture"]
    seen: list[torch.Tensor] = []
    hook = masks._folded.register_forward_pre_hook(lambda _, given: seen.append(given[0][0]))
    masks.detect(truth.parent / "1.png")
    hook.remove()
    assert wanted.shape == (80, 80, 3)
    np.testing.assert_array_equal(seen[0].permute(1, 2, 0).mul(255).round().numpy(), wanted)
    mask = torch.zeros(2, 80, 80, dtype=torch.bool)
    mask[:, 60:70, 5:9] = True
    boxes = torch.tensor([[5.0, 60, 9, 70], [5, 66, 9, 70]])
    made = {"boxes": boxes, "labels": torch.ones(2, dtype=torch.int64), "scores": torch.ones(2)}
    found = to_found({**made, "masks": mask}, (64, 80), (64, 80))
    assert found.boxes.tolist() == [[5, 60, 9, 64]]
    assert found.masks is not None
    assert bounds(decode(found.masks[0], 64, 80)) == (5, 60, 9, 64)


def test_threshold_and_classes(truth: Path, masks: Detector) -> None:
    path = truth.parent / "2.png"
    again: dict[str, Any] = {"labels": masks.labels, "size": masks.size, "device": "cpu"}
    found = Detector(masks.network, threshold=masks.threshold, **again).detect(path)
    middle = found[len(found) // 2].score
    chosen = Detector(masks.network, threshold=middle, **again).detect(path)
    assert chosen == [thing for thing in found if thing.score >= middle]
    some = Detector(masks.network, threshold=0.0, classes=["bar"], **again).detect(path)
    assert some == [thing for thing in found if thing.label == "bar"]


def test_what_cannot_work_is_refused(truth: Path, masks: Detector, tmp_path: Path) -> None:
    weights = small_detections.write_weights(tmp_path / "w.safetensors")
    for arguments, message in (
        ({"threshold": 2.0}, "threshold is 2: accepted is 0 to 1"),
        ({"threshold": float("nan")}, "threshold is nan"),
        ({"classes": ["disk"]}, "unknown class 'disk': did you mean disc"),
        ({"size": 8}, "size is 8: accepted is 32"),
        ({"labels": ["a"]}, "weights that name theirs"),
        ({"device": "tpu"}, "tpu"),
    ):
        with pytest.raises(ConfigError, match=message):
            Detector(weights, **arguments)
    with pytest.raises(ConfigError, match="tells 3 classes apart"):
        Detector(masks.network, labels=["a"], size=64)
    with pytest.raises(ConfigError, match="without a size"):
        Detector(masks.network, labels=["a", "b", "c"])
    for wrong in (np.zeros((3, 8)) - 1, "text", 3):
        with pytest.raises((ShapeError, multiaxis.errors.ImageError)):
            masks.detect(wrong)  # type: ignore[call-overload]
    with pytest.raises(ConfigError, match="in the memory of this process"):
        Detector(masks.network, labels=masks.labels, size=64).run(truth.parent, workers=2)


@pytest.mark.thorough
def test_weights_of_something_else(tmp_path: Path) -> None:
    model = multiaxis.create_model("maxvit_pico")
    write_safetensors(tmp_path / "vit.safetensors", model.state_dict(), {"config": "{}"})
    with pytest.raises(WeightsError, match="is no detector"):
        Detector(tmp_path / "vit.safetensors")
    save_network(detector(RETINA), tmp_path / "bare.safetensors")
    with pytest.raises(WeightsError, match="does not name its classes"):
        Detector(tmp_path / "bare.safetensors")
    for stated in ("{", '{"size": 64, "classes": []}', '{"size": -1, "classes": 3}', "[]"):
        save_network(detector(RETINA), tmp_path / "odd.safetensors", {"detector": stated})
        with pytest.raises(WeightsError, match="unknown to this version"):
            Detector(tmp_path / "odd.safetensors")
    with pytest.raises(WeightsError):
        Detector(tmp_path / "none.safetensors")
    detector_weights = small_detections.write_weights(tmp_path / "w.safetensors")
    with pytest.raises(WeightsError):
        multiaxis.Classifier(weights=detector_weights)


@pytest.mark.thorough
def test_what_is_saved_opens_again(truth: Path, masks: Detector, tmp_path: Path) -> None:
    """In a file and in a folder as hubs have them, with classes, their ids and the size."""
    picture = truth.parent / "1.png"
    masks.save(tmp_path / "again.safetensors")
    masks.save_pretrained(tmp_path / "folder", repo_id="me/shapes")
    card = (tmp_path / "folder" / "README.md").read_text()
    assert "multiaxis.Detector('hf-hub:me/shapes')" in card
    assert "boxes and outlines of square, disc, bar" in card
    options: dict[str, Any] = {"threshold": 0.0, "device": "cpu"}
    for found in (
        Detector(tmp_path / "again.safetensors", **options),
        Detector(tmp_path / "folder", **options),
        Detector.from_pretrained(tmp_path / "folder", **options),
    ):
        assert (found.categories, found.size) == (masks.categories, masks.size)
        assert found.detect(picture) == masks.detect(picture)
    with pytest.raises(ConfigError, match=r"must end in \.safetensors: name it a\.safetensors"):
        masks.save(tmp_path / "a.pth")


def test_evaluation_of_a_perfect_detector(
    truth: Path, masks: Detector, monkeypatch: pytest.MonkeyPatch
) -> None:
    annotated = read_annotations(truth)
    left = list(annotated.pictures)

    def perfect(pixels: object, *, threshold: float | None = None) -> Found:
        assert threshold == 0.0
        things = left.pop(0).instances
        return Found(
            np.array([t.box for t in things], np.float32),
            np.array([t.label for t in things]),
            np.ones(len(things), np.float32),
            tuple(t.mask for t in things),
        )

    monkeypatch.setattr(masks, "find", perfect)
    told: list[tuple[str, int]] = []
    made = evaluate(masks, truth.parent, truth, on_picture=lambda *n: told.append(n))
    assert made.boxes.figures["AP"] == pytest.approx(1)
    assert made.masks is not None
    assert made.masks.figures["AP"] == pytest.approx(1)
    assert made.pictures == len(told) == 4
    assert made.failed == ()


def test_evaluation_says_what_it_could_not_do(truth: Path, masks: Detector, tmp_path: Path) -> None:
    labels = ["square", "disc", "line"]
    other = Detector(masks.network, labels=labels, size=64, device="cpu")
    with pytest.raises(ConfigError, match="does not know, such as bar: it knows square"):
        evaluate(other, truth.parent, truth)
    with pytest.raises(DataError, match="cannot read"):
        evaluate(masks, tmp_path, truth)
    path = small_detections.write_set(tmp_path, count=2)
    data = (tmp_path / "0.png").read_bytes()
    (tmp_path / "0.png").write_bytes(data[: len(data) // 2])  # the header is whole
    made = evaluate(masks, tmp_path, path)
    assert [name for name, _ in made.failed] == ["0.png"]
    assert made.pictures == 1


def test_drawings_show_boxes_masks_and_names() -> None:
    mask = np.zeros((60, 90), bool)
    mask[20:40, 30:60] = True
    found = Found(
        np.array([[30, 20, 60, 40]], np.float32),
        np.array([1]),
        np.array([0.9], np.float32),
        (encode(mask),),
    )
    black = np.zeros((60, 90, 3), np.uint8)
    drawn = draw(black, found, ["a", "b"])
    assert not black.any()
    assert tuple(drawn[39, 45]) == colour_of(1)  # the frame
    assert 0 < drawn[30, 45].max() < max(colour_of(1))  # the mask lets the picture through
    assert (drawn[45:] == 0).all()
    assert drawn[:20].any()  # name and score
    small = replace(found, boxes=np.array([[30, 20, 36, 26]], np.float32), masks=None)
    assert not draw(black, small, ["a", "b"])[:20].any()  # a name would hide it
    boxes = draw(black, replace(found, masks=None), ["a", "b"])
    assert not boxes[30, 45].any()
    empty = Found(np.zeros((0, 4), np.float32), np.zeros(0, int), np.zeros(0, np.float32))
    np.testing.assert_array_equal(draw(black, empty, []), black)


def test_bfloat16_is_close(truth: Path, masks: Detector) -> None:
    half = Detector(
        masks.network, labels=masks.labels, size=80, threshold=0.0, device="cpu", dtype="bfloat16"
    )
    assert half.dtype == torch.bfloat16
    one, other = masks.detect(truth.parent / "0.png"), half.detect(truth.parent / "0.png")
    assert one[0].score == pytest.approx(other[0].score, abs=0.1)
    assert MASK.finds_masks
