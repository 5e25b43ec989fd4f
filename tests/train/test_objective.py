"""The contract of an objective: ragged targets, a metric of the set, several models in a step."""

from __future__ import annotations

import math
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

import small_objective
from multiaxis.data.batch import Batch, collate, to_sample
from multiaxis.data.load import Share, passes
from multiaxis.errors import ConfigError, DataError, TrainingError
from multiaxis.train import dry_run, train
from multiaxis.train.checkpoint import newest
from multiaxis.train.describe import fields_of
from multiaxis.train.digests import seal
from multiaxis.train.log import Report
from multiaxis.train.loop import read_log, step
from multiaxis.train.objective import Metric, Models
from multiaxis.train.override import override
from multiaxis.train.session import batches, open_session


def numbers(folder: Path) -> list[tuple[object, ...]]:
    names = ("step", "loss", "losses", "norm", "score", "scores")
    return [tuple(row[name] for name in names) for row in read_log(folder)]


@pytest.mark.thorough
def test_an_objective_of_twenty_lines_learns_and_goes_on_to_the_bit(tmp_path: Path) -> None:
    recipe = small_objective.recipe()
    outcome = train(recipe, tmp_path / "whole")
    assert outcome.score is not None
    assert outcome.score > 0.5, "counts are ranked"
    last = read_log(tmp_path / "whole")[-1]
    assert last["scores"]["samples"] == 25
    names = {f"{turn}.{loss}" for turn in ("predictor", "refiner") for loss in ("squared", "size")}
    assert set(last["losses"]) == names
    assert math.isclose(sum(last["losses"].values()), last["loss"])

    def stop(report: Report) -> None:
        if report.step == 23:
            os.kill(os.getpid(), signal.SIGTERM)

    first = train(recipe, tmp_path / "parts", on_report=stop)
    assert (first.step, first.stopped_by) == (23, signal.SIGTERM)
    train(recipe, tmp_path / "parts")
    assert numbers(tmp_path / "parts") == numbers(tmp_path / "whole")
    for name in ("model_predictor", "model_refiner", "average"):
        one, two = (
            load_file(tmp_path / run / "step_000000040" / f"{name}.safetensors")
            for run in ("whole", "parts")
        )
        assert all(torch.equal(one[n], two[n]) for n in one)


def test_files_of_a_checkpoint_have_the_names_of_models(tmp_path: Path) -> None:
    recipe = small_objective.recipe(steps=3)
    train(recipe, tmp_path)
    last = newest(tmp_path)
    assert last is not None
    found = {path.name for path in last.iterdir()}
    for name in ("predictor", "refiner"):
        assert {f"model_{name}.safetensors", f"optimizer_{name}.bin"} <= found
    assert not {"model.safetensors", "model_1.safetensors", "optimizer_1.bin"} & found
    assert train(recipe, tmp_path).step == 3
    (last / "optimizer_refiner.bin").write_bytes(b"nothing")
    with pytest.raises(TrainingError, match="optimizer_refiner.bin has changed"):
        train(recipe, tmp_path)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    train(small_objective.recipe(steps=2), folder)
    return folder


@pytest.mark.parametrize("name", ["optimizer_refiner.bin", "random_states_0.pkl"])
def test_no_pickle_of_a_named_model_runs_code(name: str, trained: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(trained, tmp_path / "run"))
    last = newest(folder)
    assert last is not None
    torch.save({"x": Payload(tmp_path / "ran")}, last / name)
    seal(last)
    with pytest.raises(TrainingError, match="remove that folder"):
        open_session(small_objective.recipe(steps=2), folder)
    assert not (tmp_path / "ran").exists()


