"""Boxes and masks follow every change of their picture."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from multiaxis.data.batch import Batch
from multiaxis.data.load import Share, passes
from multiaxis.errors import ConfigError, DataError
from multiaxis.tasks.detect.augment import (
    FILL,
    Frame,
    Scene,
    coloured,
    cut,
    jittered,
    turned,
    whole,
)
from multiaxis.tasks.detect.masks import bounds, encode
from multiaxis.tasks.detect.samples import AnnotatedFolder, AnnotatedSource, MadeUpScenes


def rectangles(height: int = 60, width: int = 90) -> Scene:
    """Two filled rectangles on black, each the brightest of its channel."""
    boxes = np.array([[10, 20, 40, 50], [50, 5, 80, 25]], np.float32)
    masks = np.zeros((2, height, width), bool)
    picture = np.zeros((height, width, 3), np.uint8)
    for k, (left, top, right, bottom) in enumerate(boxes.astype(int)):
        masks[k, top:bottom, left:right] = True
        picture[masks[k], k] = 255
    return Scene(picture, boxes, np.array([0, 1]), np.zeros(2, bool), masks)


def check(scene: Scene, slack: float = 1.01) -> None:
    """Hold boxes and masks against the pixels that they are of."""
    assert scene.masks is not None
    for label, box, mask in zip(scene.labels, scene.boxes, scene.masks, strict=True):
        other = scene.picture[..., 2].astype(int)  # where the canvas is empty it is grey
        seen = bounds(scene.picture[..., label].astype(int) - other >= 128)
        assert seen is not None
        np.testing.assert_allclose(box, seen, atol=slack)
        np.testing.assert_allclose(box, bounds(mask), atol=slack)


@pytest.mark.parametrize("way", range(8))
def test_flips_and_turns(way: int) -> None:
    changed = turned(rectangles(), way)
    check(changed, slack=0)
    assert changed.size == ((90, 60) if way & 4 else (60, 90))


@given(st.integers(0, 10_000), st.floats(0.3, 1.0), st.floats(1.0, 3.0))
def test_large_scale_jitter(seed: int, low: float, high: float) -> None:
    scene, rng = rectangles(), np.random.default_rng(seed)
    frame = jittered(scene.size, 64, (low, high), rng)
    made = cut(scene, frame)
    assert made.picture.shape == (64, 64, 3)
    assert len(made.boxes) == len(made.labels) == len(made.crowd)
    assert (made.boxes >= 0).all()
    assert (made.boxes <= 64).all()
    check(made, slack=1.6)


def test_whole_pictures_keep_their_shape_on_a_square() -> None:
    made = cut(rectangles(), whole((60, 90), 180))
    assert made.size == (180, 180)
    assert (made.picture[120:] == FILL).all()
    np.testing.assert_allclose(made.boxes, 2 * rectangles().boxes)
    check(made)
    assert whole((1, 3000), 100).scaled == (1, 100)
    same = rectangles()
    np.testing.assert_array_equal(cut(same, whole((60, 90), 90)).picture[:60], same.picture)


def test_what_is_out_of_sight_is_left_out() -> None:
    made = cut(rectangles(), Frame((60, 90), (0, 0, 45, 60), (0, 0), (60, 45)))
    assert made.labels.tolist() == [0]
    part = cut(rectangles(), Frame((60, 90), (20, 30, 80, 60), (4, 5), (40, 70)))
    assert part.labels.tolist() == [0]
    np.testing.assert_allclose(part.boxes, [[4, 5, 24, 25]])
    sliver = cut(rectangles(), Frame((60, 90), (0, 0, 51, 60), (0, 0), (60, 51)))
    assert sliver.labels.tolist() == [0, 1]  # a pixel is enough
    assert cut(sliver.keep(np.array([], int)), whole((60, 51), 30)).boxes.shape == (0, 4)


def test_colours_change_and_nothing_else() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    made = coloured(picture, 0.5, np.random.default_rng(1))
    assert made.shape == picture.shape
    assert (made != picture).any()
    np.testing.assert_array_equal(coloured(picture, 0.0, np.random.default_rng(1)), picture)


@pytest.fixture
def folder(tmp_path: Path) -> AnnotatedFolder:
    scene = rectangles()
    assert scene.masks is not None
    names = ["a.png", "b.png", "c.png"]
    for name in names:
        Image.fromarray(scene.picture).save(tmp_path / name)
    annotations = [
        {
            "id": 10 * k + n,
            "image_id": k,
            "category_id": n + 1,
            "bbox": [float(b[0]), float(b[1]), float(b[2] - b[0]), float(b[3] - b[1])],
            "segmentation": encode(scene.masks[n]),
        }
        for k in range(2)
        for n, b in enumerate(scene.boxes)
    ]
    coco = {
        "images": [
            {"id": k, "file_name": n, "width": 90, "height": 60} for k, n in enumerate(names)
        ],
        "categories": [{"id": 1, "name": "red"}, {"id": 2, "name": "green"}],
        "annotations": annotations,
    }
    (tmp_path / "truth.json").write_text(json.dumps(coco))
    return AnnotatedFolder(
        folder=str(tmp_path),
        annotations=str(tmp_path / "truth.json"),
        size=48,
        scale=(0.8, 1.5),
        masks=True,
        flip="any",
        colour=0.2,
    )


def first_batch(source: AnnotatedSource, workers: int = 0) -> Batch:
    share = Share(batch=3, workers=workers)
    return next(iter(passes(source, 0, share, first=0, end=1)))


def test_samples_are_batches_of_pictures_with_ragged_truth(folder: AnnotatedFolder) -> None:
    source = folder.open()
    assert not source.is_fixed
    batch = first_batch(source)
    assert [tuple(p.shape) for p in batch["picture"]] == [(48, 48, 3)] * 3
    counts = {
        int(item): len(boxes) for item, boxes in zip(batch["item"], batch["boxes"], strict=True)
    }
    assert counts[2] == 0  # a picture without anything
    for boxes, labels, masks in zip(batch["boxes"], batch["labels"], batch["masks"], strict=True):
        assert boxes.shape == (len(labels), 4)
        assert masks.shape == (len(labels), 48, 48)
        assert set(labels.tolist()) <= {1, 2}
    again = first_batch(folder.open())
    assert all((a == b).all() for a, b in zip(batch["picture"], again["picture"], strict=True))


def test_held_out_pictures_are_whole(folder: AnnotatedFolder) -> None:
    held = replace(
        folder.held_out(), folder=folder.folder, annotations=folder.annotations, masks=False
    )
    assert held.open().is_fixed
    batch = first_batch(held.open())
    assert [tuple(p.shape) for p in batch["picture"]] == [(48, 48, 3)] * 3
    assert "masks" not in batch.fields


def test_settings_that_cannot_work(folder: AnnotatedFolder) -> None:
    with pytest.raises(ConfigError, match=r"data\.scale is \(2\.0, 1\.0\)"):
        replace(folder, scale=(2.0, 1.0))
    with pytest.raises(ConfigError, match=r"data\.size is 8"):
        replace(folder, size=8)
    path = Path(folder.annotations)
    coco: dict[str, Any] = json.loads(path.read_text())
    del coco["annotations"][0]["segmentation"]
    path.write_text(json.dumps(coco))
    with pytest.raises(DataError, match=r"without a mask, such as annotation 0 of a\.png, and"):
        folder.open()
    assert len(replace(folder, masks=False).open()) == 3


def test_a_picture_that_changed_is_named(folder: AnnotatedFolder) -> None:
    source = folder.open()
    Image.new("RGB", (9, 9)).save(Path(folder.folder) / "a.png")
    with pytest.raises(DataError, match=r"a\.png has 9 x 9 pixels now"):
        source.sample(0, np.random.default_rng(0))


def test_made_up_scenes() -> None:
    source = MadeUpScenes(size=40, masks=True).open()
    sample = source.sample(3, np.random.default_rng(0))
    assert sample["picture"].shape == (40, 40, 3)
    assert sample["masks"].any(axis=(1, 2)).all()
    assert source.truth.names == ["class 1", "class 2", "class 3"]
