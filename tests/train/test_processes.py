"""Two processes together compute what one does with twice the batch."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path

from multiaxis.recipes.override import override
from multiaxis.recipes.recipe import Recipe
from multiaxis.train import train
from multiaxis.train.loop import read_log

SCRIPT = """
import small_recipe
from multiaxis.recipes.override import override
from multiaxis.train import train
words = ["model.config.dropout_rate=0.0", "run.steps={steps}", "run.save_every=4"]
train(override(small_recipe.recipe({folder!r}), words), {output!r})
"""


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
    alone = override(recipe, ["model.config.dropout_rate=0.0", "run.batch=4"])
    train(alone, tmp_path / "alone")
    script = tmp_path / "go.py"
    script.write_text(SCRIPT.format(folder=str(photographs), output=str(tmp_path / "two"), steps=8))
    launch(script)
    one, two = read_log(tmp_path / "alone"), read_log(tmp_path / "two")
    assert [row["step"] for row in one] == [row["step"] for row in two]
    assert all(math.isclose(a["loss"], b["loss"], rel_tol=1e-4) for a, b in zip(one, two))
    assert math.isclose(one[-1]["score"], two[-1]["score"], rel_tol=1e-3)