class Payload:
    """What makes a folder where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("name", ["model_refiner.safetensors", "optimizer_refiner.bin"])
def test_parts_of_other_models_are_refused(name: str, trained: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(trained, tmp_path / "run"))
    last = newest(folder)
    assert last is not None
    (last / name).unlink()
    other = nn.Linear(3, 1)
    if name.endswith("bin"):
        optimiser = torch.optim.AdamW(other.parameters())
        torch.save(optimiser.state_dict(), last / name)
    else:
        save_file(other.state_dict(), last / name)
    seal(last)
    with pytest.raises(TrainingError, match="remove that folder, and the training starts again"):
        open_session(small_objective.recipe(steps=2), folder)


SCRIPT = """
import sys
import small_objective
from multiaxis.train import train
from multiaxis.train.override import override
recipe = override(small_objective.recipe(steps=12, validate_every=6), sys.argv[2:])
train(recipe, sys.argv[1])
"""


@pytest.mark.thorough
def test_two_processes_move_two_models_as_one_does(tmp_path: Path) -> None:
    words = ["model.config.dropout=0.0"]
    alone = small_objective.recipe(steps=12, validate_every=6, batch=8)
    train(override(alone, words), tmp_path / "alone")
    (tmp_path / "go.py").write_text(SCRIPT)
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(sys.path),
        "OMP_NUM_THREADS": "1",
        "ACCELERATE_USE_CPU": "true",
    }
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [sys.executable, *launcher, str(tmp_path / "go.py"), str(tmp_path / "two"), *words]
    done = subprocess.run(
        [*command, "run.accumulate=1"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    one, two = read_log(tmp_path / "alone"), read_log(tmp_path / "two")
    assert [row["step"] for row in one] == [row["step"] for row in two]
    for a, b in zip(one, two, strict=True):
        assert math.isclose(a["loss"], b["loss"], rel_tol=1e-4)
        assert math.isclose(a["norm"], b["norm"], rel_tol=1e-3)
    assert math.isclose(one[-1]["score"], two[-1]["score"], rel_tol=1e-3)


@pytest.mark.thorough
def test_ragged_fields_pass_through_workers_with_their_numbers() -> None:
    source = small_objective.DotSource()
    here, there = (
        list(passes(source, 3, Share(4, 1, 2, workers), first=2, end=4)) for workers in (0, 1)
    )
    for a, b in zip(here, there, strict=True):
        assert a.numbers.tolist() == b.numbers.tolist()
        assert all(torch.equal(x, y) for x, y in zip(a["points"], b["points"], strict=True))
        assert [len(x) for x in a["points"]] == [round(float(x.sum())) for x in a["picture"]]
    assert [batch.numbers.tolist() for batch in here] == [[20, 21, 22, 23], [28, 29, 30, 31]]
    assert len({len(points) for batch in here for points in batch["points"]}) > 1


def test_a_turn_moves_its_own_model_alone(tmp_path: Path) -> None:
    """The refiner's loss reaches into the predictor, which all but rests here in its own turn."""
    recipe = override(small_objective.recipe(), ["optim.lr=1e-12", "optim.final_lr=0"])
    session = open_session(recipe, tmp_path)
    before = {n: m.layers[1].weight.detach().clone() for n, m in session.models.items()}
    step(session, next(batches(session)))
    moved = {n: m.layers[1].weight - before[n] for n, m in session.models.items()}
    assert moved["predictor"].abs().max() < 1e-9
    assert moved["refiner"].abs().max() > 1e-4
    assert all(p.grad is None for model in session.trained.values() for p in model.parameters())


def test_weights_of_samples_weigh_their_losses(tmp_path: Path) -> None:
    session = open_session(small_objective.recipe(), tmp_path)
    (batch,) = next(batches(session))
    for model in session.models.values():
        model.eval()  # no dropout
    each = session.objective.losses(session.models, batch, "predictor")["squared"]
    weight = torch.tensor([0.0, 1.0, 2.0, 0.0])
    losses, _ = step(session, [batch.with_fields(weight=weight)])
    expected = float((each.detach() * weight).mean())
    assert math.isclose(float(losses["predictor.squared"]), expected, rel_tol=1e-5)


