"""What goes wrong in a training: before it where that is possible, and never for good."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.optim.swa_utils import AveragedModel

import small_recipe
from multiaxis.errors import ConfigError, DataError, TrainingError
from multiaxis.tasks.restore.samples import PairedFolders
from multiaxis.train import train
from multiaxis.train.checkpoint import newest
from multiaxis.train.described import check_recipe, describe
from multiaxis.train.log import Report
from multiaxis.train.loop import read_log, step
from multiaxis.train.override import override
from multiaxis.train.recipe import Recipe
from multiaxis.train.session import batches, open_session


@pytest.fixture
def labelled(tmp_path: Path) -> Recipe:
    for name in ("cat", "dog"):
        small_recipe.make_pictures(tmp_path / "data" / name, 4, 32)
    return small_recipe.classes(tmp_path / "data")


def test_an_infinite_pixel_leaves_batch_norms_as_they_were(
    labelled: Recipe, tmp_path: Path
) -> None:
    session = open_session(override(labelled, ["run.ema=0.9"]), tmp_path / "run")
    before = {name: value.clone() for name, value in session.exported.state_dict().items()}
    good, bad, *_ = (passes for passes in batches(session))
    bad[0]["picture"][0, 0, 0, 0] = torch.inf
    assert not step(session, bad)[1] < torch.inf
    after = session.exported.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    step(session, good)
    assert isinstance(session.average, AveragedModel)
    for module in (session.exported, session.average):
        assert all(torch.isfinite(value).all() for value in module.state_dict().values())
    after = session.exported.state_dict()
    assert any(not torch.equal(before[n], after[n]) for n in before if "running_mean" in n)


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["optimizer.bin", "average.safetensors", "position_0.json"])
def test_a_damaged_part_of_a_checkpoint_is_told(name: str, finished: tuple[Recipe, Path]) -> None:
    recipe, run = finished
    (run / "step_000000008" / name).write_bytes(b"nothing")
    with pytest.raises(TrainingError, match="remove that folder"):
        train(recipe, run)


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b"nothing")])
def test_a_checkpoint_without_random_states_is_told(
    damage: object, finished: tuple[Recipe, Path]
) -> None:
    recipe, run = finished
    damage(run / "step_000000008" / "random_states_0.pkl")
    with pytest.raises(TrainingError, match="remove that folder"):
        train(recipe, run)


def test_going_on_with_other_processes(trained: tuple[Recipe, Path]) -> None:
    recipe, run = trained
    last = newest(run)
    assert last is not None
    assert json.loads((last / "recipe.json").read_text())["processes"] == 1
    check_recipe(last, recipe, 1)
    check_recipe(last, override(recipe, ["run.batch=1"]), 2)
    check_recipe(last, override(recipe, ["run.batch=1", "run.accumulate=2"]), 1)
    check_recipe(last, override(recipe, ["run.workers=3"]), 1)
    with pytest.raises(TrainingError, match=r"batch \* accumulate \* processes \(2 then, 4 now\)"):
        check_recipe(last, recipe, 2)


def test_samples_of_shards_belong_to_processes_and_workers(recipe: Recipe, tmp_path: Path) -> None:
    sharded = override(
        replace(recipe, data=PairedFolders(inputs="a", targets="b", crop=16)), ["data.urls=x.tar"]
    )
    (tmp_path / "recipe.json").write_text(json.dumps({**describe(sharded), "processes": 1}))
    check_recipe(tmp_path, sharded, 1)
    for other, processes in [(sharded, 2), (override(sharded, ["run.workers=3"]), 1)]:
        with pytest.raises(TrainingError, match=r"run\.(processes|workers)"):
            check_recipe(tmp_path, other, processes)


def test_held_out_classes_are_those_of_the_data(labelled: Recipe, tmp_path: Path) -> None:
    small_recipe.make_pictures(tmp_path / "other" / "dog", 4, 32)
    with pytest.raises(ConfigError, match="different classes, such as cat"):
        train(override(labelled, [f"valid.folder={tmp_path / 'other'}"]), tmp_path / "run")


def test_held_out_pictures_that_are_too_small_are_found_at_once(
    recipe: Recipe, tmp_path: Path
) -> None:
    small_recipe.make_pictures(tmp_path / "small", 2, 8)
    with pytest.raises(DataError, match="cannot be read"):
        train(override(recipe, [f"valid.folder={tmp_path / 'small'}"]), tmp_path / "run")
    assert not (tmp_path / "run" / "log.jsonl").exists()


@pytest.mark.thorough
def test_unreadable_held_out_pictures_are_named(recipe: Recipe, tmp_path: Path) -> None:
    bad = small_recipe.make_pictures(tmp_path / "held", 3)
    (bad / "1.png").write_bytes(b"nothing")
    told: list[Report] = []
    words = [f"valid.folder={bad}", "valid.mixup=0"]
    train(override(recipe, words), tmp_path / "run", on_report=told.append)
    named = [complaint for report in told for complaint in report.complaints]
    assert [name.count("1.png") for name in named] == [1]
    assert told[-1].unreadable == 0, "it is no item of the training"


@pytest.mark.thorough
def test_scores_stand_at_their_steps(recipe: Recipe, tmp_path: Path) -> None:
    train(override(recipe, ["run.validate_every=2", "run.log_every=3"]), tmp_path)
    rows = [(row["step"], row["score"] is not None) for row in read_log(tmp_path)]
    scores = [step for step, has_score in rows if has_score]
    assert scores == [2, 4, 6, 8]
    assert [step for step, has_score in rows if not has_score] == [2, 3, 4, 6, 8]


@pytest.mark.thorough
def test_a_stop_between_reports_changes_none_of_them(recipe: Recipe, tmp_path: Path) -> None:
    recipe = override(recipe, ["run.log_every=8", "run.validate_every=5"])
    train(recipe, tmp_path / "whole")

    def stop(report: Report) -> None:
        if report.step == 5:
            os.kill(os.getpid(), signal.SIGTERM)

    stopped = override(recipe, ["run.save_every=2"])
    first = train(stopped, tmp_path / "parts", on_report=stop)
    assert first.step == 5
    (tmp_path / "parts" / "step_000000005").rename(tmp_path / "gone")  # as if it had been killed
    train(recipe, tmp_path / "parts")
    one, two = (
        {row["step"]: row["loss"] for row in read_log(tmp_path / folder)}
        for folder in ("whole", "parts")
    )
    assert one == two


@pytest.mark.thorough
def test_a_log_that_cannot_be_written_is_told(recipe: Recipe, tmp_path: Path) -> None:
    def fill(report: Report) -> None:
        if report.step == 2:  # a name that takes no more lines
            (tmp_path / "log.jsonl").unlink()
            (tmp_path / "log.jsonl").mkdir()

    for _ in range(2):  # while it trains, and at the start
        with pytest.raises(TrainingError, match=r"cannot write .*free space|is not the log"):
            train(recipe, tmp_path, on_report=fill)


SCRIPT = """
import sys
import small_recipe
from multiaxis.cli.train import _train
from multiaxis.train.override import override
from pathlib import Path
words = ["run.workers=1", "run.steps=100000", "run.validate_every=100000", "run.save_every=100000"]
recipe = override(small_recipe.recipe(sys.argv[1]), words)
sys.exit(_train("tiny", recipe, Path(sys.argv[2]), quiet=False))
"""


@pytest.mark.thorough
def test_a_signal_to_the_whole_group_still_saves(photographs: Path, tmp_path: Path) -> None:
    """Launchers signal a process group: the loader's processes get it too."""
    run = tmp_path / "run"
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(photographs), str(run)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"},
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        deadline = time.monotonic() + 120
        log = run / "log.jsonl"
        while time.monotonic() < deadline and not (log.exists() and log.stat().st_size):
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGTERM)
        assert process.stderr is not None
        told = process.stderr.read()
        assert process.wait(timeout=60) == 128 + signal.SIGTERM, told
    assert "run the same command to resume" in told
    assert newest(run) is not None
