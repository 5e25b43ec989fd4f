"""How long restoring takes here, and which weights a kind of model means."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import small_maxim
from multiaxis.errors import ConfigError
from multiaxis.tasks.restore import selection, timing
from multiaxis.tasks.restore.selection import models_of, split_weights, weights_of
from multiaxis.tasks.restore.timing import Timing, parse_seconds

HERE = {"device": "cpu", "dtype": "float32", "ensemble": False}


@pytest.mark.parametrize(
    ("amount", "seconds"),
    [("60s", 60), ("90", 90), ("2min", 120), ("2 m", 120), ("0.5h", 1800), ("1.5 MIN", 90)],
)
def test_times(amount: str, seconds: float) -> None:
    assert parse_seconds(amount) == seconds


@pytest.mark.parametrize("amount", ["", "soon", "-5s", "0", "1e3", "3 days", "nan", "inf"])
def test_times_that_are_none(amount: str) -> None:
    with pytest.raises(ConfigError, match="accepted is a positive time such as 60s"):
        parse_seconds(amount)


def test_what_was_measured_counts_and_a_trial_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MULTIAXIS_HOME", str(tmp_path))
    tried: list[str] = []

    def trial(name: str, *_: str) -> float:
        tried.append(name)
        return 0.5

    monkeypatch.setattr(timing, "trial", trial)
    per_megapixel = 0.5 / (timing.TRIAL**2 / 1e6)
    assert Timing(HERE).seconds(["derain"], 2.0) == pytest.approx(2 * per_megapixel)
    eight = {**HERE, "ensemble": True}
    assert Timing(eight).seconds(["derain"], 1.0) == pytest.approx(8 * per_megapixel)
    assert tried == ["derain", "derain"]
    Timing(HERE).add(["derain"], 30.0, 2.0)
    assert Timing(HERE).seconds(["derain"], 4.0) == pytest.approx(60.0)
    assert tried == ["derain", "derain"], "what was measured needs no trial"
    for other in ({**HERE, "dtype": "bfloat16"}, {**HERE, "device": "cuda"}, eight):
        assert Timing(other).seconds(["derain"], 4.0) != pytest.approx(60.0)
    assert Timing(HERE).seconds(["derain", "denoise"], 1.0) == pytest.approx(2 * per_megapixel)


def test_without_a_cache_nothing_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MULTIAXIS_HOME", str(tmp_path / "none"))
    Timing(HERE).add(["derain"], 30.0, 2.0)
    assert not (tmp_path / "none").exists()
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MULTIAXIS_HOME", str(tmp_path / "file"))
    Timing(HERE).add(["derain"], 30.0, 2.0)


def test_a_trial_runs_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    small_maxim.use_small_variant(monkeypatch, small_maxim.LEAST)
    monkeypatch.setattr(timing, "TRIAL", 32)
    assert 0 < timing.trial("derain", "cpu", "float32") < 10


def test_kinds_of_models() -> None:
    assert models_of("denoise")["full"] == "denoise"
    assert models_of("denoise")["nano"] == "denoise-nano"
    assert weights_of("denoise", "full") is None
    assert weights_of("denoise", "full", "x.npz") == "x.npz"
    assert weights_of("denoise", "nano") == "denoise-nano"


def test_a_chain_has_weights_for_each_task(monkeypatch: pytest.MonkeyPatch) -> None:
    def two(task: str) -> dict[str, str]:
        return {"full": task, "fast": f"{task}-fast"}

    monkeypatch.setattr(selection, "models_of", two)
    assert weights_of("denoise, enhance", "fast") == "denoise-fast,enhance-fast"
    assert split_weights(None, ["derain", "enhance"]) == ["derain", "enhance"]
    assert split_weights("denoise-nano, derain", ["denoise", "derain"]) == [
        "denoise-nano",
        "derain",
    ]
    assert split_weights("a,b.npz", ["derain"]) == ["a,b.npz"], "a file's name may have commas"


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ("", "the weights are empty"),
        ("derain", "received weights for 1 task, and you named 2"),
        ("derain,denoise,deblur", "received weights for 3 tasks, and you named 2"),
        ("derain,x.npz", "unknown checkpoint"),
    ],
)
def test_weights_that_fit_no_chain(weights: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        split_weights(weights, ["derain", "denoise"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("denoise", "small"), "unknown model"),
        (("denoise", "nano", "x.npz"), "give one of them"),
        (("derain", "nano"), "there is no nano model for 'derain', only for denoise"),
    ],
)
def test_models_that_are_not_there(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        weights_of(*arguments)
