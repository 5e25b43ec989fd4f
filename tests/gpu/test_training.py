"""Training on a device: as on a processor, and as before when it was stopped and goes on.

On a processor two processes share the steps (gloo), on one GPU there is one (NCCL), under the same
launcher. The processor's form is slow; `tests/train/test_processes.py` is its cheap one.
"""

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
from multiaxis.train.loop import read_log

SCRIPT = """
import json, os, signal, sys
import torch
import small_recipe
from multiaxis.train.override import override
from multiaxis.train import train

def stop(report):
    if report.step == at and report.score is None:
        os.kill(os.getpid(), signal.SIGTERM)

for folder, output, at, words in json.loads(sys.argv[1]):
    train(override(small_recipe.recipe(folder), words), output, on_report=stop)
    if not torch.distributed.is_initialized() or torch.distributed.get_rank() == 0:
        from accelerate import PartialState
        state = PartialState()
        open(output + "/device", "w").write(f"{state.device.type} {state.num_processes}")
"""
SAME = "model.config.dropout_rate=0.0"
Trained = tuple[Path, str, int]


def launch(script: Path, device: str, processes: int, *trainings: object) -> None:
    """Train one recipe after the other under torch's launcher."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(sys.path),
        "OMP_NUM_THREADS": "1",
        "ACCELERATE_USE_CPU": str(device == "cpu").lower(),
    }
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    done = subprocess.run(
        [sys.executable, *launcher, str(script), json.dumps(trainings, default=str)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(("cpu", 2), marks=pytest.mark.slow, id="cpu"),
        pytest.param(("cuda", 1), marks=pytest.mark.gpu, id="cuda"),
    ],
)
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Folder of what was trained, the device, and its processes."""
    device, processes = request.param
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA GPU is here")
    folder = tmp_path_factory.mktemp(device)
    pictures, script = small_recipe.make_pictures(folder / "pictures"), folder / "go.py"
    script.write_text(SCRIPT)
    narrow = ["bf16", "fp16"] if device == "cuda" else ["bf16"]
    launch(
        script,
        device,
        processes,
        (pictures, folder / "same", 0, [SAME]),
        (pictures, folder / "whole", 0, []),
        (pictures, folder / "parts", 5, []),
    )
    launch(script, device, processes, (pictures, folder / "parts", 0, []))
    for kind in narrow:  # a process has one precision
        words = [SAME, f"run.precision={kind}"]
        launch(script, device, processes, (pictures, folder / kind, 0, words))
    words = [SAME, f"run.batch={2 * processes}"]
    launch(script, "cpu", 1, (pictures, folder / "alone", 0, words))
    return folder, device, processes


def losses(folder: Path) -> list[float]:
    return [row["loss"] for row in read_log(folder)]


def test_it_trains_there(trained: Trained) -> None:
    folder, device, processes = trained
    assert (folder / "same" / "device").read_text() == f"{device} {processes}"


def test_steps_are_those_of_a_processor(trained: Trained) -> None:
    """TF32 in convolutions, which training leaves to PyTorch, moves a loss by less."""
    folder, device, _ = trained
    allowed = 1e-4 if device == "cpu" else 1e-2
    pairs = zip(losses(folder / "same"), losses(folder / "alone"), strict=True)
    assert all(math.isclose(one, other, rel_tol=allowed) for one, other in pairs)


def test_what_was_stopped_goes_on_as_if_it_had_not_been(trained: Trained) -> None:
    """With dropout. On a GPU, sums of gradients come in no fixed order."""
    folder, device, _ = trained
    allowed = 1e-5 if device == "cpu" else 1e-2
    pairs = zip(losses(folder / "parts"), losses(folder / "whole"), strict=True)
    assert all(math.isclose(one, other, rel_tol=allowed) for one, other in pairs)


def test_16_bits_are_near(trained: Trained) -> None:
    """In float16, a step whose loss has too large a scale leaves the weights as they are."""
    folder, device, _ = trained
    wanted = losses(folder / "same")
    for kind in ["bf16", "fp16"] if device == "cuda" else ["bf16"]:
        rows = read_log(folder / kind)
        found = [row["loss"] for row in rows if math.isfinite(row["norm"])]
        assert len(rows) - len(found) <= (3 if kind == "fp16" else 0)
        pairs = zip(found, wanted, strict=False)
        assert all(math.isclose(one, other, rel_tol=0.05) for one, other in pairs), (kind, rows)
