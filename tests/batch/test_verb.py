"""A verb of ten lines has plan, resume, report and workers from the batch alone."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import multiaxis.batch
from multiaxis.batch import Batch, Request, Result, Watcher
from multiaxis.errors import ConfigError
from multiaxis.weights.store import write_safetensors
from size_verb import Size


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    (folder / "inner").mkdir(parents=True)
    for k in range(3):
        (folder / f"{k}.bin").write_bytes(bytes(k + 1))
    (folder / "inner" / "3.txt").write_bytes(b"abcd")
    return folder


def sizes(batch: Batch) -> dict[str, int]:
    return {result.job.input.name: result.record["bytes"] for result in batch.results}


def test_plan_run_report_and_resume(folder: Path, tmp_path: Path) -> None:
    report = tmp_path / "sizes.csv"
    request = Request([str(folder)], recursive=True, report=str(report), resume=True)
    assert len(multiaxis.batch.plan(Size(), request).jobs) == 4
    assert not report.exists()
    heard: list[Result] = []

    class Ear(Watcher):
        def on_result(self, result: Result) -> None:
            heard.append(result)

    first = multiaxis.batch.run(Size(), request, Ear())
    assert sizes(first) == {"0.bin": 1, "1.bin": 2, "2.bin": 3, "3.txt": 4}
    assert tuple(heard) == first.results
    (folder / "1.bin").write_bytes(b"changed")
    second = multiaxis.batch.run(Size(), request)
    assert sizes(second) == {"1.bin": 7}
    rows = list(csv.DictReader(report.read_text().splitlines()))
    assert {Path(row["input"]).name: (row["state"], row["bytes"]) for row in rows} == {
        "0.bin": ("finished earlier", "1"),
        "1.bin": ("measured", "7"),
        "2.bin": ("finished earlier", "3"),
        "3.txt": ("finished earlier", "4"),
    }
    alone = multiaxis.batch.run(Size(), Request([str(folder)]))
    assert len(alone.results) == 3
    assert alone.plan.folders == (folder / "inner",)
    with pytest.raises(ConfigError, match="--resume needs --report"):
        multiaxis.batch.run(Size(), Request([str(folder)], resume=True))


@pytest.mark.thorough
def test_workers_and_a_file_that_fails(folder: Path, tmp_path: Path) -> None:
    (folder / "gone.bin").symlink_to(tmp_path / "nowhere")
    batch = multiaxis.batch.run(Size(), Request([str(folder)], workers=2))
    assert {r.job.input.name: r.error is None for r in batch.results} == {
        "0.bin": True,
        "1.bin": True,
        "2.bin": True,
        "gone.bin": False,
    }
    assert sizes_of(batch) == {"0.bin": 1, "1.bin": 2, "2.bin": 3}


def sizes_of(batch: Batch) -> dict[str, int]:
    done = (result for result in batch.results if result.error is None)
    return {result.job.input.name: result.record["bytes"] for result in done}


@pytest.mark.thorough
def test_classifying_thirty_pictures_is_killed_and_resumed(tmp_path: Path) -> None:
    folder, report = tmp_path / "in", tmp_path / "labels.json"
    folder.mkdir()
    for k in range(30):
        values = np.random.default_rng(k).integers(0, 255, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(values).save(folder / f"{k:02}.png")
    model = multiaxis.create_model(
        "maxvit", depths=(1,), widths=(32,), num_classes=7, image_size=32
    )
    weights = tmp_path / "small.safetensors"
    config = {"config": json.dumps(asdict(model.config))}
    write_safetensors(weights, model.state_dict(), config)
    words = ["classify", folder, "--weights", weights, "--device", "cpu", "--report", report]
    command = [sys.executable, "-m", "multiaxis", *map(str, words), "--resume", "-q", "--top", "3"]
    ledger = tmp_path / ".multiaxis.jsonl"
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 60
        while not (ledger.exists() and ledger.read_bytes().count(b"\n") >= 3):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
    done = ledger.read_bytes().count(b"\n")
    assert 3 <= done < 30
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    rows = json.loads(report.read_text())["pictures"]
    states = [row["state"] for row in rows]
    assert (states.count("finished earlier"), states.count("classified")) == (done, 30 - done)
    assert all(row["label"] and len(row["predictions"]) == 3 for row in rows)
