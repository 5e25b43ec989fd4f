"""Detectors are trained by recipes, scored on the way, and state what they are."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import small_detections
import small_recipe
from multiaxis.data.batch import Batch
from multiaxis.errors import ConfigError, DataError
from multiaxis.tasks.detect.detector import Detector
from multiaxis.tasks.detect.losses import AveragePrecision
from multiaxis.tasks.detect.samples import AnnotatedSource, MadeUpScenes
from multiaxis.train import dry_run, train
from multiaxis.train.lines import read_lines
from multiaxis.train.recipe import Recipe
from multiaxis.train.session import open_session


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_detections.write_set(tmp_path_factory.mktemp("shapes"))


@pytest.mark.thorough
@pytest.mark.parametrize("masks", [False, True])
def test_a_training_gives_a_detector(masks: bool, truth: Path, tmp_path: Path) -> None:
    outcome = train(small_detections.recipe(truth, masks=masks), tmp_path)
    assert outcome.score is not None
    assert 0 <= outcome.score <= 1
    lines = read_lines(tmp_path / "log.jsonl")
    scores = next(line for line in lines if "AP50" in str(line))
    assert ("mask_AP50" in str(scores)) == masks
    found = Detector(outcome.weights, threshold=0.0, device="cpu")
    assert found.labels == ("square", "disc", "bar")
    assert found.categories == small_detections.CLASSES
    assert (found.size, found.finds_masks) == (64, masks)
    assert isinstance(found.detect(truth.parent / "0.png"), list)


@pytest.mark.thorough
def test_it_starts_from_a_detector_of_other_classes(truth: Path, tmp_path: Path) -> None:
    recipe = small_detections.recipe(truth, steps=1)
    first = train(recipe, tmp_path / "first")
    coco = json.loads(truth.read_text())
    coco["categories"].append({"id": 99, "name": "star"})
    path = truth.parent / "more.json"
    path.write_text(json.dumps(coco))
    more = replace(
        recipe,
        model=replace(recipe.model, weights=str(first.weights)),
        data=replace(recipe.data, annotations=str(path)),  # pyright: ignore[reportArgumentType]
    )
    assert Detector(train(more, tmp_path / "more").weights).labels[-1] == "star"


def opened(recipe: Recipe, folder: Path) -> None:
    open_session(recipe, folder)


def test_data_that_does_not_fit_is_refused(truth: Path, tmp_path: Path) -> None:
    recipe = small_detections.recipe(truth, masks=True)
    with pytest.raises(ConfigError, match=r"finds masks, and data\.masks is false"):
        opened(replace(recipe, data=replace(recipe.data, masks=False)), tmp_path)  # pyright: ignore[reportCallIssue]
    coco = json.loads(truth.read_text())
    coco["categories"][0]["name"] = "circle"
    other = tmp_path / "other.json"
    other.write_text(json.dumps(coco))
    boxes = small_detections.recipe(truth)
    valid = replace(boxes.data, annotations=str(other), train=False)  # pyright: ignore[reportCallIssue]
    with pytest.raises(ConfigError, match="valid has classes that data has not, such as circle"):
        opened(replace(boxes, valid=valid), tmp_path)
    coco["categories"][0]["name"] = "square"
    other.write_text(json.dumps({**coco, "annotations": []}))
    with pytest.raises(ConfigError, match="nothing is annotated in valid.*to score on"):
        opened(replace(boxes, valid=valid), tmp_path)
    with pytest.raises(ConfigError, match="nothing is annotated in data.*to learn from"):
        opened(replace(boxes, data=replace(boxes.data, annotations=str(other))), tmp_path)  # pyright: ignore[reportCallIssue]
    coco["annotations"][0]["bbox"] = [1, 1, 0, 0]
    other.write_text(json.dumps(coco))
    with pytest.raises(DataError, match="the empty box"):
        opened(replace(boxes, data=replace(boxes.data, annotations=str(other))), tmp_path)  # pyright: ignore[reportCallIssue]
    with pytest.raises(ConfigError, match="unknown detector 'maxvit_pico'"):
        opened(replace(boxes, model=replace(boxes.model, name="maxvit_pico")), tmp_path)
    (tmp_path / "classes" / "one").mkdir(parents=True)
    Image.new("RGB", (40, 40)).save(tmp_path / "classes" / "one" / "0.png")
    labelled = small_recipe.classes(tmp_path / "classes").data
    with pytest.raises(ConfigError, match="have no boxes"):
        opened(replace(boxes, data=labelled), tmp_path)


def test_the_metric_knows_every_picture_once(truth: Path) -> None:
    """A perfect network has AP 1, whatever the size that it saw, and however often."""
    recipe = small_detections.recipe(truth, masks=True)
    assert recipe.valid is not None
    source = recipe.valid.open()
    assert isinstance(source, AnnotatedSource)
    metric = AveragePrecision(source.truth, source.truth.names, masks=True)

    def perfect(pictures: list[torch.Tensor]) -> list[dict[str, torch.Tensor]]:
        assert all(p.min() >= 0 and p.max() <= 1 for p in pictures)
        return [
            {
                "boxes": torch.from_numpy(sample["boxes"]),
                "labels": torch.from_numpy(sample["labels"]),
                "scores": torch.ones(len(sample["labels"])),
                "masks": torch.from_numpy(sample["masks"]),
            }
        ]

    for index in [*range(len(source)), 0]:
        sample = source.sample(index, np.random.default_rng(0))
        fields = {"picture": [torch.from_numpy(sample["picture"])], "item": torch.tensor([index])}
        metric.add({"model": perfect}, Batch(fields, torch.tensor([index])))  # pyright: ignore[reportArgumentType]
    figures = metric.compute()
    assert figures["AP"] == pytest.approx(1)
    assert figures["mask_AP50"] == pytest.approx(1)
    assert figures["mask_AP"] > 0.9  # scaled down and up again
    assert "AP_large" not in figures
    metric.records = metric.records[:1]  # what was not looked at does not count
    assert metric.compute()["AP"] == pytest.approx(1)


def test_classes_that_are_not_held_out_do_not_count(truth: Path) -> None:
    source = small_detections.recipe(truth).data.open()
    assert isinstance(source, AnnotatedSource)
    metric = AveragePrecision(source.truth, ["other", *source.truth.names], masks=False)

    def wrong(pictures: list[torch.Tensor]) -> list[dict[str, torch.Tensor]]:
        box = torch.tensor([[1.0, 1, 9, 9]])
        return [{"boxes": box, "labels": torch.tensor([1]), "scores": torch.ones(1)}]

    sample = source.sample(0, np.random.default_rng(0))
    fields = {"picture": [torch.from_numpy(sample["picture"])], "item": torch.tensor([0])}
    metric.add({"model": wrong}, Batch(fields, torch.tensor([0])))  # pyright: ignore[reportArgumentType]
    assert metric.compute()["AP"] == 0


@pytest.mark.thorough
def test_a_rehearsal_needs_no_data(truth: Path) -> None:
    recipe = small_detections.recipe(truth, masks=True)
    assert isinstance(recipe.data.made_up({}), MadeUpScenes)
    told = str(dry_run(replace(recipe, data=replace(recipe.data, folder="none"))))  # pyright: ignore[reportCallIssue]
    assert "made-up" in told
