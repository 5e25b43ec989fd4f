"""Ctrl-C, SIGTERM and SIGHUP in every phase; what happens to workers whose parent is gone."""

from __future__ import annotations

import multiprocessing
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from batches import plan_jobs
from multiaxis import Restorer
from multiaxis.batch import work as running
from multiaxis.cli.app import main

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")


def run(*words: object) -> int:
    with pytest.raises(SystemExit) as caught:
        main([str(word) for word in words])
    return int(caught.value.code or 0)


def make(path: Path, seed: int, side: int = 8) -> None:
    values = np.random.default_rng(seed).integers(0, 255, (side, side, 3), dtype=np.uint8)
    Image.fromarray(values).save(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    for k in range(4):
        make(folder / f"{k}.png", k)
    return folder


@pytest.fixture
def words(folder: Path, weights: Path, tmp_path: Path) -> list[object]:
    return ["restore", folder, "--task", "derain", "--weights", weights, "-o", tmp_path / "out"]


@pytest.fixture(autouse=True)
def default_signals() -> Iterator[None]:
    """As a shell starts a command in the foreground."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def after(calls: int, function: Callable[..., object], act: Callable[[], object]) -> object:
    """Make a function that acts once more than that many calls were made."""
    made: list[int] = []

    def guarded(*arguments: object, **options: object) -> object:
        made.append(1)
        if len(made) == calls + 1:
            act()
        return function(*arguments, **options)

    return guarded


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_keeps_what_is_finished_and_says_how_to_go_on(
    name: str,
    words: list[object],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    number = getattr(signal, name)
    if number != signal.SIGINT:  # under nohup, SIGHUP is ignored from the start
        signal.signal(number, signal.SIG_DFL)
    guarded = after(2, Restorer.restore_picture, lambda: signal.raise_signal(number))
    with monkeypatch.context() as patch:
        patch.setattr(Restorer, "restore_picture", guarded)
        assert run(*words, "--report", tmp_path / "r.csv") == 128 + number
    told = capsys.readouterr().err
    assert "interrupted: 2 of 4 pictures are finished and none is half-written" in told
    assert "with --resume to continue" in told
    assert (tmp_path / "r.csv").read_text().count("not done") == 2
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL, "as it was"
    assert run(*words, "--resume") == 0
    assert "2 were finished earlier" in capsys.readouterr().err


def test_what_is_ignored_stays_ignored(
    words: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    guarded = after(1, Restorer.restore_picture, lambda: signal.raise_signal(signal.SIGHUP))
    monkeypatch.setattr(Restorer, "restore_picture", guarded)
    assert run(*words) == 0


def test_an_interrupt_inside_a_callback_of_c_is_not_lost(
    words: list[object],
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Callback:
        def __del__(self) -> None:  # what is raised here, Python only prints
            signal.raise_signal(signal.SIGTERM)

    def act() -> None:
        Callback()
        threading.Event().wait(60)  # work that goes on

    monkeypatch.setattr(Restorer, "restore_picture", after(1, Restorer.restore_picture, act))
    assert run(*words) == 143
    told = capfd.readouterr().err
    assert "interrupted: 1 of 4" in told
    assert "Traceback" not in told


def test_a_slow_write_does_not_hold_an_interrupt_up(
    words: list[object],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    is_over = threading.Event()
    write = running.put

    def write_slowly(*arguments: object, **options: object) -> object:
        assert is_over.wait(60), "it was waited for"
        return write(*arguments, **options)

    monkeypatch.setattr(running, "put", write_slowly)
    monkeypatch.setattr(running, "_PATIENCE", 0.01)
    guarded = after(1, Restorer.restore_picture, lambda: signal.raise_signal(signal.SIGINT))
    monkeypatch.setattr(Restorer, "restore_picture", guarded)
    try:
        assert run(*words) == 130
        assert "interrupted: 0 of 4" in capsys.readouterr().err
    finally:
        is_over.set()


# What runs when the signal comes, and the command: no phase ends without a word.
PHASES = {
    "multiaxis.batch.engine.make_plan": ["restore", "IN", "--task", "derain", "--weights", "W"],
    "multiaxis.tasks.restore.verb.Restore.load": [
        "restore",
        "IN",
        "--task",
        "derain",
        "--weights",
        "W",
    ],
    "multiaxis.batch.engine.write_report": [
        *("restore", "IN/0.png", "--task", "derain", "--weights", "W", "--report", "OUT.csv"),
    ],
    "multiaxis.tasks.classify.classifier.Classifier": ["classify", "IN"],
    "multiaxis.tasks.degrade.verb.degrade_picture": ["degrade", "IN", "OUT", "--with", "jpeg"],
    "multiaxis.images.side_by_side": ["compare", "IN/0.png", "IN/1.png", "-o", "OUT.png"],
    "multiaxis.cli.evaluate.load_restorer": [
        *("evaluate", "--input", "IN", "--target", "IN", "--task", "derain", "--weights", "W"),
    ],
    "multiaxis.images.decode_picture": ["compare", "IN/0.png", "IN/1.png", "-o", "OUT.png"],
}


@pytest.mark.parametrize("place", PHASES)
def test_no_phase_ends_without_a_word(
    place: str,
    folder: Path,
    weights: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[int] = []

    def interrupt(*_: object, **__: object) -> None:
        calls.append(1)
        if len(calls) == 1:
            signal.raise_signal(signal.SIGINT)
            pytest.fail("it went on")

    monkeypatch.setattr(place, interrupt)
    stand = {"IN": str(folder), "OUT": str(tmp_path / "out"), "W": str(weights)}
    words = PHASES[place]
    for short, whole in stand.items():
        words = [word.replace(short, whole, 1) if short in word else word for word in words]
    assert run(*words) == 130
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "interrupted" in line]
    assert "is half-written" in line
    assert "the same command" in line


def test_an_interrupt_while_the_command_loads(capfd: pytest.CaptureFixture[str]) -> None:
    script = (
        "import sys, signal\n"
        "class Finder:\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        if name == 'multiaxis.cli.app': signal.raise_signal(signal.SIGINT)\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "sys.meta_path.insert(0, Finder())\n"
        "from multiaxis.__main__ import main; main()\n"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 130
    assert capfd.readouterr().err == "multiaxis: interrupted before anything was done\n"


@pytest.mark.thorough
@pytest.mark.skipif(not Path("/proc/self").exists(), reason="finds workers in /proc")
def test_workers_end_with_a_parent_that_is_killed(folder: Path, tmp_path: Path) -> None:
    for k in range(60):
        make(folder / f"more{k}.png", k, 64)
    out = tmp_path / "out"
    words = ["degrade", folder, out, "--with", "haze,rain,motion-blur", "--workers", "2"]
    command = [sys.executable, "-m", "multiaxis", *map(str, words)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while len(list(out.glob("*.png"))) < 3:
            assert process.poll() is None
            time.sleep(0.005)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        assert len(children) >= 2
        process.kill()
    await_end(children)


@pytest.mark.thorough
def test_a_worker_says_why_it_cannot_start_and_ends_at_an_interrupt_of_its_parent_alone(
    folder: Path, tmp_path: Path
) -> None:
    from multiaxis.batch import Result
    from multiaxis.batch.ledger import Note
    from multiaxis.batch.workers import do_jobs_in_workers
    from multiaxis.tasks.restore.verb import Restore

    plan = plan_jobs([str(folder)], str(tmp_path / "out"), suffix="")
    (tmp_path / "out").mkdir()
    children: list[str] = []

    def interrupt(result: Result) -> KeyboardInterrupt:
        assert str(result.job.input) in (result.error or "")
        assert "gone.safetensors" in (result.error or "")
        found = multiprocessing.active_children()
        children.extend(str(child.pid) for child in found)
        (tmp_path / "out" / f".{'0' * 16}.part").touch()  # as if one was just writing
        return KeyboardInterrupt()

    gone = {"task": "derain", "weights": tmp_path / "gone.safetensors", "device": "cpu"}
    results = do_jobs_in_workers(Restore(gone), plan.jobs, 1, Note())
    interrupted = interrupt(next(results))
    with pytest.raises(KeyboardInterrupt):
        results.throw(interrupted)
    assert children
    await_end(children)
    assert not list((tmp_path / "out").glob(".*.part"))


def await_end(pids: list[str]) -> None:
    deadline = time.monotonic() + 60
    while any(map(is_alive, pids)):
        assert time.monotonic() < deadline, "they stay for ever"
        time.sleep(0.02)


def is_alive(pid: str) -> bool:
    try:
        return "zombie" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
