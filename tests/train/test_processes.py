"""Two processes together compute what one does with twice the batch, also after a stop."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path

from multiaxis.train import train
from multiaxis.train.loop import read_log
from multiaxis.train.override import override
from multiaxis.train.recipe import Recipe

SCRIPT = """
import os, signal, sys
import small_recipe
from multiaxis.train.override import override
from multiaxis.train import train

def stop(report):  # of many processes only the first reports
    if report.step == int(at) and report.score is None:
        os.kill(os.getpid(), signal.SIGTERM)

folder, output, at, *words = sys.argv[1:]
train(override(small_recipe.recipe(folder), words), output, on_report=stop)
"""
SAME = "model.config.dropout_rate=0.0"


def launch(script: Path, *words: str) -> None:
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(sys.path),
        "OMP_NUM_THREADS": "1",
        "ACCELERATE_USE_CPU": "true",
    }
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [sys.executable, *launcher, str(script), *words],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-3000:]


def test_two_processes_are_one_with_twice_the_batch(
    recipe: Recipe, photographs: Path, tmp_path: Path
) -> None:
    alone = override(recipe, [SAME, "run.batch=4"])
    train(alone, tmp_path / "alone")
    script = tmp_path / "go.py"
    script.write_text(SCRIPT)
    launch(script, str(photographs), str(tmp_path / "two"), "0", SAME)
    one, two = read_log(tmp_path / "alone"), read_log(tmp_path / "two")
    assert [row["step"] for row in one] == [row["step"] for row in two]
    assert all(math.isclose(a["loss"], b["loss"], rel_tol=1e-4) for a, b in zip(one, two))
    assert math.isclose(one[-1]["score"], two[-1]["score"], rel_tol=1e-3)


def test_two_processes_go_on_where_they_were_stopped(photographs: Path, tmp_path: Path) -> None:
    """With dropout, whose random states each process has of its own, and an unreadable picture."""
    (photographs / "1.png").write_bytes(b"nothing")
    script = tmp_path / "go.py"
    script.write_text(SCRIPT)
    for output, at in (("whole", "0"), ("parts", "5"), ("parts", "0")):
        launch(script, str(photographs), str(tmp_path / output), at)
    one, two = read_log(tmp_path / "whole"), read_log(tmp_path / "parts")
    assert [row["step"] for row in one] == [row["step"] for row in two]
    assert all(math.isclose(a["loss"], b["loss"], rel_tol=1e-5) for a, b in zip(one, two))
    assert math.isclose(one[-1]["score"], two[-1]["score"], rel_tol=1e-5)
    assert one[-1]["unreadable"] == two[-1]["unreadable"] > 4, "of both processes"
