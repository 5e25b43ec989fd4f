"""Raters learn by recipes: votes, choices, versions of an original, ladders."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from multiaxis import Rater
from multiaxis.data.batch import Batch
from multiaxis.errors import ConfigError
from multiaxis.tasks.rate.config import HeadConfig
from multiaxis.tasks.rate.ladder import LADDERS, Ladder, chain_of
from multiaxis.tasks.rate.losses import Correlation, RightChoices
from multiaxis.tasks.rate.objective import Preferences, Votes
from multiaxis.tasks.rate.recipes import PUBLISHED, RECIPES
from multiaxis.tasks.rate.samples import ChosenPictures, RatedPictures, is_held
from multiaxis.tasks.rate.scale import STARS
from multiaxis.train import train
from multiaxis.train.loop import read_log
from multiaxis.train.optimiser import make_optimiser
from multiaxis.train.recipe import ModelChoice, Optim, Recipe, Run
from multiaxis.train.schedule import rate_at
from small_ratings import SMALL_BACKBONE, photograph

CONFIG = {name: value for name, value in SMALL_BACKBONE.items() if name != "num_classes"}


def recipe(
    data: RatedPictures | ChosenPictures | Ladder, objective: object, **run: object
) -> Recipe:
    rest = {"log_every": 5, "validate_every": 1000, "save_every": 1000, "tracker": "none"}
    return Recipe(
        name="small",
        about="A recipe for tests",
        model=ModelChoice(name="maxvit", config={**CONFIG, "bn_momentum": 0.1}),
        data=data,
        valid=data.held_out(),
        valid_samples=100,
        objective=objective,  # pyright: ignore[reportArgumentType]
        optim=Optim(kind="adamw", lr=1e-2, final_lr=1e-3, warmup=2),
        run=Run(**{"steps": 30, "batch": 8, "workers": 0, **rest, **run}),  # pyright: ignore[reportArgumentType]
    )


@pytest.mark.thorough
def test_votes_are_learnt_and_the_weights_are_a_rater(rated: Path, tmp_path: Path) -> None:
    data = RatedPictures(folder=str(rated), size=32, held=0.4, keep=True)
    outcome = train(recipe(data, Votes(head=HeadConfig(dropout=0.0, size=32))), tmp_path)
    scores = read_log(tmp_path)[-1]["scores"]
    assert scores["srcc"] > 0.8
    assert {"plcc", "pairs", "error"} < scores.keys()
    rater = Rater(outcome.weights, device="cpu")
    assert rater.scale == STARS
    assert rater.rate(photograph(1.0, 77)).score > rater.rate(photograph(0.2, 77)).score + 1
    assert rater.report is None


def write_pairs(path: Path, reference: bool = False) -> str:
    rng = np.random.default_rng(0)
    lines = ["a,b,choice,votes"]
    for _ in range(300):
        a, b = rng.permutation(30)[:2]
        choice = "tie" if a % 5 == b % 5 else "a" if a % 5 > b % 5 else "b"
        lines.append(f"{a:02},{b:02},{choice},{rng.integers(1, 4)}")
    path.write_text("\n".join(lines))
    return str(path)


@pytest.mark.thorough
def test_choices_are_learnt(rated: Path, tmp_path: Path) -> None:
    data = ChosenPictures(
        folder=str(rated), ratings=write_pairs(tmp_path / "pairs.csv"), size=32, held=0.4, keep=True
    )
    head = HeadConfig(kind="score", dropout=0.0, size=32)
    outcome = train(recipe(data, Preferences(head=head)), tmp_path / "run")
    assert (outcome.score or 0) > 80
    rater = Rater(outcome.weights, device="cpu")
    assert rater.rate(photograph(1.0, 77)).score > rater.rate(photograph(0.2, 77)).score


@pytest.mark.thorough
def test_versions_of_an_original_are_learnt(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    lines = ["reference,a,b,choice"]
    for k in range(10):
        original = np.asarray(photograph(0.5, k)).astype(int)
        for name, noise in (("o", 0), ("near", 6), ("far", 20)):
            pixels = np.clip(original + rng.normal(0, noise or 1e-9, original.shape), 0, 255)
            Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / f"{name}{k}.png")
        lines += [f"o{k},near{k},far{k},a", f"o{k},far{k},near{k},b"]
    (tmp_path / "choices.csv").write_text("\n".join(lines))
    data = ChosenPictures(
        folder=str(tmp_path), ratings=str(tmp_path / "choices.csv"), size=32, held=0.3, keep=True
    )
    head = HeadConfig(kind="closeness", dropout=0.0, size=32)
    outcome = train(recipe(data, Preferences(head=head), steps=4), tmp_path / "run")
    assert outcome.score == 100
    rater = Rater(outcome.weights, device="cpu")
    assert rater.compare(*(tmp_path / f"{n}1.png" for n in ("o", "near", "far"))).probability > 0.5
    with pytest.raises(ConfigError, match="the choices of the data need closeness"):
        train(recipe(data, Preferences()), tmp_path / "other")


def test_held_out_pictures_are_in_no_choice_that_is_learnt(rated: Path, tmp_path: Path) -> None:
    table = write_pairs(tmp_path / "pairs.csv")
    data = ChosenPictures(folder=str(rated), ratings=table, size=32, held=0.4)
    for part in (data, data.held_out()):
        source = part.open()
        names = {
            name.rpartition("/")[2]
            for k in range(len(source))
            for name in source.name(k).split(", ")
        }
        assert {is_held(name, 0.4) for name in names} == {not part.train}
    assert source.is_fixed
    one, other = (source.sample(0, np.random.default_rng(seed)) for seed in (0, 1))
    assert all(np.array_equal(one[name], other[name]) for name in one)


def test_smoothing_moves_targets_to_ranks(rated: Path, tmp_path: Path) -> None:
    table = write_pairs(tmp_path / "pairs.csv")
    shares = []
    for smoothing in (0.0, 0.5, 1.0):
        data = ChosenPictures(
            folder=str(rated), ratings=table, size=32, held=0.1, smoothing=smoothing
        )
        source = data.open()
        rng = np.random.default_rng(0)
        shares.append([float(source.sample(k, rng)["share"]) for k in range(20)])
    none, half, all_ = map(np.array, shares)
    assert set(none) <= {0, 0.5, 1}
    np.testing.assert_allclose(half, (none + all_) / 2, atol=1e-6)
    assert ((all_ > 0) & (all_ < 1)).all()


def test_votes_weigh_choices_and_ties_are_half_right() -> None:
    class Fixed:
        has_reference = False

        def difference(self, model: object, batch: Batch) -> torch.Tensor:
            return batch["first"]

    metric = RightChoices(Fixed())  # pyright: ignore[reportArgumentType]
    fields = {
        "first": torch.tensor([1.0, -1, 0, 2]),
        "share": torch.tensor([1.0, 1, 1, 0.5]),
        "weight": torch.tensor([3.0, 1, 2, 2]),
    }
    metric.add({"model": torch.nn.Identity()}, Batch(fields, torch.arange(4)))
    assert metric.compute()["choices"] == pytest.approx(100 * (3 + 0 + 1 + 1) / 8)


def test_few_or_equal_ratings_have_no_correlation() -> None:
    metric = Correlation(STARS)
    metric.records = [[1.0, 2.0]]
    assert metric.compute()["srcc"] == 0
    metric.records = [[1.0, 2.0], [1.0, 3.0], [1.0, 4.0]]
    assert metric.compute() == {"srcc": 0, "plcc": 0, "pairs": 0.5, "error": 2}


def test_a_ladder_goes_down_step_by_step(tmp_path: Path) -> None:
    for k in range(8):
        photograph(0.5, k, (70, 90)).save(tmp_path / f"{k}.png")
    data = Ladder(folder=str(tmp_path), size=48)
    held = data.held_out().open()
    assert len(held) == sum(is_held(f"{k}.png", 0.25) for k in range(8)) * 15
    rng = np.random.default_rng(0)
    for start in range(0, 15, 5):
        samples = [held.sample(start + k, rng) for k in range(5)]
        assert [STARS.mean(np.float64(s["shares"])) for s in samples] == [5, 4, 3, 2, 1]
        errors = [np.abs(s["picture"] - samples[0]["picture"]).mean() for s in samples]
        assert errors == sorted(errors)
        assert errors[1] > 0
    assert "jpeg, 5 of 5" in held.name(10)
    assert all(len(steps) == 4 for steps in LADDERS.values())
    assert chain_of("noise", 5) == ()
    with pytest.raises(ConfigError, match="did you mean noise"):
        Ladder(folder="x", kinds=("noize",))


def test_recipes_state_the_paper() -> None:
    by_name = {one.name: one for one in RECIPES}
    for side, (plcc, srcc) in PUBLISHED.items():
        ava = by_name["rate-ava" if side == 224 else f"rate-ava-{side}"]
        assert f"PLCC {plcc}, SRCC {srcc}" in ava.about
        assert ava.objective == Votes()
        assert ava.model.config == {"drop_path": 0.5, "image_size": side}
        assert ava.optim.kind == "sgd"
        epoch = 204_000 // 64
        after = rate_at(10 * epoch, ava.run.steps, ava.optim)
        assert after == pytest.approx(0.9, abs=1e-3)
    model = torch.nn.Linear(2, 2)
    assert make_optimiser(model, ava.optim).defaults["momentum"] == 0.9


@pytest.mark.slow
def test_the_ladder_is_learnt_from_scratch(tmp_path: Path) -> None:
    for k in range(24):
        photograph(0.3 + 0.02 * k, k, (120, 150)).save(tmp_path / f"{k}.png")
    data = Ladder(folder=str(tmp_path), size=64)
    small = recipe(data, Votes(head=HeadConfig(dropout=0.0)), steps=400, batch=16)
    small = replace(
        small, model=ModelChoice(name="maxvit_pico", config={"start": "scaled", "bn_momentum": 0.1})
    )
    train(replace(small, optim=replace(small.optim, lr=2e-3)), tmp_path / "run")
    assert read_log(tmp_path / "run")[-1]["scores"]["srcc"] > 0.8
