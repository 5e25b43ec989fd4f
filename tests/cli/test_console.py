"""What is printed: names cannot command the terminal, and a reader that leaves stops no work."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from multiaxis.cli import console
from multiaxis.cli.app import main
from multiaxis.progress import Progress

HOSTILE = "a\x1b[2J\r\nmultiaxis: forged\x07\x7f\x9b31m\u202egnp.\u2066\u2028b"


def run(*words: object) -> int:
    with pytest.raises(SystemExit) as caught:
        main([str(word) for word in words])
    return int(caught.value.code or 0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    for k in range(3):
        values = np.random.default_rng(k).integers(0, 255, (8, 9, 3), dtype=np.uint8)
        Image.fromarray(values).save(folder / f"{k}.png")
    return folder


@pytest.mark.thorough
@given(st.text() | st.just(HOSTILE))
def test_escaped_text_is_one_line_without_controls(text: str) -> None:
    shown = console.escaped(text)
    assert not any(code in shown for code in "\0\a\b\t\n\r\x1b\x7f\x85\x9b\u200f\u202e\u2028\u2067")
    assert len(shown.splitlines()) <= 1
    assert console.escaped("grüße 日本 👩‍👩‍👧 a'b\\c") == "grüße 日本 👩‍👩‍👧 a'b\\c"


def test_every_way_of_printing_escapes(capsys: pytest.CaptureFixture[str]) -> None:
    console.say(HOSTILE, "second")
    console.note(HOSTILE)
    console.complain(HOSTILE)
    told = capsys.readouterr()
    assert told.out.splitlines() == [console.escaped(HOSTILE), "second"]
    assert told.err.splitlines() == [
        console.escaped(HOSTILE),
        f"multiaxis: {console.escaped(HOSTILE)}",
    ]
    assert r"\x1b[2J\r\nmultiaxis: forged\x07\u007f\u009b31m\u202egnp." in told.err


def test_the_bar_escapes(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with console.progress("pictures") as show:
        show(Progress("a\x1b]0;title\x07\u202eb", 1, 2, "pictures"))
    assert "\x1b]0" not in terminal.getvalue()
    assert r"\x1b]0;title\x07\u202eb" in terminal.getvalue()


@pytest.mark.skipif(sys.platform == "win32", reason="names that Windows does not take")
def test_names_of_files_are_escaped_in_results_notes_and_complaints(
    folder: Path, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = HOSTILE.replace("/", "")
    (folder / "0.png").rename(folder / f"{name}.png")
    (folder / f"bad{name}.png").write_bytes(b"nonsense")
    words = ["restore", folder, "--task", "derain", "--weights", weights, "-o", tmp_path / "out"]
    assert run(*words, "--dry-run") == 1
    assert run(*words, "--report", tmp_path / "r.json") == 1
    assert run("degrade", folder, tmp_path / "spoiled", "--with", "jpeg") == 1
    told = capsys.readouterr()
    for text in (told.out, told.err):
        assert "\x1b" not in text
        assert "\u202e" not in text
        assert "\nmultiaxis: forged" not in text
        assert console.escaped(name) in text
    rows = json.loads((tmp_path / "r.json").read_text())["pictures"]
    assert str(folder / f"{name}.png") in {row["input"] for row in rows}
    assert "\u202e" not in (tmp_path / "r.json").read_text()


@pytest.fixture
def left() -> Iterator[io.TextIOWrapper]:
    """A pipe whose reader is gone."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stream:
        yield stream


@pytest.mark.thorough
@pytest.mark.parametrize("missing", [[], ["missing.png"]])
def test_a_reader_that_leaves_stops_no_work_and_the_code_is_true(
    missing: list[str],
    folder: Path,
    weights: Path,
    tmp_path: Path,
    left: io.TextIOWrapper,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    words = ["restore", folder, *missing, "--task", "derain", "--weights", weights]
    words += ["-o", tmp_path / "out", "--report", tmp_path / "r.csv"]
    monkeypatch.setattr(sys, "stderr", left)
    monkeypatch.setattr(sys, "stdout", left)
    assert run(*words, "--dry-run") == len(missing)
    assert run(*words) == len(missing)
    assert len(list((tmp_path / "out").glob("*.png"))) == 3
    assert len((tmp_path / "r.csv").read_text().splitlines()) == 4 + len(missing)
    assert run("--help") == 0
    assert run("models") == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is full")
def test_results_that_did_not_arrive_are_told(
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert run("degrade", folder, tmp_path / "out", "--with", "jpeg") == 1
    assert "did not arrive: No space left on device" in capsys.readouterr().err
    assert len(list((tmp_path / "out").glob("*.png"))) == 3


@pytest.mark.thorough
@pytest.mark.skipif(sys.platform == "win32", reason="a shell of POSIX")
def test_closed_streams_do_not_lend_their_numbers_to_pictures(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    script = 'exec "$0" -m multiaxis degrade "$1" "$2" --with jpeg <&- >&- 2>&-'
    subprocess.run(["sh", "-c", script, sys.executable, folder, out], check=True)
    for path in out.glob("*.png"):
        with Image.open(path) as image:
            image.load()
    assert len(list(out.glob("*.png"))) == 3
