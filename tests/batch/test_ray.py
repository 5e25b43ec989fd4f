"""A batch over a local Ray cluster of two workers: the same bytes, whatever dies half-way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from multiaxis.cli.app import main
from multiaxis.errors import ConfigError

pytest.importorskip("ray", reason="--engine ray needs Ray (extra: ray)")
pytestmark = pytest.mark.skipif(not Path("/proc/self").exists(), reason="finds workers in /proc")

COUNT = 20


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    for k in range(COUNT):
        values = np.random.default_rng(k).integers(0, 255, (14, 18, 3), dtype=np.uint8)
        Image.fromarray(values).save(folder / f"{k:02}.png")
    return folder


@pytest.fixture
def words(pictures: Path, weights_file: Path, tmp_path: Path) -> list[object]:
    out = tmp_path / "out"
    return ["restore", pictures, "--task", "derain", "--weights", weights_file, "-o", out]


def alone(words: list[object], tmp_path: Path) -> dict[str, bytes]:
    """Give what one process makes of them."""
    with pytest.raises(SystemExit) as caught:
        main([*map(str, words[:-1]), str(tmp_path / "whole"), "-q"])
    assert not caught.value.code
    return contents(tmp_path / "whole")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.png")}


def command(*words: object) -> list[str]:
    ray = ("--engine", "ray", "--workers", "2")
    return [sys.executable, "-m", "multiaxis", *map(str, words), *ray]


def environment() -> dict[str, str]:
    return {**os.environ, "RAY_ADDRESS": "local"}  # no other cluster of this machine


def processes(parent: int, title: bytes = b"") -> Iterator[int]:
    """Find the processes of the cluster that a command has started."""
    for entry in Path("/proc").iterdir():
        try:
            if not entry.name.isdigit() or not descends(int(entry.name), parent):
                continue
            if (entry / "cmdline").read_bytes().startswith(title):
                yield int(entry.name)
        except OSError:
            continue


def descends(child: int, parent: int) -> bool:
    while child > 1:
        if child == parent:
            return True
        try:
            stat = Path(f"/proc/{child}/stat").read_text()
        except OSError:
            return False
        child = int(stat.rpartition(")")[2].split()[1])
    return False


def await_outputs(folder: Path, count: int, process: subprocess.Popen[str]) -> None:
    start = time.monotonic()
    while len(list(folder.glob("*.png"))) < count:
        assert time.monotonic() - start < 120, "too slow"
        assert process.poll() is None, "it ended before it could be stopped"
        time.sleep(0.002)


@pytest.mark.thorough
def test_a_killed_worker_costs_nothing(words: list[object], tmp_path: Path) -> None:
    whole = alone(words, tmp_path)
    report = tmp_path / "report.json"
    with subprocess.Popen(
        command(*words, "--report", report),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    ) as process:
        await_outputs(tmp_path / "out", 4, process)
        worker = None
        while worker is None:  # between two tasks, a worker has another title
            assert process.poll() is None, "it ended before a worker was found"
            worker = next(processes(process.pid, b"ray::_do"), None)
        os.kill(worker, signal.SIGKILL)
        out, told = process.communicate(timeout=120)
    assert process.returncode == 0, told
    assert not out
    assert "Traceback" not in told
    assert contents(tmp_path / "out") == whole
    rows = json.loads(report.read_text())["pictures"]
    assert [(row["state"], row["width"]) for row in rows] == [("restored", 18)] * COUNT
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.thorough
@pytest.mark.usefixtures("hears_ctrl_c")
def test_ctrl_c_then_resume_at_an_address(pictures: Path, tmp_path: Path) -> None:
    """By degrading, whose processes start without torch."""
    out = tmp_path / "out"
    words: list[object] = ["degrade", "--with", "haze,rain", f"file://{pictures}", f"file://{out}"]
    whole = alone(words, tmp_path)
    with subprocess.Popen(
        command(*words),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
        start_new_session=True,
    ) as process:
        await_outputs(out, 3, process)
        helpers = [pid for pid in processes(process.pid) if pid != process.pid]
        assert len(helpers) > 2
        os.killpg(process.pid, signal.SIGINT)
        _, told = process.communicate(timeout=60)
    assert process.returncode == 130, told
    assert "the same command with --resume to continue" in told
    assert "Traceback" not in told
    start = time.monotonic()
    while any(Path(f"/proc/{pid}").exists() for pid in helpers):
        assert time.monotonic() - start < 20, "processes of the cluster are left"
        time.sleep(0.05)
    finished = contents(out)
    assert 3 <= len(finished) < COUNT
    assert all(whole[name] == data for name, data in finished.items())
    done = subprocess.run(
        command(*words, "--resume"), capture_output=True, text=True, env=environment(), check=False
    )
    assert done.returncode == 0, done.stderr
    assert "were finished earlier" in done.stderr
    assert "on a Ray cluster (1 machine," in done.stderr
    assert contents(out) == whole


def test_what_cannot_work_is_a_sentence(
    words: list[object], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def complaint(*more: object) -> str:
        with pytest.raises(SystemExit) as caught:
            main([*map(str, words), "--engine", "ray", *map(str, more)])
        assert caught.value.code == 2
        return capsys.readouterr().err

    assert "accepted is 1 to" in complaint("--workers", "0")
    monkeypatch.setenv("RAY_ADDRESS", "nonsense")
    assert "does not answer" in complaint()
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    assert "does not answer: [Errno 111] Connection refused; check RAY_ADDRESS" in complaint()
    monkeypatch.setitem(sys.modules, "ray", None)
    assert "pip install 'multiaxis[ray]'" in complaint()


def test_what_a_task_asks_for() -> None:
    from multiaxis.batch.on_ray import Cluster, _share

    cluster = Cluster("", machines=2, cores=24, gpus=0, largest=16)
    assert _share(cluster, "auto", 1000, None) == (24, {"num_cpus": 1})
    assert _share(cluster, "cpu", 3, None) == (3, {"num_cpus": 8})
    assert _share(cluster, "cpu", 1000, 1) == (1, {"num_cpus": 16}), "no machine has 24"
    with pytest.raises(ConfigError, match="has no GPU"):
        _share(cluster, "cuda", 5, None)
    with pytest.raises(ConfigError, match="pass --device cuda"):
        _share(cluster, "cuda:1", 5, None)
    gpus = Cluster("", machines=2, cores=24, gpus=4, largest=16)
    assert _share(gpus, "auto", 1000, 2) == (2, {"num_cpus": 1, "num_gpus": 1})


class _Dead(Exception):
    """Stands for Ray's word that a worker died."""


class _Ray:
    """A cluster whose workers die at one picture."""

    class exceptions:
        RayError, RayTaskError, OutOfMemoryError = _Dead, ZeroDivisionError, MemoryError

    def __init__(self) -> None:
        self.attempts: list[int] = []

    def remote(self, shared: object, job: int, attempt: int) -> tuple[int, int]:
        self.attempts.append(job)
        return job, attempt

    def wait(self, references: list[tuple[int, int]], timeout: float) -> tuple[list[object], None]:
        return references[:1], None

    def get(self, reference: tuple[int, int]) -> str:
        if reference[0] == 3:
            raise _Dead
        return f"done {reference[0]}"


def test_attempts_are_counted_for_each_picture() -> None:
    from multiaxis.batch import Job, on_ray

    fake = _Ray()
    results = list(on_ray._run(fake, fake, None, [1, 2], 2))
    assert results == ["done 1", "done 2"]
    job = Job(Path("a.png"), Path("b.png"), 1, 1)
    assert on_ray._result(fake, (3, 1), job, last=False) is None
    assert on_ray._result(fake, (3, 2), job, last=True).error == "a.png: its worker died, 2 times"