def test_what_breaks_the_contract_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = small_objective.recipe(steps=2)

    def told(message: str, changed: object = recipe) -> None:
        with pytest.raises(ConfigError, match=message):
            train(changed, tmp_path / message[:9])

    told("unknown model in optims 'judge'", replace(recipe, optims={"judge": recipe.optim}))
    told("run.recompute is true, and there are no blocks", override(recipe, ["run.recompute=true"]))
    counting = small_objective.Counting
    with monkeypatch.context() as patch:
        patch.setattr(counting, "turns", ("predictor", "judge"))
        patch.setattr(counting, "build", lambda *_: {"predictor": nn.Linear(1, 1)})
        told("unknown model of the objective 'judge'")
    with monkeypatch.context() as patch:
        patch.setattr(counting, "fields", ("boxes",))
        patch.setattr(small_objective.Dots, "fields", ("picture", "points"))
        told("and its data, Dots, lack boxes")
    with monkeypatch.context() as patch:
        patch.setattr(counting, "losses", lambda *_: {"whole": torch.ones((), requires_grad=True)})
        told(r"the loss whole of 4 samples has the shape \(\)")
    with monkeypatch.context() as patch:
        patch.setattr(counting, "losses", lambda *_: {})
        told("the objective has no losses for the turn of predictor")
    with monkeypatch.context() as patch:
        frozen = {name: nn.Linear(1, 1).requires_grad_(False) for name in counting.turns}
        patch.setattr(counting, "build", lambda *_: frozen)
        told("the model predictor has a turn, but no trainable parameter")
    with monkeypatch.context() as patch:
        patch.setattr(counting, "metric", lambda _: Forgetful())
        told("a Forgetful has 0 records of 25 samples")
    with monkeypatch.context() as patch:
        patch.setattr(counting, "score", "rang")
        told("unknown score of the metric 'rang': did you mean rank")


class Forgetful(Metric):
    def add(self, models: Models, batch: Batch) -> None:
        pass


@pytest.mark.thorough
def test_recipes_need_no_extra_and_training_names_it() -> None:
    code = (
        "import sys; sys.modules['accelerate'] = None\n"
        "from multiaxis.errors import MissingExtraError\n"
        "from multiaxis.tasks.recipes import get_recipe\n"
        "assert 'torch' not in sys.modules\n"
        "import multiaxis.train\n"
        "try: multiaxis.train.train\n"
        "except MissingExtraError as error: sys.exit(str(error))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "pip install 'multiaxis[train]'" in done.stderr


def test_settings_of_one_model() -> None:
    recipe = override(small_objective.recipe(), ["optims.refiner.lr=1e-4", "optim.lr=1e-1"])
    assert recipe.optim_of("refiner").lr == 1e-4
    assert recipe.optim_of("predictor").lr == 1e-1
    assert ("optims.refiner.lr", "0.0001") in fields_of(recipe)
    with pytest.raises(ConfigError, match="did you mean lr"):
        override(recipe, ["optims.refiner.lf=1"])
    with pytest.raises(ConfigError, match="optims.refiner is a group of fields"):
        override(recipe, ["optims.refiner=adam"])
    with pytest.raises(ConfigError, match=r"optims.refiner.warmup is 50: accepted is less than"):
        override(recipe, ["optims.refiner.warmup=50"])
    with pytest.raises(ConfigError, match="optims.judge.lr does not exist"):
        override(recipe, ["optims.judge.lr=1"])
    with pytest.raises(ConfigError, match="valid is a group of fields"):
        override(replace(recipe, valid=None), ["valid=photos"])
    with pytest.raises(ConfigError, match="there are no shards of Dots"):
        override(recipe, ["data.urls=a.tar"])


def test_a_rehearsal_of_two_models() -> None:
    rehearsal = dry_run(small_objective.recipe())
    assert rehearsal.parameters == 2 * (64 * 16 + 16 + 16 + 1)
    # The refiner's turn calls both.
    assert rehearsal.forward_macs == 3 * (64 * 16 + 16)
    assert all(map(math.isfinite, rehearsal.losses))
    assert "its own data" in str(rehearsal)


def test_fields_that_cannot_be_stacked_are_told() -> None:
    samples = [
        to_sample({"boxes": np.zeros((n, 4)), "mask": np.ones((4, 4), bool)}) for n in (1, 3)
    ]
    with pytest.raises(DataError, match=r"boxes of the shapes \[\(1, 4\), \(3, 4\)\].*ragged"):
        collate(samples)
    batch = collate(samples, frozenset({"boxes"}))
    assert [len(boxes) for boxes in batch["boxes"]] == [1, 3]
    assert batch["mask"].dtype == torch.bool
    with pytest.raises(ConfigError, match="unknown field of a batch 'box': did you mean boxes"):
        batch["box"]
