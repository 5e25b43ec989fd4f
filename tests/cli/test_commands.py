"""The command line: exit codes, messages, files; in this process, and once as a real one."""

from __future__ import annotations

import csv
import errno
import io
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from multiaxis.cli import console
from multiaxis.cli.app import main
from multiaxis.progress import Progress


def run(*words: object) -> int:
    with pytest.raises(SystemExit) as caught:
        main([str(word) for word in words])
    assert isinstance(caught.value.code, int)
    return caught.value.code


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    for k in range(3):
        values = np.random.default_rng(k).integers(0, 255, (20, 26, 3), dtype=np.uint8)
        Image.fromarray(values).save(folder / f"{k}.png")
    return folder


def test_restore_a_folder_with_one_bad_file(
    pictures: Path, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (pictures / "bad.png").write_text("nonsense")
    words = ["restore", pictures, "--task", "derain", "--weights", weights, "-o", tmp_path / "out"]
    assert run(*words) == 1
    assert sorted(p.name for p in (tmp_path / "out").glob("[!.]*")) == ["0.png", "1.png", "2.png"]
    told = capsys.readouterr().err
    assert "[3/3]" in told
    assert "restored 3 of 4 pictures" in told
    assert told.count("bad.png") == 1
    assert "Traceback" not in told


def test_quiet_says_nothing(
    pictures: Path, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("restore", pictures, "--task", "derain", "--weights", weights, "-q") == 0
    assert capsys.readouterr() == ("", "")
    assert (pictures / "0_derain.png").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["restore", "x.png", "--task", "derian"], "did you mean derain"),
        (["restore", "none.png", "--task", "derain"], "none.png"),
        (["restore", "text.png", "--task", "derain"], "not a picture"),
        (["restore", "empty.png", "--task", "derain"], "empty"),
        (["restore", "hollow", "--task", "derain"], "holds no pictures"),
        (["restore", "x.png", "--task", "derain", "--max-megapixels", "-1"], "positive number"),
        (["restore", "x.png", "--task", "derain", "--max-megapixels", "0.0001"], "megapixels"),
        (["restore", "x.png", "--task", "derain", "--device", "gpu"], "unknown device"),
        (["restore", "x.png", "--task", "derain", "--dtype", "half"], "unknown dtype"),
        (["restore", "x.png", "--task", "derain", "--weights", "text.png"], "unknown kind"),
        (["restore", "x.png", "--task", "derain", "-o", "x.png"], "never replaced"),
        (["restore", "x.png", "--task", "derain", "-o", ""], "the output is empty"),
        (["restore", "x.png", "--task", "derain", "--weights", ""], "the weights are empty"),
        (["restore", ".", "--task", "derain", "-o", "out.png"], "end it with a slash"),
        (["restore", "n" * 300, "--task", "derain"], "name too long"),
        (["restore", "x.png", "--task", "derain", "-o", "o" * 300], "name too long"),
        (["restore", "x.png", "--task", "derain", "--device", "cpu:"], "unknown device"),
        (["restore", "x.png"], "restore needs --task: denoise, deblur"),
        (["restore", "--task", "derain"], "restore needs INPUTS: Pictures, clips"),
        (["restore", "x.png", "--task"], "--task needs a value behind it: denoise, deblur"),
        (["restore", "x.png", "--task", "derain", "--steps"], "--steps needs a value behind it"),
        (["restore", "x.png", "--task", "derain", "--tusk", "1"], "multiaxis restore --help lists"),
        (["restore", "x.png", "--task", "derain", "y.png"], "no place for these words: y.png"),
        (["train", "nano-denoise", "--set", "a=1", "b=2"], "repeat the option before each"),
        (["restor", "x.png"], "restore"),
        (["weights", "pull", "deran"], "did you mean derain"),
        (["weights", "list", "deran"], "did you mean derain"),
        (["weights", "convert", "text.png", "a.safetensors"], "unknown kind"),
        (["weights", "convert", "text.png", "a.bin"], "must end in .safetensors"),
        (["weights", "convert", "x.npz", "a.safetensors", "--model", "maxim"], "unknown model"),
        (["evaluate", "--task", "derain", "--input", "hollow", "--target", "hollow"], "hollow"),
        (["evaluate", "--task", "derain", "--input", ".", "--target", ".", "--protocol", "z"], "z"),
        (
            ["evaluate", "--task", "derain", "--input", ".", "--target", ".", "--csv", "x.png"],
            "--csv",
        ),
        (["compare", "x.png", "none.png"], "none.png"),
        (["compare", "x.png", "x.png", "-o", ""], "no suffix"),
    ],
)
def test_bad_input_is_one_clear_message_and_code_2(
    words: list[str],
    message: str,
    weights: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Image.fromarray(np.zeros((20, 20, 3), np.uint8)).save("x.png")
    Path("text.png").write_text("this is text")
    Path("empty.png").write_bytes(b"")
    Path("hollow").mkdir()
    if words[0] == "restore" and "--weights" not in words:
        words = [*words, "--weights", str(weights)]
    before = sorted(tmp_path.rglob("*"))
    assert run(*words) == 2
    told = capsys.readouterr().err
    assert message in told
    assert len(told.strip().splitlines()) == 1, told
    assert sorted(tmp_path.rglob("*")) == before


def test_no_source_is_code_3(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MULTIAXIS_HOME", str(tmp_path / "home"))
    assert run("restore", pictures, "--task", "derain", "--offline") == 3
    monkeypatch.setenv("MULTIAXIS_OFFLINE", "1")
    assert run("weights", "pull", "derain") == 3


def test_an_unexpected_error_shows_no_traceback_unless_asked(
    pictures: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr("fnmatch.filter", fail)
    assert run("models") == 70
    assert "unexpected RuntimeError: boom" in capsys.readouterr().err
    with pytest.raises(RuntimeError, match="boom"):
        main(["models", "--debug"])


def test_interrupting_is_code_130(
    pictures: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("multiaxis.tasks.restore.restorer.restore_frames", interrupt)
    monkeypatch.setattr("multiaxis.tasks.restore.restorer.Restorer._drawn", interrupt)
    before = sorted(pictures.iterdir())
    assert run("restore", pictures, "--task", "derain", "--weights", weights) == 130
    deadline = time.monotonic() + 5
    while list(pictures.glob("*.part")) and time.monotonic() < deadline:
        time.sleep(0.01)  # nobody waits for the reader ahead, which tries the folder
    assert sorted(pictures.iterdir()) == before


@pytest.mark.thorough
def test_evaluate_prints_and_writes_tables(
    pictures: Path, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tables = tmp_path / "new" / "tables"
    words = ["evaluate", "--task", "derain", "--input", pictures, "--target", pictures]
    words += ["--weights", weights, "--csv", tables, "--protocol", "rgb", "--protocol", "y"]
    assert run(*words) == 0
    printed = capsys.readouterr().out
    assert "protocol y: MATLAB luma" in printed
    with (tables / "derain-y.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows][-1] == "mean"
    assert len(rows) == 4
    mean = np.mean([float(row["psnr"]) for row in rows[:-1]])
    assert float(rows[-1]["psnr"]) == pytest.approx(mean)
    assert f"y: {mean:7.3f} dB" in printed.splitlines()[-3]
    assert run(*words) == 2, "tables are not replaced without being asked"
    assert run(*words, "--overwrite") == 0


def test_evaluate_with_sizes_that_differ(
    pictures: Path, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    targets = tmp_path / "targets"
    targets.mkdir()
    for path in pictures.iterdir():
        Image.open(path).crop((0, 0, 20, 20)).save(targets / path.name)
    words = ["--task", "derain", "--input", pictures, "--target", targets, "--weights", weights]
    assert run("evaluate", *words, "--csv", tmp_path) == 2
    assert "crop them to the same frame" in capsys.readouterr().err


def test_evaluate_goes_on_where_a_pair_fails(
    pictures: Path, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    targets = tmp_path / "targets"
    targets.mkdir()
    for path in pictures.iterdir():
        Image.open(path).crop((0, 0, 26 if path.stem != "1" else 20, 20)).save(targets / path.name)
    (pictures / "0.png").write_bytes((pictures / "0.png").read_bytes()[:200])
    words = ["--task", "derain", "--input", pictures, "--target", targets, "--weights", weights]
    assert run("evaluate", *words, "--csv", tmp_path) == 1
    told = capsys.readouterr()
    assert "mean of 1 " in told.out
    first, second = told.err.strip().splitlines()
    assert "no score for 0: cannot read" in first
    assert "no score for 1: " in second
    assert "crop them to the same frame" in second
    with (tmp_path / "derain-rgb.csv").open() as file:
        rows = {row["name"]: row["psnr"] for row in csv.DictReader(file)}
    assert rows["0"] == rows["1"] == ""
    assert rows["2"] == rows["mean"]


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder that refuses files")
@pytest.mark.parametrize("folder", ["/proc", "/proc/new"])
def test_tables_that_cannot_be_written_are_found_before_the_work(
    folder: str, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--task", "derain", "--input", pictures, "--target", pictures, "--csv", folder]
    assert run("evaluate", *words, "--weights", "never looked for") == 2
    assert f"cannot write tables into {folder}" in capsys.readouterr().err


@pytest.mark.thorough
def test_what_is_left_out_and_lost_is_said_unless_quiet(
    pictures: Path, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a.BMP", "b.psd", "c"):
        (pictures / name).write_bytes(b"")
    whole = Image.new("RGB", (8, 8))
    whole.save(pictures / "x.jpg")
    data = (pictures / "x.jpg").read_bytes()
    record = b"\x1c\x02\x05\x00\x05title"
    block = b"Photoshop 3.0\0" + b"8BIM\x04\x04\0\0" + len(record).to_bytes(4, "big") + record
    segment = b"\xff\xed" + (len(block) + 2).to_bytes(2, "big") + block
    (pictures / "x.jpg").write_bytes(data[:2] + segment + data[2:])
    words = ["restore", pictures, "--task", "derain", "--weights", weights, "--format", "png"]
    assert run(*words) == 0
    assert "left out: 3 files of other kinds (.bmp, .psd, c)" in capsys.readouterr().err
    assert run(*words, "--overwrite") == 0
    told = capsys.readouterr().err
    assert "note: .png cannot hold the iptc" in told
    assert "left out: 4 files that an earlier run wrote (0_derain.png, " in told
    assert run(*words, "--overwrite", "-q") == 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.thorough
def test_names_that_the_terminal_cannot_show(pictures: Path, weights: Path, tmp_path: Path) -> None:
    try:
        (pictures / "0.png").rename(pictures / os.fsdecode(b"\xff[b].png"))
    except OSError as error:
        if error.errno != errno.EILSEQ:
            raise
        pytest.skip("the file system takes no such name")
    words = ["compare", os.fsdecode(b"in/\xff[b].png"), "in/1.png"]
    words += ["-o", os.fsdecode(b"\xff.png")]
    done = subprocess.run(
        [sys.executable, "-m", "multiaxis", *words],
        capture_output=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONIOENCODING": "utf-8:strict"},
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, b"\\udcff.png\n"), done.stderr


def test_the_bar_names_the_file_and_counts_megapixels(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = io.StringIO()
    terminal = Console(file=shown, force_terminal=True, width=100, _environ={})
    monkeypatch.setattr(console, "Console", lambda **_: terminal)
    with console.progress("megapixels") as show:
        show(Progress("a[b].png", 0.5, 2.0, "megapixels"))
    assert "a[b].png" in shown.getvalue()
    assert "0.5/2.0 megapixels" in shown.getvalue()


def test_compare_notes_what_is_to_be_known_of_a_file(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Image.open(pictures / "0.png") as image:
        image.convert("CMYK").save(tmp_path / "a.jpg")
    assert run("compare", tmp_path / "a.jpg", pictures / "0.png", "-o", tmp_path / "b.png") == 0
    told = capsys.readouterr().err
    assert f"note: {tmp_path / 'a.jpg'}: its CMYK inks were converted to sRGB" in told
    assert "Warning" not in told


def test_compare_makes_a_picture(pictures: Path) -> None:
    assert run("compare", pictures / "0.png", pictures / "1.png") == 0
    with Image.open(pictures / "1_compared.png") as compared:
        assert compared.width > 40
    assert run("compare", pictures / "0.png", pictures / "1.png") == 2


def test_convert_list_models_and_verify(
    weights: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("MULTIAXIS_HOME", str(tmp_path / "home"))
    target = tmp_path / "home" / "weights" / "derain.safetensors"
    assert run("weights", "convert", weights, target) == 0
    assert run("weights", "convert", weights, target) == 2
    assert run("weights", "verify") == 1, "random weights are not the published ones"
    assert "NOT equal to the published parameters" in capsys.readouterr().out
    target.write_bytes(target.read_bytes()[:-100])
    assert run("weights", "verify") == 1
    assert "DAMAGED" in capsys.readouterr().out
    assert run("weights", "list", "derain") == 0
    listed = capsys.readouterr().out
    assert "derain-raindrop" in listed
    assert "denoise" not in listed
    assert run("models", "*_m?") == 0
    assert capsys.readouterr().out.split()[0] == "maxim_m1"


def test_a_folder_named_like_a_task_is_no_checkpoint(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "derain").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MULTIAXIS_HOME", str(tmp_path / "home"))
    words = ["restore", pictures, "--task", "derain", "--offline"]
    assert run(*words) == 3, "the task's own weights were not looked for"


def test_compare_never_replaces_its_inputs(pictures: Path) -> None:
    picture = pictures / "0.png"
    before = picture.read_bytes()
    assert run("compare", picture, pictures / "1.png", "-o", picture, "--overwrite") == 2
    assert picture.read_bytes() == before


@pytest.mark.thorough
def test_as_a_real_process(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "multiaxis"]
    shown = subprocess.run([*command, "--help"], capture_output=True, text=True, check=True)
    assert "restore" in shown.stdout
    assert "--debug" in shown.stdout, "an option that nobody is told of"
    failed = subprocess.run(
        [*command, "restore", "none.png", "--task", "derain"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert failed.returncode == 2
    assert failed.stderr.startswith("multiaxis: ")
    assert failed.stdout == ""
