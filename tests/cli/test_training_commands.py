"""``multiaxis train``, ``degrade`` and ``--model nano``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

import small_recipe
from multiaxis.cli.app import main
from multiaxis.tasks import recipes


def run(*words: object) -> int:
    with pytest.raises(SystemExit) as caught:
        main([str(word) for word in words])
    assert isinstance(caught.value.code, int)
    return caught.value.code


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    return small_recipe.make_pictures(tmp_path / "photographs")


@pytest.fixture
def tiny(photographs: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setitem(recipes.RECIPES, "tiny", small_recipe.recipe(photographs))
    return "tiny"


@pytest.mark.thorough
def test_train(tiny: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("train", tiny, "-o", tmp_path / "run", "--set", "run.steps=3") == 0
    told = capsys.readouterr()
    assert "step        3 of 3  loss" in told.out
    assert "held out: psnr " in told.out
    assert "weights.safetensors" in told.err
    weights = tmp_path / "run" / "weights.safetensors"
    picture = tmp_path / "photographs" / "0.png"
    assert run("restore", picture, "--task", "denoise", "--weights", weights, "-q") == 0
    assert (tmp_path / "photographs" / "0_denoise.png").exists()


def test_list_and_show(tiny: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("train", "--list") == 0
    assert "maxvit-tiny-in1k" in capsys.readouterr().out
    assert run("train", "nano-denoise", "--show", "--set", "run.steps=7777") == 0
    told = capsys.readouterr().out
    assert "  run.steps = 7777\n" in told
    assert "  data.degrade = gaussian-noise:sigma=0..55\n" in told


def test_dry_run(tiny: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("train", tiny, "--dry-run") == 0
    told = capsys.readouterr().out
    assert "parameters" in told
    assert "GMAC" in told


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "no recipe was named"),
        (["tyni"], "did you mean tiny"),
        (["tiny", "--set", "optim.lr=-1"], "optim.lr is -1.0: accepted is"),
        (["tiny", "--set", "data.folder=/nowhere"], "cannot list /nowhere"),
        (["tiny", "--set", "model.config.features=x"], "field features is 'x'"),
        (["tiny", "--set", "model.config.dropout_rate=x"], "field dropout_rate is 'x'"),
        (["tiny", "--dry-run", "--set", "model.config.lrelu_slope=x"], "lrelu_slope is 'x'"),
        (["tiny", "--set", "model.config.size=3"], "unknown field of MaximConfig 'size'"),
        (["tiny", "--set", "run.tracker=notes"], "run.tracker is 'notes'"),
        (["tiny", "--set", "data.crop=17"], "data.crop"),
        (["tiny", "-o", "/proc/run"], "cannot write into /proc/run"),
    ],
)
def test_bad_trainings(
    tiny: str, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("train", *words) == 2
    told = capsys.readouterr().err
    assert message in told
    assert "Traceback" not in told


def test_degrade_a_folder(
    photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    words = ["degrade", photographs, out, "--with", "rain:layers=2,jpeg:quality=30..60"]
    assert run(*words) == 0
    told = capsys.readouterr().out
    assert told.count("rain:layers=2:density=") == 3
    first = {p.name: p.read_bytes() for p in out.glob("*.png")}
    assert sorted(first) == ["0.png", "1.png", "2.png"]
    assert run(*words) == 2
    assert "exists" in capsys.readouterr().err
    assert run(*words, "--overwrite") == 0
    assert {p.name: p.read_bytes() for p in out.glob("*.png")} == first
    assert run(*words, "--overwrite", "--seed", "1") == 0
    assert {p.name: p.read_bytes() for p in out.glob("*.png")} != first


def test_degrading_keeps_depth_and_alpha(tmp_path: Path) -> None:
    values = np.full((20, 30, 4), 128, np.uint8)
    values[..., 3] = 77
    Image.fromarray(values).save(tmp_path / "in.png")
    assert run("degrade", tmp_path / "in.png", tmp_path / "o.png", "--with", "gaussian-noise") == 0
    with Image.open(tmp_path / "o.png") as made:
        assert made.mode == "RGBA"
        assert (np.asarray(made)[..., 3] == 77).all()
    Image.fromarray(values[..., 0]).save(tmp_path / "grey.png")
    assert run("degrade", tmp_path / "grey.png", tmp_path / "g.png", "--with", "rain") == 0


def test_a_picture_that_cannot_be_degraded_costs_only_itself(
    photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["degrade", photographs, tmp_path / "whole", "--with", "gaussian-noise"]
    assert run(*words) == 0
    (photographs / "1.png").write_bytes(b"nothing")
    words[2] = tmp_path / "rest"
    capsys.readouterr()
    assert run(*words) == 1
    told = capsys.readouterr()
    assert told.out.count("gaussian-noise") == 2
    assert told.err.count("1.png") == 1
    assert sorted(p.name for p in (tmp_path / "rest").glob("*.png")) == ["0.png", "2.png"]
    for made in (tmp_path / "rest").glob("*.png"):  # draws follow from the name
        assert made.read_bytes() == (tmp_path / "whole" / made.name).read_bytes()


def test_degrading_says_what_it_leaves_out_and_how_it_reads(
    photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small_recipe.make_pictures(photographs / "inside", 2)
    (photographs / "a.bmp").write_bytes(b"")
    inks = np.random.default_rng(0).integers(0, 256, (20, 20, 4), np.uint8)
    Image.frombytes("CMYK", (20, 20), inks.tobytes()).save(photographs / "c.jpg")
    tifffile.imwrite(photographs / "f.tif", np.full((9, 9), np.nan, np.float32))
    assert run("degrade", photographs, photographs / "out", "--with", "gaussian-noise") == 1
    told = capsys.readouterr()
    assert "left out: 1 folder inside (inside): add --recursive to take them\n" in told.err
    assert "left out: 1 file of other kinds (.bmp)\n" in told.err
    assert "note: its CMYK inks were converted to sRGB\n" in told.err
    assert f"{photographs / 'f.tif'}: its floats hold NaN" in told.err
    assert told.out.count("gaussian-noise") == 4


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["{p}/0.png", "x.png", "--with", "rain", "--seed", "-1"], "--seed is -1: accepted is 0"),
        (["{p}", "{p}/0.png", "--with", "rain"], "end it with a slash"),
        (["{p}", "{p}/0.png/x", "--with", "rain"], "cannot be written to: choose another with -o"),
        (["{p}/0.png", "{p}/0.png", "--with", "rain"], "is an input: originals are never replaced"),
        (["{p}/0.png", "x.png", "--with", ""], "is empty"),
        (["{p}/0.png", "x.png", "--with", "snow"], "unknown degradation 'snow'"),
        (["{p}/9.png", "x.png", "--with", "rain"], "9.png"),
        (["{p}", "{p}", "--with", "rain"], "is an input: originals are never replaced"),
    ],
)
def test_bad_degradations(
    photographs: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("degrade", *[w.format(p=photographs) for w in words]) == 2
    told = capsys.readouterr().err
    assert message in told
    assert "Traceback" not in told


@pytest.mark.thorough
def test_the_small_model_restores_without_a_network(
    photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MULTIAXIS_HOME", str(tmp_path / "nothing"))
    picture = photographs / "0.png"
    command = [sys.executable, "-m", "multiaxis", "restore", str(picture), "--task", "denoise"]
    done = subprocess.run(
        [*command, "--model", "nano", "--offline"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (photographs / "0_denoise.png").exists()
    assert not (tmp_path / "nothing").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--task", "deblur"], "there is no nano model for 'deblur', only for denoise"),
        (["--task", "denoise,enhance"], "there is no nano model for 'enhance'"),
        (["--task", "denoise", "--weights", "derain"], "give one of them"),
    ],
)
def test_where_there_is_no_small_model(
    photographs: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("restore", photographs, "--model", "nano", *words) == 2
    assert message in capsys.readouterr().err
