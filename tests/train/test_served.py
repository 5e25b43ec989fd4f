"""Weights of a training are classified with what they were validated with."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import small_recipe
from multiaxis.cli.classify import classify
from multiaxis.cli.options import ModelOptions
from multiaxis.errors import WeightsError
from multiaxis.tasks.classify.classifier import Classifier
from multiaxis.tasks.classify.rules import find_preprocessing
from multiaxis.tasks.classify.samples import ClassFolders
from multiaxis.train import train
from multiaxis.train.override import override
from multiaxis.weights.load import convert_weights
from multiaxis.weights.store import read_safetensors, write_safetensors
from multiaxis.zoo import open_model

NAMES = ("cat", "dog")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Oblong pictures of two classes, so that it matters what part of them is seen."""
    root = tmp_path_factory.mktemp("served")
    rng = np.random.default_rng(0)
    for name in NAMES:
        (root / "data" / name).mkdir(parents=True)
        for k, shape in enumerate([(40, 61, 3), (57, 40, 3)]):
            pixels = rng.integers(0, 256, shape, np.uint8)
            Image.fromarray(pixels).save(root / "data" / name / f"{k}.png")
    return root


@pytest.fixture(scope="module")
def weights(folder: Path) -> Path:
    """The model's image_size is 32, and it is trained on 16 and validated on 24 pixels."""
    recipe = override(small_recipe.classes(folder / "data"), ["run.steps=2"])
    held_out = ClassFolders(folder=str(folder / "data"), size=24, train=False)
    return train(replace(recipe, valid=held_out, valid_samples=4), folder / "run").weights


def test_the_classifier_sees_what_validation_saw(folder: Path, weights: Path) -> None:
    source = ClassFolders(folder=str(folder / "data"), size=24, train=False).open()
    classifier = Classifier(weights=weights, device="cpu")
    assert classifier.labels == NAMES
    assert classifier.preprocessing.size == (24, 24)
    model = open_model(weights)
    for k in range(len(source)):
        shown = source.sample(k, np.random.default_rng(0))["picture"]
        with torch.no_grad():
            expected = model(torch.from_numpy(shown).permute(2, 0, 1)[None])
        found = classifier.logits([source.name(k)])
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_the_command_names_the_folders(
    folder: Path, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ModelOptions(weights=str(weights), device="cpu")
    picture = folder / "data" / "dog" / "0.png"
    assert classify([str(picture)], as_json=True, options=options) == 0
    row = json.loads(capsys.readouterr().out)
    assert sorted(p["label"] for p in row["predictions"]) == list(NAMES)


def test_what_is_asked_for_goes_before_what_is_stated(weights: Path) -> None:
    resized = Classifier(weights=weights, image_size=64, labels=["a", "b"], device="cpu")
    stated = Classifier(weights=weights, device="cpu").preprocessing
    assert resized.preprocessing == replace(stated, size=(64, 64))
    assert resized.labels == ("a", "b")
    timm = Classifier(weights=weights, preprocessing="timm", device="cpu").preprocessing
    assert timm == find_preprocessing("timm", (24, 24), num_classes=2)


def test_trained_without_validation(folder: Path, tmp_path: Path) -> None:
    recipe = override(small_recipe.classes(folder / "data"), ["run.steps=1"])
    weights = train(replace(recipe, valid=None), tmp_path / "run").weights
    assert Classifier(weights=weights, device="cpu").preprocessing.size == (16, 16)


def test_converted_weights_still_state_it(weights: Path, tmp_path: Path) -> None:
    convert_weights(weights, tmp_path / "c.safetensors")
    one, two = (Classifier(weights=w, device="cpu") for w in (weights, tmp_path / "c.safetensors"))
    assert (one.preprocessing, NAMES) == (two.preprocessing, two.labels)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": ["cat"]}, "names 1 classes and distinguishes 2"),
        ({"labels": "cat"}, "states a way to classify that is unknown"),
        ({"preprocessing": {"style": "opencv"}}, "states a way to classify that is unknown"),
    ],
)
def test_damaged_statements(
    weights: Path, tmp_path: Path, change: dict[str, object], message: str
) -> None:
    tensors, metadata = read_safetensors(weights)
    damaged = tmp_path / "damaged.safetensors"
    changed = {key: json.dumps(value) for key, value in change.items()}
    write_safetensors(damaged, tensors, {**metadata, **changed})
    with pytest.raises(WeightsError, match=message):
        Classifier(weights=damaged, device="cpu")
