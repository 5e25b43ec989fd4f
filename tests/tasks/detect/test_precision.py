"""Average precision of predictions made by hand has the known values."""

from __future__ import annotations

import io
import json
import math
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from multiaxis.tasks.detect.annotations import read_annotations
from multiaxis.tasks.detect.found import Found, to_found
from multiaxis.tasks.detect.masks import encode
from multiaxis.tasks.detect.precision import FIGURES, score
from multiaxis.tasks.detect.truth import Annotated, Category, Instance, Truth

SIDE, COUNT = 200, 5


def disc(x: float, y: float, radius: float) -> np.ndarray[Any, Any]:
    rows, columns = np.mgrid[:SIDE, :SIDE] + 0.5
    return (rows - y) ** 2 + (columns - x) ** 2 <= radius**2


@pytest.fixture(scope="module")
def truth() -> Truth:
    """Five pictures of four discs, of two classes, small and medium."""
    rng = np.random.default_rng(0)
    pictures: list[Annotated] = []
    for k in range(COUNT):
        things: list[Instance] = []
        for n in range(4):
            radius = 20.0 if n % 2 else 10.0
            x, y = 50 + 100 * (n // 2) + rng.integers(-9, 9), 50 + 100 * (n % 2)
            given = (x - radius, y - radius, 2 * radius, 2 * radius)
            box = (x - radius, y - radius, x + radius, y + radius)
            mask = encode(disc(x, y, radius))
            things.append(Instance(4 * k + n, n % 2, box, given, 4 * radius**2, False, mask))
        pictures.append(Annotated(k + 1, f"{k}.png", SIDE, SIDE, tuple(things)))
    return Truth("discs", (Category(3, "small"), Category(90, "large")), tuple(pictures))


def results(truth: Truth, shift: float = 0.0, share: float = 1.0) -> list[dict[str, Any]]:
    """The truth as results, with boxes moved by a share of their width, and masks as they are."""
    rows: list[dict[str, Any]] = []
    for picture in truth.pictures:
        kept = picture.instances[: round(share * len(picture.instances))]
        boxes = np.array([t.box for t in kept], np.float32)
        boxes[:, [0, 2]] += shift * (boxes[:, 2:3] - boxes[:, 0:1])
        found = Found(
            boxes,
            np.array([t.label for t in kept]),
            np.full(len(kept), 0.9, np.float32),
            tuple(t.mask for t in kept),
        )
        rows += found.as_results(picture.id, [c.id for c in truth.classes])
    return rows


@pytest.mark.parametrize("kind", ["bbox", "segm"])
def test_perfect_predictions(truth: Truth, kind: Any) -> None:
    made = score(truth, results(truth), kind)
    assert tuple(made.figures) == FIGURES
    assert math.isnan(made.figures["AP_large"])  # there are none
    rest = {name: v for name, v in made.figures.items() if not name.endswith("large")}
    assert rest.pop("AR1") == 0.5  # of two of each class in a picture
    assert all(value == pytest.approx(1) for value in rest.values())
    assert made.by_class == {"small": (pytest.approx(1), pytest.approx(1)),
                             "large": (pytest.approx(1), pytest.approx(1))}  # fmt: skip


@pytest.mark.parametrize("iou", [0.52, 0.62, 0.77, 0.93])
def test_shifted_boxes_count_up_to_their_iou(truth: Truth, iou: float) -> None:
    # Moved by a share s of the width, a box has the IoU (1 - s) / (1 + s) with itself.
    made = score(truth, results(truth, shift=(1 - iou) / (1 + iou)))
    reached = sum(iou >= threshold for threshold in np.arange(0.5, 0.96, 0.05))
    assert made.figures["AP"] == pytest.approx(reached / 10)
    assert made.figures["AP50"] == pytest.approx(1)
    assert made.figures["AP75"] == pytest.approx(float(iou >= 0.75))
    assert score(truth, results(truth, shift=0.5), "segm").figures["AP"] == pytest.approx(1)


def test_nothing_found_is_nothing(truth: Truth) -> None:
    made = score(truth, [])
    assert made.figures["AP"] == 0
    assert made.figures["AR100"] == 0
    assert score(truth, results(truth, shift=-1.3)).figures["AP50"] == 0


def test_half_of_the_things(truth: Truth) -> None:
    # All found are right, and recall ends at one half: 51 of 101 points of the curve.
    assert score(truth, results(truth, share=0.5)).figures["AP"] == pytest.approx(51 / 101)


def test_crowds_are_neither_right_nor_wrong(truth: Truth) -> None:
    def with_crowd(picture: Annotated) -> Annotated:
        first, *rest = picture.instances
        region = Instance(99, first.label, (0, 0, 9, 200), (0, 0, 9, 200), 1800, crowd=True)
        return Annotated(picture.id, picture.name, SIDE, SIDE, (first, *rest, region))

    extra = [
        {"image_id": p.id, "category_id": 3, "score": 0.99, "bbox": [1, 1, 5, 5]}
        for p in truth.pictures
    ]
    wanted = score(truth, results(truth)).figures["AP"]
    assert score(truth, [*results(truth), *extra]).figures["AP"] < wanted
    crowded = truth.map_pictures(with_crowd)
    assert score(crowded, [*results(truth), *extra]).figures["AP"] == pytest.approx(wanted)


@pytest.mark.thorough
def test_figures_are_those_of_pycocotools_on_the_file(shared_dir: Path, tmp_path: Path) -> None:
    path = shared_dir / "data" / "detect_cells" / "val.json"
    truth = read_annotations(path)
    rng = np.random.default_rng(1)
    rows: list[dict[str, Any]] = []
    for picture in truth.pictures:
        for thing in picture.instances:
            if rng.random() < 0.8:
                box = [float(n) for n in np.array(thing.given) + rng.normal(0, 4, 4)]
                label = truth.classes[thing.label].id
                row = {"image_id": picture.id, "category_id": label, "bbox": box}
                rows.append({**row, "score": float(rng.random())})
    with redirect_stdout(io.StringIO()):
        (tmp_path / "results.json").write_text(json.dumps(rows))
        wanted = COCO(str(path))
        run = COCOeval(wanted, wanted.loadRes(str(tmp_path / "results.json")), "bbox")
        run.evaluate()
        run.accumulate()
        run.summarize()
    made = score(truth, rows)
    assert list(made.figures.values()) == run.stats.tolist()
    assert np.mean([ap for ap, _ in made.by_class.values()]) == pytest.approx(made.figures["AP"])


def test_results_lie_in_the_picture_that_was_asked_about() -> None:
    mask = torch.zeros(2, 50, 100)
    mask[1, 10:20, 30:50] = 1
    made = {
        "boxes": torch.tensor([[0.0, 0, 10, 10], [30, 10, 50, 20]]),
        "labels": torch.tensor([1, 2]),
        "scores": torch.tensor([0.2, 0.7]),
        "masks": mask,
    }
    found = to_found(made, (50, 100), (100, 200))
    assert found.scores.tolist() == [pytest.approx(0.7), pytest.approx(0.2)]
    assert found.boxes[0].tolist() == [60, 20, 100, 40]
    assert found.labels.tolist() == [1, 0]
    (row,) = to_found(made, (50, 100), (100, 200), threshold=0.5).as_results(8, [3, 90])
    assert (row["bbox"], row["category_id"]) == ([60, 20, 40, 20], 90)
    from multiaxis.tasks.detect.masks import decode

    np.testing.assert_array_equal(
        decode(row["segmentation"], 100, 200)[22:38, 62:98], np.ones((16, 36), bool)
    )
    assert decode(row["segmentation"], 100, 200).sum() == pytest.approx(800, abs=20)
