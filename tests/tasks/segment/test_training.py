"""A segmenter learns, resumes to the bit, and its losses and scores are what they say."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch import nn

from multiaxis.data.batch import Batch
from multiaxis.errors import ConfigError, ShapeError
from multiaxis.score.confusion import Confusion, mean_iou
from multiaxis.tasks.segment.config import DecoderConfig
from multiaxis.tasks.segment.network import build_network
from multiaxis.train import train
from multiaxis.train.log import Report
from multiaxis.train.loop import read_log
from multiaxis.train.override import override
from small_recipe import SMALL_VIT
from small_segments import make_squares, squares_recipe


def test_it_learns_squares(learnt: Path) -> None:
    scores = read_log(learnt)[-1]["scores"]
    assert scores["miou"] > 80
    assert {"pixels", "iou ground", "iou square"} < scores.keys()


@pytest.mark.thorough
@pytest.mark.parametrize("kind", ["fpn", "unet"])
def test_a_stopped_training_resumes_to_the_bit(squares: Path, tmp_path: Path, kind: str) -> None:
    recipe = squares_recipe(squares, kind, steps=6, ema=0.9)
    train(recipe, tmp_path / "whole")

    def stop(report: Report) -> None:
        if report.step == 3 and report.score is None:
            os.kill(os.getpid(), signal.SIGTERM)

    assert train(recipe, tmp_path / "parts", on_report=stop).stopped_by == signal.SIGTERM
    train(recipe, tmp_path / "parts")
    one, two = (load_file(tmp_path / name / "weights.safetensors") for name in ("whole", "parts"))
    assert one.keys() == two.keys()
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert read_log(tmp_path / "whole")[-1]["scores"] == read_log(tmp_path / "parts")[-1]["scores"]


class Given(nn.Module):
    """Answers with logits that were given."""

    def __init__(self, logits: torch.Tensor) -> None:
        super().__init__()
        self.logits = logits

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.logits[: len(x)]


def test_pixels_that_do_not_count_cost_nothing(squares: Path) -> None:
    recipe = squares_recipe(squares)
    objective = recipe.objective.open(recipe, recipe.data.open())
    logits, labels = torch.randn(2, 2, 4, 5), torch.randint(0, 2, (2, 4, 5))
    labels[0, :3] = -1
    batch = Batch({"picture": torch.zeros(2, 3, 4, 5), "labels": labels.int()}, torch.arange(2))
    losses = objective.losses({"model": Given(logits)}, batch, "model")["cross_entropy"]
    wanted = F.cross_entropy(logits, labels, ignore_index=-1)
    torch.testing.assert_close(losses.mean(), wanted)
    changed = logits.clone()
    changed[0, :, :3] += 9
    again = objective.losses({"model": Given(changed)}, batch, "model")["cross_entropy"]
    torch.testing.assert_close(again, losses)
    nothing = batch.with_fields(labels=torch.full_like(labels, -1).int())
    free = objective.losses({"model": Given(logits)}, nothing, "model")["cross_entropy"]
    assert not free.any()


def test_the_metric_takes_pictures_of_different_sizes(squares: Path) -> None:
    recipe = squares_recipe(squares)
    metric = recipe.objective.open(recipe, recipe.data.open()).metric()
    torch.manual_seed(0)
    network = build_network(
        "maxvit", DecoderConfig(level=1, channels=8), 2, config=SMALL_VIT
    ).eval()
    pictures = [torch.randn(3, 20, 30), torch.randn(3, 33, 21), torch.randn(3, 20, 30)]
    truths = [torch.randint(-1, 2, x.shape[1:]).int() for x in pictures]
    with torch.no_grad():
        metric.add(
            {"model": network},
            Batch({"picture": pictures, "labels": truths}, torch.arange(3)),
        )
        found = [network(x[None])[0].argmax(0).numpy() for x in pictures]
    wanted = mean_iou(found, [x.numpy() for x in truths], 2)
    scores = metric.compute()
    assert scores["miou"] == pytest.approx(100 * wanted.miou)
    assert scores["pixels"] == pytest.approx(100 * wanted.accuracy)


@given(st.integers(0, 2**32 - 1), st.integers(2, 5))
def test_scores_are_those_of_the_definition(seed: int, classes: int) -> None:
    rng = np.random.default_rng(seed)
    truth = [rng.integers(-1, classes, (3, 7)), rng.integers(-1, classes, (5, 2))]
    found = [rng.integers(0, classes, x.shape) for x in truth]
    a = np.concatenate([x.ravel() for x in truth])
    b = np.concatenate([x.ravel() for x in found])[a >= 0]
    a = a[a >= 0]
    each = [
        ((a == k) & (b == k)).sum() / union if (union := ((a == k) | (b == k)).sum()) else np.nan
        for k in range(classes)
    ]
    scores = mean_iou(found, truth, classes)
    np.testing.assert_allclose(scores.each, each)
    np.testing.assert_allclose(scores.miou, np.nanmean(each) if len(a) else np.nan)
    assert scores.accuracy == pytest.approx((a == b).mean()) or not len(a)


def test_one_matrix_is_no_mean_of_pictures() -> None:
    zeros, ones = np.zeros((2, 2), int), np.ones((2, 2), int)
    assert mean_iou([zeros, zeros], [zeros, ones], 2).miou == 0.25
    alone = [mean_iou([zeros], [truth], 2).miou for truth in (zeros, ones)]
    assert np.mean(alone) == 0.5
    with pytest.raises(ShapeError, match="beyond 1"):
        Confusion(2).count(zeros + 2, zeros)
    with pytest.raises(ShapeError, match="same shape"):
        Confusion(2).count(zeros, np.zeros((2, 3), int))


def test_what_does_not_fit_together_is_refused(squares: Path, tmp_path: Path) -> None:
    recipe = squares_recipe(squares)
    other = replace(recipe.valid, classes="a,b")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ConfigError, match="give both the same, in one order"):
        train(replace(recipe, valid=other), tmp_path / "a")
    with pytest.raises(ConfigError, match="level is 9: accepted is up to 3"):
        train(override(recipe, ["objective.decoder.level=9"]), tmp_path / "b")
    with pytest.raises(ConfigError, match="widths are"):
        train(override(recipe, ["objective.decoder.widths=8"]), tmp_path / "c")
    with pytest.raises(ConfigError, match="kind"):
        DecoderConfig(kind="mask")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ConfigError, match="unet"):
        override(recipe, ["objective.decoder.kind=uned"])


def test_a_batch_norm_of_one_value_has_a_sentence(squares: Path, tmp_path: Path) -> None:
    words = ["data.crop=8,8", "run.batch=1", "run.steps=1"]
    with pytest.raises(ConfigError, match=r"set run\.batch=2 or more, or give it larger pictures"):
        train(override(squares_recipe(squares), words), tmp_path)


def test_held_out_folders_take_the_classes_of_the_data(squares: Path) -> None:
    recipe = replace(squares_recipe(squares), valid=None)
    words = ["valid.pictures=a", "valid.labels=b", "data.classes=x,y", "data.ignore=7"]
    valid = override(recipe, words).valid
    assert valid is not None
    assert (valid.classes, valid.ignore, valid.train) == ("x,y", (7,), False)  # pyright: ignore[reportAttributeAccessIssue]


def test_weights_state_what_they_need(weights: Path) -> None:
    from safetensors import safe_open

    with safe_open(weights, "pt") as file:
        about = file.metadata()
    assert json.loads(about["segmenter"])["classes"]["names"] == ["ground", "square"]
    assert json.loads(about["config"])["decoder"]["kind"] == "unet"


@pytest.mark.parametrize("kind", ["fpn", "unet"])
def test_every_parameter_gets_a_gradient(kind: str) -> None:
    """Else processes that share gradients would stop."""
    decoder = DecoderConfig(kind=kind, level=2, channels=8, widths=(8, 8))  # pyright: ignore[reportArgumentType]
    network = build_network("maxvit", decoder, 2, config=SMALL_VIT).train()
    network(torch.randn(2, 3, 32, 32)).square().mean().backward()
    assert not [name for name, x in network.named_parameters() if x.grad is None]


@pytest.mark.slow
def test_shapes_of_128_pixels_are_learnt_well(tmp_path: Path) -> None:
    squares = make_squares(tmp_path / "squares", count=24, size=(128, 128))
    recipe = squares_recipe(squares, steps=300, batch=8)
    recipe = override(recipe, ["data.crop=96,96", "data.scale=0.7,1.4", "valid_samples=24"])
    assert (train(recipe, tmp_path / "run").score or 0) > 95
