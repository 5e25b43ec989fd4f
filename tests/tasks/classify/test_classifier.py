"""The classifier and its command, with a model of a few thousand parameters."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import small_maxim
from multiaxis.cli.classify import classify
from multiaxis.cli.options import ModelOptions
from multiaxis.errors import ConfigError, ImageError, ShapeError, WeightsError
from multiaxis.images import read_picture
from multiaxis.models.maxvit import MaxViT, MaxViTConfig
from multiaxis.tasks.classify.classifier import Classifier, Prediction
from multiaxis.tasks.classify.preprocess import preprocess
from multiaxis.tasks.classify.rules import find_preprocessing
from multiaxis.weights.store import write_safetensors

SMALL: dict[str, Any] = {
    "stem_widths": (8, 8),
    "depths": (1, 1),
    "widths": (8, 16),
    "head_dim": 8,
    "num_classes": 7,
    "image_size": 64,
}


def small(**config: Any) -> MaxViT:
    torch.manual_seed(0)
    model = MaxViT(MaxViTConfig(**{**SMALL, **config})).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return model


def save(path: Path, model: MaxViT) -> Path:
    write_safetensors(path, model.state_dict(), {"config": json.dumps(asdict(model.config))})
    return path


@pytest.fixture
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (90, 70, 3), np.uint8)


def test_the_likeliest_classes_of_the_models_own_logits(pixels: np.ndarray) -> None:
    model = small()
    classifier = Classifier(model, device="cpu")
    rules = find_preprocessing("authors", (64, 64), num_classes=7)
    assert classifier.preprocessing == rules
    inputs = torch.from_numpy(preprocess(pixels, rules)).permute(2, 0, 1)[None]
    with torch.no_grad():
        expected = model(inputs).softmax(dim=1)[0]
    found = classifier.classify(pixels, top=3)
    assert [p.index for p in found] == expected.argsort(descending=True)[:3].tolist()
    assert [p.probability for p in found] == pytest.approx(
        expected.sort(descending=True).values[:3].tolist(), rel=1e-5
    )
    assert found[0].label == f"class {found[0].index}"
    assert sum(p.probability for p in classifier.classify(pixels, top=99)) == pytest.approx(1)


def test_all_that_holds_a_picture_gives_the_same(pixels: np.ndarray, tmp_path: Path) -> None:
    image = Image.fromarray(pixels)
    path = tmp_path / "a.png"
    image.save(path)
    alpha = np.dstack([pixels, np.full(pixels.shape[:2], 9, np.uint8)])
    sources = [path, str(path), image, read_picture(path), pixels, alpha]
    sources += [pixels.astype(np.uint16) * 257, pixels.astype(np.float32) / 255] * 2
    classifier = Classifier(small(), device="cpu")
    expected = classifier.classify(pixels)
    for found in classifier.classify(sources):
        assert [p.index for p in found] == [p.index for p in expected]
        assert found[0].probability == pytest.approx(expected[0].probability, rel=1e-5)
    grey = classifier.classify([pixels[..., 0], np.repeat(pixels[..., :1], 3, axis=2)])
    assert grey[0] == grey[1]
    assert classifier.classify([]) == []


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        (np.zeros((4, 4, 5), np.uint8), ShapeError, r"wanted \(height, width, 1 or 3\)"),
        (np.full((4, 4, 3), 200.0), ShapeError, "beyond 0 to 1"),
        (np.full((4, 4, 3), np.nan), ShapeError, "beyond 0 to 1"),
        (np.zeros((4, 4, 3), np.int64), ShapeError, "int64"),
        (7, ShapeError, "received a int"),
        ("none.png", ImageError, "no such file"),
    ],
)
def test_what_is_no_picture(source: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Classifier(small(), device="cpu").classify(source)


def test_weights_from_a_file(pixels: np.ndarray, tmp_path: Path) -> None:
    model = small()
    file = save(tmp_path / "small.safetensors", model)
    found = Classifier(weights=file, device="cpu", labels="abcdefg").classify(pixels)
    expected = Classifier(model, device="cpu").classify(pixels)
    assert [(p.index, p.probability) for p in found] == [(p.index, p.probability) for p in expected]
    assert found[0].label == "abcdefg"[found[0].index]
    with pytest.raises(WeightsError, match="no published variant, not of maxvit_base"):
        Classifier("maxvit_base", weights=file, device="cpu")
    maxim = small_maxim.write_npz(tmp_path / "maxim.npz", small_maxim.model())
    with pytest.raises(WeightsError):
        Classifier(weights=maxim, device="cpu")


def test_what_cannot_work() -> None:
    for options, message in [
        ({"model": small(num_classes=0)}, "3 channels and 0 classes"),
        ({"model": small(in_channels=1)}, "1 channels and 7 classes"),
        ({"model": small(), "labels": ["a"]}, "received 1 labels: the model has 7"),
        ({"model": small(), "weights": "x"}, "a model, and weights"),
        ({"model": small(), "preprocessing": "opencv"}, "unknown preprocessing 'opencv'"),
        ({"model": "maxim_s2"}, "unknown classifier 'maxim_s2'"),
        ({"model": small(), "device": "tpu"}, "unknown device 'tpu'"),
        ({"model": small(), "dtype": "float64"}, "unknown dtype 'float64'"),
    ]:
        with pytest.raises(ConfigError, match=message):
            Classifier(**{"device": "cpu", **options})
    with pytest.raises(ConfigError, match="top is 0"):
        Classifier(small(), device="cpu").classify("a.png", top=0)


def test_a_thousand_classes_are_imagenets_and_bfloat16_is_near(pixels: np.ndarray) -> None:
    model = small(num_classes=1000)
    exact = Classifier(model, device="cpu", preprocessing="timm-224-half")
    assert (exact.labels[292], exact.preprocessing.crop) == ("tiger", 0.95)
    expected = exact.logits([pixels])
    near = Classifier(model, device="cpu", dtype="bfloat16", preprocessing=exact.preprocessing)
    torch.testing.assert_close(near.logits([pixels]), expected, atol=0.2, rtol=0.1)


def test_the_command(
    pixels: np.ndarray, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ModelOptions(weights=str(save(tmp_path / "m.safetensors", small())), device="cpu")
    folder = tmp_path / "in"
    folder.mkdir()
    Image.fromarray(pixels).save(folder / "a.png")
    (folder / "b.png").write_text("nonsense")
    assert classify([str(folder)], top=2, as_json=True, options=options) == 1
    told = capsys.readouterr()
    row = json.loads(told.out)
    expected = Classifier(weights=options.weights, device="cpu").classify(pixels, top=2)
    assert row["input"] == str(folder / "a.png")
    assert [Prediction(**p) for p in row["predictions"]] == expected
    assert "b.png" in told.err
    assert classify([str(folder / "a.png")], top=1, options=options) == 0
    first = expected[0]
    shown = f"  {100 * first.probability:5.1f} %  {first.label} ({first.index})"
    assert capsys.readouterr().out.splitlines() == [str(folder / "a.png"), shown]
    assert classify([str(tmp_path / "*.gif")], options=options) == 2
    assert "holds no pictures to classify" in capsys.readouterr().err


def test_published_weights_name_real_photographs(pretrained: Any, shared_dir: Path) -> None:
    pretrained("maxvit_tiny_224_in1k")
    classifier = Classifier(device="cpu")
    photographs = shared_dir / "data" / "classify"
    for name, classes in [("daisy.jpg", {985}), ("tiger.jpg", {292}), ("car.jpg", {817, 511})]:
        assert classifier.classify(photographs / name, top=1)[0].index in classes


def test_a_folded_copy_classifies_and_a_model_of_other_norms_is_taken_as_it_is(
    pixels: np.ndarray,
) -> None:
    classifier = Classifier(small(), device="cpu")
    norms = [m for m in classifier._folded.modules() if isinstance(m, nn.BatchNorm2d)]
    assert not norms
    assert classifier.model.stages[0][0].mbconv.depthwise_norm.weight.requires_grad
    odd = small()
    odd.stages[0][0].mbconv.depthwise_norm = nn.GroupNorm(1, 32)
    Classifier(odd, device="cpu").classify(pixels)
