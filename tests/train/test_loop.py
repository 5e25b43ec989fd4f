from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch.optim.swa_utils import AveragedModel

import small_recipe
from multiaxis import Restorer
from multiaxis.errors import ConfigError, TrainingError
from multiaxis.tasks.restore.objective import Restoration
from multiaxis.train import checkpoint as checkpoints
from multiaxis.train import train
from multiaxis.train.described import describe
from multiaxis.train.log import Report
from multiaxis.train.loop import read_log
from multiaxis.train.optimiser import averaging
from multiaxis.train.override import override
from multiaxis.train.recipe import Recipe
from multiaxis.train.session import open_session, validate


def losses(folder: Path) -> dict[int, float]:
    return {row["step"]: row["loss"] for row in read_log(folder)}


@pytest.mark.thorough
def test_it_learns_and_its_weights_restore_pictures(recipe: Recipe, tmp_path: Path) -> None:
    longer = replace(recipe, run=replace(recipe.run, steps=60, save_every=60, validate_every=60))
    outcome = train(longer, tmp_path / "run")
    found = losses(tmp_path / "run")
    assert len(found) == 60
    assert sum(list(found.values())[-10:]) < 0.7 * sum(list(found.values())[:10])
    assert outcome.score is not None
    assert outcome.score > 5
    restored = Restorer("denoise", weights=outcome.weights, device="cpu").restore(
        torch.rand(3, 30, 21)
    )
    assert restored.shape == (3, 30, 21)


def test_held_out_samples_are_all_scored_whatever_the_batch(recipe: Recipe, tmp_path: Path) -> None:
    session = open_session(replace(recipe, valid_samples=5), tmp_path)
    single = replace(session, recipe=override(session.recipe, ["run.batch=1"]))
    assert math.isclose(validate(session)["psnr"], validate(single)["psnr"], rel_tol=1e-5)


def test_averaged_weights_soon_forget_where_they_started() -> None:
    model = torch.nn.Linear(1, 1)
    torch.nn.init.zeros_(model.weight)
    average = AveragedModel(model, multi_avg_fn=averaging(0.999))
    average.update_parameters(model)
    torch.nn.init.ones_(model.weight)
    for _ in range(100):
        average.update_parameters(model)
    assert 0.99 < average.module.weight.item() < 1


@pytest.mark.thorough
def test_a_stopped_training_goes_on_to_the_bit(
    trained: tuple[Recipe, Path], tmp_path: Path
) -> None:
    recipe, whole = trained

    def stop(report: Report) -> None:
        if report.step == 4 and report.score is None:
            os.kill(os.getpid(), signal.SIGTERM)

    first = train(recipe, tmp_path / "parts", on_report=stop)
    assert (first.step, first.stopped_by) == (4, signal.SIGTERM)
    second = train(recipe, tmp_path / "parts")
    assert (second.step, second.stopped_by) == (8, None)
    assert losses(tmp_path / "parts") == losses(whole)
    one, two = (load_file(f / "weights.safetensors") for f in (whole, tmp_path / "parts"))
    assert all(torch.equal(one[name], two[name]) for name in one)


WORDS = ["run.steps=16", "run.save_every=3", "run.validate_every=100000"]
SCRIPT = f"""
import sys
import small_recipe
from multiaxis.train.override import override
from multiaxis.train import train
train(override(small_recipe.recipe(sys.argv[1]), {WORDS}), sys.argv[2])
"""


@pytest.mark.thorough
def test_a_killed_training_goes_on_from_its_last_checkpoint(
    photographs: Path, tmp_path: Path
) -> None:
    # One thread in both: sums in another order would grow into other losses.
    assert torch.get_num_threads() == 1
    longer = override(small_recipe.recipe(photographs), WORDS)
    train(longer, tmp_path / "whole")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", SCRIPT, str(photographs)]
    with subprocess.Popen([*command, tmp_path / "parts"], env=environment) as process:
        deadline = time.monotonic() + 120
        while not list((tmp_path / "parts").glob("step_*[0-9]")) and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL, "it ended before it could be killed"
    stopped_at = losses(tmp_path / "parts")
    assert stopped_at
    assert max(stopped_at) < 16
    train(longer, tmp_path / "parts")
    assert losses(tmp_path / "parts") == losses(tmp_path / "whole")


def test_another_recipe_is_refused(finished: tuple[Recipe, Path]) -> None:
    recipe, run = finished
    train(override(recipe, ["run.log_every=2"]), run)  # changes nothing that is computed
    with pytest.raises(TrainingError, match=r"optim.lr \(0.001 then, 0.1 now\)"):
        train(override(recipe, ["optim.lr=0.1"]), run)


@pytest.mark.thorough
def test_checkpoints_rotate_and_parts_are_cleared(recipe: Recipe, tmp_path: Path) -> None:
    (tmp_path / "step_000000001.part").mkdir()
    train(override(recipe, ["run.save_every=1"]), tmp_path)
    assert sorted(p.name for p in tmp_path.glob("step_*")) == ["step_000000007", "step_000000008"]


