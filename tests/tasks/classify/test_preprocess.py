"""Preprocessing against the authors' numbers, and against timm's and torchvision's own code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from multiaxis.errors import ConfigError, ShapeError
from multiaxis.tasks.classify.bicubic import resize_bicubic
from multiaxis.tasks.classify.labels import imagenet_labels
from multiaxis.tasks.classify.preprocess import preprocess
from multiaxis.tasks.classify.rules import PREPROCESSINGS, Preprocessing, find_preprocessing
from multiaxis.weights.index import list_checkpoints

IDENTITY = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALVES = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
SIZES = [(187, 250), (250, 187), (300, 300), (60, 41), (225, 1023)]


@pytest.fixture(scope="module")
def golden(shared_dir: Path) -> dict[str, np.ndarray]:
    with np.load(shared_dir / "golden" / "maxvit" / "preprocess.npz") as archive:
        return dict(archive)


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize("side", [64, 224])
def test_the_authors_crop_and_filter_to_the_bit(golden: dict[str, np.ndarray], side: int) -> None:
    top, left, crop = golden[f"crop_{side}"]
    cropped = golden["decoded"][top : top + crop, left : left + crop]
    assert np.array_equal(resize_bicubic(cropped, (side, side)), golden[f"resized_{side}"])
    rules = Preprocessing("authors", (side, side), side / (side + 32), False, *IDENTITY)
    found = preprocess(golden["decoded"], rules) * 255
    np.testing.assert_allclose(found, golden[f"resized_{side}"], atol=1e-4)


@pytest.mark.parametrize(("name", "statistics"), [("imagenet", IMAGENET), ("half", HALVES)])
def test_the_authors_normalisation(golden: dict[str, Any], name: str, statistics: Any) -> None:
    rules = Preprocessing("authors", (64, 64), 64 / 96, False, *statistics)
    expected = golden[f"model_input_64_{name}"]
    np.testing.assert_allclose(preprocess(golden["decoded"], rules), expected, atol=1e-6)


@pytest.mark.parametrize("shape", SIZES)
@pytest.mark.parametrize("size", [(224, 224), (384, 384), (96, 128)])
@pytest.mark.parametrize("mode", ["center", "squash"])
@pytest.mark.parametrize("crop", [0.95, 1.0])
def test_timms_own_transform(
    shape: tuple[int, int], size: tuple[int, int], mode: str, crop: float
) -> None:
    data = pytest.importorskip("timm.data")
    transform = data.create_transform(
        (3, *size),
        interpolation="bicubic",
        mean=IMAGENET[0],
        std=IMAGENET[1],
        crop_pct=crop,
        crop_mode=mode,
    )
    pixels = noise(*shape)
    expected = transform(Image.fromarray(pixels)).permute(1, 2, 0).numpy()
    rules = Preprocessing("pillow", size, crop, mode == "squash", *IMAGENET)
    np.testing.assert_allclose(preprocess(pixels, rules), expected, atol=1e-6)


@pytest.mark.parametrize("shape", SIZES)
def test_torchvisions_own_transform(shape: tuple[int, int]) -> None:
    models = pytest.importorskip("torchvision.models")
    pixels = noise(*shape)
    transform = models.MaxVit_T_Weights.IMAGENET1K_V1.transforms()
    expected = transform(Image.fromarray(pixels)).permute(1, 2, 0).numpy()
    found = preprocess(pixels, find_preprocessing("torchvision"))
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "side", "classes"),
    [
        ("maxvit_tiny_tf_224.in1k", 224, 1000),
        ("maxvit_tiny_tf_384.in1k", 384, 1000),
        ("maxvit_base_tf_224.in21k", 224, 21843),
        ("maxvit_xlarge_tf_512.in21k_ft_in1k", 512, 1000),
    ],
)
def test_timms_published_settings(name: str, side: int, classes: int) -> None:
    published = pytest.importorskip("timm.models").get_pretrained_cfg(name)
    rules = find_preprocessing("timm", (side, side), num_classes=classes)
    assert rules.crop == published.crop_pct
    assert rules.squash == (published.crop_mode == "squash")
    assert (rules.mean, rules.std) == (published.mean, published.std)
    authors = find_preprocessing("authors", (side, side), num_classes=classes)
    assert (authors.mean, authors.std) == (rules.mean, rules.std)


@settings(deadline=None, max_examples=50)
@given(
    shape=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    style=st.sampled_from(["authors", "pillow"]),
    crop=st.floats(0.3, 1),
    squash=st.booleans(),
)
def test_any_shape_works_and_one_colour_stays(
    shape: tuple[int, int], size: tuple[int, int], style: Any, crop: float, squash: bool
) -> None:
    rules = Preprocessing(style, size, crop, squash, *IDENTITY)
    found = preprocess(np.full((*shape, 3), 51, np.uint8), rules)
    assert (found.shape, found.dtype) == ((*size, 3), np.float32)
    np.testing.assert_allclose(found, 0.2, atol=1e-5)


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (np.zeros((4, 4), np.uint8), r"shape \(4, 4\)"),
        (np.zeros((4, 4, 4), np.uint8), "8-bit RGB"),
        (np.zeros((0, 4, 3), np.uint8), r"\(0, 4, 3\)"),
        (np.zeros((4, 4, 3), np.float32), "received float32"),
        (np.zeros((1, 101, 3), np.uint8), "101x1: accepted are sides"),
    ],
)
def test_refused_pictures(pixels: np.ndarray, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        preprocess(pixels, find_preprocessing("timm"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"style": "opencv"}, "style is 'opencv'"),
        ({"size": (0, 1)}, "size is"),
        ({"size": [224]}, "size is"),
        ({"crop": 1.1}, "crop is 1.1"),
        ({"mean": (0.5,)}, "mean is"),
        ({"std": (0.5, 0.5, 0)}, "std is"),
    ],
)
def test_refused_rules(change: dict[str, Any], message: str) -> None:
    good: dict[str, Any] = {"style": "authors", "size": [2, 2], "crop": 1, "squash": False}
    good |= {"mean": [0, 0, 0], "std": [1, 1, 1]}
    assert Preprocessing(**good).size == (2, 2)
    with pytest.raises(ConfigError, match=message):
        Preprocessing(**{**good, **change})
    with pytest.raises(ConfigError, match="did you mean timm"):
        find_preprocessing("tim")


def test_labels_are_the_thousand_of_imagenet() -> None:
    labels = imagenet_labels()
    assert len(labels) == 1000
    assert all(label == label.strip() != "" for label in labels)
    assert [labels[i] for i in (0, 292, 817, 967, 999)] == [
        "tench",
        "tiger",
        "sports car",
        "espresso",
        "toilet tissue",
    ]


def test_every_card_names_the_preprocessing_of_its_size() -> None:
    rows = [row for row in list_checkpoints() if row.task == "classify"]
    for row in rows:
        rules = PREPROCESSINGS[row.preprocessing]
        side = row.config["image_size"]
        assert rules.size == (side, side)
        classes = 21843 if row.trained_on == "ImageNet-21K" else 1000
        recipe = row.preprocessing.split("-")[0]
        assert rules == find_preprocessing(recipe, (side, side), num_classes=classes)
    assert len(rows) >= 22
