"""``--model fast``, ``--model auto --within TIME``, and what a slow run is told."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from multiaxis.batch import Batch, Header, Job, Plan, Result
from multiaxis.cli import choose_model
from multiaxis.cli.app import main
from multiaxis.tasks.restore import selection
from multiaxis.tasks.restore.timing import Timing


@dataclass
class Row:
    """A checkpoint that need not be there."""

    name: str


SECONDS = {"derain": 20.0, "derain-fast": 2.0, "enhance": 30.0, "enhance-fast": 1.0}


@pytest.fixture(autouse=True)
def kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every task has a fast model, and seconds for a megapixel are known."""

    def two(task: str) -> dict[str, str]:
        return {"full": task, "fast": f"{task}-fast"}

    def seconds(self: Timing, names: list[str], megapixels: float) -> float:
        del self
        return sum(SECONDS[name] for name in names) * megapixels

    monkeypatch.setattr(selection, "models_of", two)
    monkeypatch.setattr(choose_model, "models_of", two)
    monkeypatch.setattr(Timing, "seconds", seconds)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A tenth of a megapixel."""
    Image.fromarray(np.zeros((250, 400, 3), np.uint8)).save(tmp_path / "a.png")
    return tmp_path / "a.png"


def run(*words: object, command: str = "restore") -> int:
    with pytest.raises(SystemExit) as caught:
        main([command, *map(str, words)])
    assert isinstance(caught.value.code, int)
    return caught.value.code


def chosen(monkeypatch: pytest.MonkeyPatch, *words: object) -> str | None:
    """The weights that a run takes."""
    taken: list[Any] = []

    def instead(verb: Any, *_: object, **__: object) -> int:
        taken.append(verb.arguments["weights"])
        return 0

    monkeypatch.setattr(choose_model, "run_batch", instead)
    assert run(*words) == 0
    return taken[0]


def test_fast_means_the_small_model_of_each_task(
    picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [picture, "--task", "derain", "--model"]
    assert chosen(monkeypatch, *words, "full") is None
    monkeypatch.setattr(selection, "find_checkpoint", Row)
    assert chosen(monkeypatch, *words, "fast") == "derain-fast"
    chain = [picture, "--task", "derain,enhance", "--model", "fast"]
    assert chosen(monkeypatch, *chain) == "derain-fast,enhance-fast"


@pytest.mark.parametrize(
    ("within", "weights", "said"),
    [
        ("3s", None, "exact model: the exact model takes about 2 s here"),
        ("1s", "derain-fast", "fast model: the exact model takes about 2 s here"),
        ("1min", None, "exact model"),
    ],
)
def test_auto_takes_what_the_time_allows(
    picture: Path,
    within: str,
    weights: str | None,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = [picture, "--task", "derain", "--model", "auto", "--within", within]
    assert chosen(monkeypatch, *words) == weights
    assert said in capsys.readouterr().err
    assert chosen(monkeypatch, *words, "--quiet") == weights
    assert capsys.readouterr().err == ""


def only_full(task: str) -> dict[str, str]:
    return {"full": task}


def test_a_task_without_a_fast_model_is_done_exactly(
    picture: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(choose_model, "models_of", only_full)
    words = [picture, "--task", "derain", "--model", "auto", "--within", "1s"]
    assert chosen(monkeypatch, *words) is None
    assert "exact model: there is no fast one for derain" in capsys.readouterr().err


def test_all_inputs_count_together(
    picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("b.png", "c.png"):
        (tmp_path / name).write_bytes(picture.read_bytes())
    words = ["--task", "derain", "--model", "auto", "--within", "3s"]
    assert chosen(monkeypatch, picture, *words) is None
    assert chosen(monkeypatch, tmp_path, *words) == "derain-fast"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--within", "60s"], "--within 60s is for --model auto"),
        (["--model", "auto"], "--model auto needs the time that it may take"),
        (["--model", "auto", "--within", "9s", "--samples", "2"], "answers are drawn by neither"),
        (["--model", "auto", "--within", "soon"], "the time is 'soon'"),
        (["--model", "auto", "--within", "1s", "--resume"], "name it, --model full or"),
        (["--model", "auto", "--within", "1s", "--weights", "derain"], "give one of them"),
        (["--model", "fast", "--weights", "derain"], "give one of them"),
        (["--model", "quick"], "quick"),
    ],
)
def test_words_that_do_not_go_together(
    picture: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(picture, "--task", "derain", *words) == 2
    told = capsys.readouterr().err
    assert message in told
    assert "Traceback" not in told


def test_scoring_has_nothing_to_choose(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--task", "derain", "--model", "auto", "--input", tmp_path, "--target", tmp_path]
    assert run(*words, command="evaluate") == 2
    assert "--model auto is for restore" in capsys.readouterr().err


def after(
    monkeypatch: pytest.MonkeyPatch, picture: Path, seconds: float, *words: str
) -> list[tuple[list[str], float, float]]:
    """Let a run have taken some seconds; give what was remembered of it."""
    kept: list[tuple[list[str], float, float]] = []

    def instead(verb: object, *_: object, at_end: Any, **__: object) -> int:
        del verb
        job = Job(picture, picture, Header(amount=2.0))
        done = Result(job, seconds, header=job.header)
        failed = Result(job, 1.0, error="broken", header=job.header)
        assert at_end(Batch(Plan((job,)), (done, failed), seconds + 9)) == []
        return 0

    def add(self: Timing, names: list[str], seconds: float, megapixels: float) -> None:
        del self
        kept.append((names, seconds, megapixels))

    monkeypatch.setattr(Timing, "add", add)
    monkeypatch.setattr(choose_model, "run_batch", instead)
    assert run(picture, *words) == 0
    return kept


def test_a_slow_exact_run_is_told_of_the_quick_model(
    picture: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = after(monkeypatch, picture, 40.0, "--task", "derain")
    assert kept == [(["derain"], 40.0, 2.0)]
    told = capsys.readouterr().err
    assert told.count("--model fast would take about 4 s, and be less exact") == 1


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (20.0, ["--task", "derain"]),
        (40.0, ["--task", "derain", "--quiet"]),
        (40.0, ["--task", "denoise", "--weights", "denoise-nano"]),
    ],
)
def test_others_are_told_nothing(
    picture: Path,
    seconds: float,
    words: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert len(after(monkeypatch, picture, seconds, *words)) == 1
    assert "--model fast" not in capsys.readouterr().err


def test_tiles_answers_and_own_weights_say_nothing_of_the_rate(
    picture: Path, weights_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not after(monkeypatch, picture, 40.0, "--task", "derain", "--tile", "512")
    assert not after(monkeypatch, picture, 40.0, "--task", "denoise", "--samples", "2")
    own = ["--task", "derain", "--weights", str(weights_file)]
    assert not after(monkeypatch, picture, 40.0, *own)