@pytest.mark.thorough
def test_undefined_gradients_move_nothing_and_end_the_training(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from multiaxis.tasks.restore import losses as restoring

    real, calls = restoring.multi_scale, []

    def sometimes(*args: object, **kwargs: object) -> dict[str, torch.Tensor]:
        calls.append(1)
        factor = math.nan if len(calls) in (2, 3) else 1.0
        return {name: loss * factor for name, loss in real(*args, **kwargs).items()}

    monkeypatch.setattr(restoring, "multi_scale", sometimes)
    train(recipe, tmp_path / "some")
    assert read_log(tmp_path / "some")[-1]["skipped"] == 2
    state = load_file(tmp_path / "some" / "weights.safetensors")
    assert all(torch.isfinite(tensor).all() for tensor in state.values())

    def never(*args: object, **kwargs: object) -> dict[str, torch.Tensor]:
        return {name: loss * math.nan for name, loss in real(*args, **kwargs).items()}

    monkeypatch.setattr(restoring, "multi_scale", never)
    with pytest.raises(TrainingError, match="5 steps in a row, up to step 5"):
        train(override(recipe, ["run.patience=5", "run.save_every=100"]), tmp_path / "all")
    assert not list((tmp_path / "all").glob("step_*"))


@pytest.mark.thorough
def test_a_full_disk_leaves_the_last_checkpoint(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from accelerate import Accelerator

    real = Accelerator.save_state
    saved: list[str] = []

    def fails_later(self: Accelerator, output_dir: str, **rest: object) -> None:
        real(self, output_dir, **rest)
        saved.append(output_dir)
        if len(saved) > 1:
            raise RuntimeError("unexpected pos 224592 vs 224544")  # what torch's writer says

    monkeypatch.setattr(Accelerator, "save_state", fails_later)
    monkeypatch.setattr(checkpoints, "_FULL", 1 << 62)
    with pytest.raises(TrainingError, match="disk is full.*step_000000003.*Free space"):
        train(recipe, tmp_path)
    assert [p.name for p in tmp_path.glob("step_*")] == ["step_000000003"]
    monkeypatch.undo()
    assert train(recipe, tmp_path).step == 8


@pytest.mark.thorough
def test_an_unreadable_picture_is_named_once_and_counted(
    recipe: Recipe, photographs: Path, tmp_path: Path
) -> None:
    (photographs / "1.png").write_bytes(b"nothing")
    words = ["data.mixup=0", "valid.mixup=0"]
    told: list[Report] = []
    train(override(recipe, words), tmp_path / "run", on_report=told.append)
    named = [complaint for report in told for complaint in report.complaints]
    assert len(named) == 1
    assert named[0].count("1.png") == 1
    assert told[-1].unreadable > 1


def test_two_trainings_in_one_folder_are_refused(recipe: Recipe, tmp_path: Path) -> None:
    from filelock import FileLock

    with FileLock(tmp_path / ".lock"), pytest.raises(TrainingError, match="another training"):
        train(recipe, tmp_path)


def test_checkpoints_describe_their_recipe(recipe: Recipe) -> None:
    described = describe(recipe)
    assert described["data"]["degrade"] == "gaussian-noise:sigma=0..50"
    assert described["run"]["steps"] == 8


@pytest.mark.thorough
def test_recomputation_gives_the_same_gradients(recipe: Recipe, tmp_path: Path) -> None:
    plain = override(recipe, ["model.config.dropout_rate=0.0"])
    train(plain, tmp_path / "plain")
    train(override(plain, ["run.recompute=true"]), tmp_path / "again")
    one, two = losses(tmp_path / "plain"), losses(tmp_path / "again")
    assert all(math.isclose(one[k], two[k], rel_tol=1e-5) for k in one)


@pytest.mark.thorough
def test_passes_add_up_to_a_batch(recipe: Recipe, tmp_path: Path) -> None:
    plain = override(recipe, ["model.config.dropout_rate=0.0"])
    train(override(plain, ["run.batch=4"]), tmp_path / "one")
    train(override(plain, ["run.batch=2", "run.accumulate=2"]), tmp_path / "two")
    one, two = losses(tmp_path / "one"), losses(tmp_path / "two")
    assert all(math.isclose(one[k], two[k], rel_tol=1e-4) for k in one)


def test_a_damaged_checkpoint_is_told(finished: tuple[Recipe, Path]) -> None:
    recipe, run = finished
    (run / "step_000000008" / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(TrainingError, match=r"cannot resume from .*step_000000008.*remove"):
        train(recipe, run)


@pytest.mark.thorough
def test_classes_are_learnt(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        small_recipe.make_pictures(tmp_path / "data" / name, 4, 32)
    recipe = small_recipe.classes(tmp_path / "data")
    outcome = train(recipe, tmp_path / "run")
    assert outcome.score is not None
    found = losses(tmp_path / "run")
    assert found[30] < found[1]
    wrong = override(recipe, ["model.config.num_classes=5"])
    with pytest.raises(ConfigError, match=r"2 classes and the model tells 5 apart.*num_classes=2"):
        train(wrong, tmp_path / "wrong")
    with pytest.raises(ConfigError, match="give it the objective of its data"):
        train(replace(recipe, objective=Restoration()), tmp_path / "wrong")
    pictures = small_recipe.recipe(tmp_path / "data" / "cat")
    with pytest.raises(ConfigError, match="pictures are restored by MAXIM"):
        train(replace(pictures, model=recipe.model), tmp_path / "wrong")
