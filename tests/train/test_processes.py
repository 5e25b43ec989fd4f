"""Two processes together compute what one does with twice the batch, also after a stop."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import small_recipe
from multiaxis.train import train
from multiaxis.train.loop import read_log
from multiaxis.train.override import override

SCRIPT = """
import json, os, signal, sys
import small_recipe
from multiaxis.train.override import override
from multiaxis.train import train

def stop(report):  # of many processes only the first reports
    if report.step == at and report.score is None:
        os.kill(os.getpid(), signal.SIGTERM)

for folder, output, at, words in json.loads(sys.argv[1]):
    train(override(small_recipe.recipe(folder), words), output, on_report=stop)
"""
SAME = "model.config.dropout_rate=0.0"

pytestmark = pytest.mark.thorough  # processes under the launcher take seconds to start


def launch(script: Path, *trainings: tuple[Path, Path, int, list[str]]) -> None:
    """Train in two processes, one training after the other: starting them takes longest."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(sys.path),
        "OMP_NUM_THREADS": "1",
    }
    if torch.accelerator.is_available():  # which two processes do not have one each of
        environment["ACCELERATE_USE_CPU"] = "true"
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [sys.executable, *launcher, str(script), json.dumps(trainings, default=str)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of what two processes trained: ``two``, ``whole``, and ``parts`` with a stop."""
    folder = tmp_path_factory.mktemp("processes")
    pictures = small_recipe.make_pictures(folder / "pictures")
    damaged = small_recipe.make_pictures(folder / "damaged")
    (damaged / "1.png").write_bytes(b"nothing")
    script = folder / "go.py"
    script.write_text(SCRIPT)
    launch(
        script,
        (pictures, folder / "two", 0, [SAME]),
        (damaged, folder / "whole", 0, []),
        (damaged, folder / "parts", 5, []),
    )
    launch(script, (damaged, folder / "parts", 0, []))
    return folder


def test_two_processes_are_one_with_twice_the_batch(trained: Path, tmp_path: Path) -> None:
    alone = override(small_recipe.recipe(trained / "pictures"), [SAME, "run.batch=4"])
    train(alone, tmp_path / "alone")
    one, two = read_log(tmp_path / "alone"), read_log(trained / "two")
    assert [row["step"] for row in one] == [row["step"] for row in two]
    assert all(math.isclose(a["loss"], b["loss"], rel_tol=1e-4) for a, b in zip(one, two))
    assert math.isclose(one[-1]["score"], two[-1]["score"], rel_tol=1e-3)


def test_two_processes_go_on_where_they_were_stopped(trained: Path) -> None:
    """With dropout, whose random states each process has of its own, and an unreadable picture."""
    one, two = read_log(trained / "whole"), read_log(trained / "parts")
    assert [row["step"] for row in one] == [row["step"] for row in two]
    assert all(math.isclose(a["loss"], b["loss"], rel_tol=1e-5) for a, b in zip(one, two))
    assert math.isclose(one[-1]["score"], two[-1]["score"], rel_tol=1e-5)
    assert one[-1]["unreadable"] == two[-1]["unreadable"] > 4, "of both processes"
