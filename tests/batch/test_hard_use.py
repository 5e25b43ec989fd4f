"""What happens to a batch from outside: odd files, replaced ones, two runs at once, full disks."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from batches import plan_jobs, run_jobs
from multiaxis import Restorer
from multiaxis.batch import ledger, planner
from multiaxis.batch import states as looks
from multiaxis.batch.ledger import settings_digest
from multiaxis.batch.states import State
from multiaxis.cli.app import main
from multiaxis.errors import ImageError, MissingExtraError
from multiaxis.files.lines import append_line, read_lines
from multiaxis.files.parts import clear_parts, new_part
from multiaxis.files.publish import publish
from multiaxis.tasks.restore.verb import Restore


def run(*words: object) -> int:
    with pytest.raises(SystemExit) as caught:
        main([str(word) for word in words])
    return int(caught.value.code or 0)


def make(path: Path, seed: int) -> None:
    values = np.random.default_rng(seed).integers(0, 255, (8, 10, 3), dtype=np.uint8)
    Image.fromarray(values).save(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    for k in range(3):
        make(folder / f"{k}.png", k)
    return folder


@pytest.fixture
def words(folder: Path, weights: Path, tmp_path: Path) -> list[object]:
    return ["restore", folder, "--task", "derain", "--weights", weights, "-o", tmp_path / "out"]


def states(report: Path) -> dict[str, str]:
    rows = json.loads(report.read_text())["pictures"]
    return {Path(row["input"]).name: row["state"] for row in rows}


# Odd files

ODD = {
    "a.png": AttributeError("'float' object has no attribute 'encode'"),
    "b.png": MemoryError(),
    "c.png": UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
    "d.png": MissingExtraError("this needs the optional package x"),
}


def failing(function: Callable[..., object]) -> Callable[..., object]:
    def guarded(*words: object, **options: object) -> object:
        for word in words:
            if isinstance(word, str | Path) and (error := ODD.get(Path(word).name)):
                raise error
        return function(*words, **options)

    return guarded


@pytest.mark.parametrize("step", ["probe_file", "decode_picture", "encode_picture"])
def test_whatever_one_file_raises_costs_that_file(
    step: str,
    words: list[object],
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from multiaxis.tasks.restore import pictures as running

    for k, name in enumerate(ODD):
        make(folder / name, k)
    monkeypatch.setattr(running, step, failing(getattr(running, step)))
    assert run(*words, "--report", tmp_path / "r.json") == 1
    assert len(list((tmp_path / "out").glob("?.png"))) == 3
    told = capsys.readouterr().err
    lines = [line for line in told.splitlines() if line.startswith("multiaxis: ")]
    assert len(lines) == 4
    for name, line in zip(ODD, lines, strict=True):
        assert name in line
    assert "restored 3 of 7 pictures" in told
    assert "Traceback" not in told
    found = states(tmp_path / "r.json")
    assert {found[name] for name in ODD} == {"refused" if step == "probe_file" else "failed"}


def test_an_odd_file_of_another_tool_costs_itself(
    words: list[object], folder: Path, tmp_path: Path, shared_dir: Path
) -> None:
    odd = shared_dir / "data" / "faults" / "51_artist_as_float.tif"
    shutil.copy(odd, folder)
    assert run(*words, "--dry-run") in (0, 1)
    assert run(*words) in (0, 1)  # read or refused
    assert len(list((tmp_path / "out").glob("*.png"))) == 3


def test_what_cannot_be_compared_on_resume_costs_itself(
    words: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(*words) == 0

    def find_state(entries: object, source: Path, *rest: object) -> str:
        if source.name == "1.png":
            raise MemoryError
        return "finished"

    monkeypatch.setattr(looks, "find_state", find_state)
    report = tmp_path / "r.json"
    assert run(*words, "--resume", "--report", report) == 1
    assert states(report) == {
        "0.png": "finished earlier",
        "1.png": "refused",
        "2.png": "finished earlier",
    }


def test_a_missing_file_beside_a_good_one_is_a_failure_among_others(
    words: list[object], folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words[1:2] = [folder / "0.png", tmp_path / "missing.png"]
    report = tmp_path / "r.json"
    words[-1] = f"{words[-1]}/"
    assert run(*words, "--dry-run") == 1
    assert run(*words, "--report", report) == 1
    told = capsys.readouterr().err
    assert "restored 1 of 2 pictures" in told
    assert "missing.png: there is no such file" in told
    assert states(report) == {"0.png": "restored", "missing.png": "refused"}
    assert run(*words, "--resume") == 1
    assert "restored 0 of 1 picture, 1 were finished earlier" in capsys.readouterr().err
    assert run("restore", tmp_path / "missing.png", *words[3:]) == 2, "nothing else was asked for"


def test_a_report_tells_also_where_nothing_can_be_done(words: list[object], tmp_path: Path) -> None:
    words[1:2] = [tmp_path / "a.png", tmp_path / "b.png"]
    assert run(*words, "--report", tmp_path / "r.json") == 2
    assert states(tmp_path / "r.json") == {"a.png": "refused", "b.png": "refused"}


def test_a_report_that_cannot_be_written_hides_nothing(
    words: list[object],
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    (folder / "bad.png").write_bytes(b"nonsense")
    monkeypatch.setattr("multiaxis.batch.report.publish", full)
    assert run(*words, "--report", tmp_path / "r.json") == 1
    told = capsys.readouterr().err
    assert "cannot write the report" in told
    assert "restored 3 of 4 pictures" in told
    assert "bad.png" in told


# Files that change during a run


@pytest.mark.thorough
def test_what_was_read_is_vouched_for(
    words: list[object], folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    restore_picture = Restorer.restore_picture
    before = (folder / "1.png").read_bytes()

    calls: list[object] = []

    def replace_meanwhile(*arguments: object, **options: object) -> object:
        calls.append(arguments)
        if len(calls) == 2:  # the second is in work; it has been read
            make(folder / "1.png", 99)
        return restore_picture(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Restorer, "restore_picture", replace_meanwhile)
        assert run(*words) == 0
    report = tmp_path / "r.json"
    first = (tmp_path / "out" / "1.png").read_bytes()
    assert run(*words, "--resume", "--report", report) == 0
    assert states(report) == {
        "0.png": "finished earlier",
        "1.png": "restored",
        "2.png": "finished earlier",
    }
    (folder / "1.png").write_bytes(before)
    assert run(*words, "--resume") == 0
    assert (tmp_path / "out" / "1.png").read_bytes() == first


def test_an_input_that_goes_after_it_was_read_is_restored(
    folder: Path, restorer: Restorer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_jobs([str(folder)], str(tmp_path / "out"), suffix="")
    restore_picture = restorer.restore_picture

    def remove(picture: object, **options: object) -> object:
        (folder / "0.png").unlink(missing_ok=True)
        return restore_picture(picture, **options)

    monkeypatch.setattr(restorer, "restore_picture", remove)
    first, *_ = run_jobs(restorer, plan.jobs, settings="s")
    assert first.error is None
    (entry,) = ledger.read_entries(tmp_path / "out")["0.png"]
    assert entry.settings == settings_digest({"word": "s"})


def test_an_input_that_goes_before_it_is_read_is_called_so(
    folder: Path, restorer: Restorer, tmp_path: Path
) -> None:
    plan = plan_jobs([str(folder)], str(tmp_path / "out"), suffix="")
    (folder / "1.png").unlink()
    results = run_jobs(restorer, plan.jobs, settings="s")
    assert [bool(result.error) for result in results] == [False, True, False]
    assert f"{folder / '1.png'}: there is no such file" in (results[1].error or "")


# Two runs at once


def test_what_another_run_finished_meanwhile_counts_as_finished(
    folder: Path, restorer: Restorer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = str(tmp_path / "out")
    first, second = (plan_jobs([str(folder)], out, suffix="", resume="s") for _ in range(2))
    other = plan_jobs([str(folder)], out, suffix="", resume="other")
    assert not any(result.error for result in run_jobs(restorer, first.jobs, settings="s"))
    results = run_jobs(restorer, second.jobs, settings="s")
    assert [(result.error, result.earlier) for result in results] == [(None, True)] * 3
    results = run_jobs(restorer, other.jobs, settings="other")
    assert all("exists" in (result.error or "") for result in results), "of other settings"

    find, looked = looks.States.find, []

    def blind_once(look: looks.States, targets: dict[Path, Path], *rest: object) -> object:
        looked.append(targets)  # as if the other run gave the names right after the look
        return dict.fromkeys(targets, State()) if len(looked) == 1 else find(look, targets, *rest)

    monkeypatch.setattr(looks.States, "find", blind_once)
    plan = plan_jobs([str(folder)], out, suffix="", resume="s")
    assert len(plan.finished) == 3
    assert not plan.refused


@pytest.mark.thorough
def test_it_is_reported_as_finished_earlier(
    words: list[object],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    load, report = Restore.load, tmp_path / "r.json"

    def load_late(*arguments: object) -> object:
        monkeypatch.setattr(Restore, "load", load)
        assert run(*words, "--resume") == 0  # the other run, from its beginning to its end
        return load(*arguments)

    monkeypatch.setattr(Restore, "load", load_late)
    assert run(*words, "--resume", "--report", report) == 0
    assert set(states(report).values()) == {"finished earlier"}
    told = capsys.readouterr().err
    assert "(finished by another run)" in told
    assert "restored 0 of 0 pictures" in told
    assert "3 were finished earlier" in told


# The ledger


@pytest.mark.thorough
def test_a_ledger_that_cannot_be_one_is_told_before_the_work(
    words: list[object],
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (folder / "inner").mkdir()
    make(folder / "inner" / "3.png", 3)
    assert run(*words, "-r") == 0  # outputs that a ledger vouches for
    monkeypatch.setattr(Restorer, "restore_picture", None)  # it is not called any more
    path = tmp_path / "out" / ledger.NAME
    kept = path.read_bytes()
    path.unlink()
    for make_it in (path.mkdir, *([lambda: os.mkfifo(path)] if hasattr(os, "mkfifo") else [])):
        make_it()
        assert run(*words, "--resume", "-r") == 1, "those in the other folder are finished"
        told = capsys.readouterr().err
        assert told.count("notes what is finished and cannot be read: it is a folder, device") == 3
        assert run(*words, "--overwrite") == 2
        assert "cannot be added to: it is a folder, device" in capsys.readouterr().err
        path.rmdir() if path.is_dir() else path.unlink()
    path.write_bytes(kept)
    path.chmod(0o444)
    if os.access(path, os.W_OK):
        monkeypatch.setattr(planner, "check_ledger", refuse)
    assert run(*words, "--overwrite", "--dry-run") == 2
    assert "cannot be added to: Permission denied" in capsys.readouterr().err


def refuse(folder: Path) -> None:
    raise ImageError(f"{folder} cannot be added to: Permission denied")


@settings(max_examples=30)
@given(st.data())
def test_lines_after_a_torn_one_count(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "lines"
        records = [{"n": k, "text": "a\n\u2028ü"} for k in range(3)]
        for record in records:
            append_line(path, record)
        whole = path.read_bytes()
        assert read_lines(path) == records
        cut = data.draw(st.integers(0, len(whole)))
        path.write_bytes(whole[:cut])
        left = read_lines(path)
        append_line(path, {"n": "new"})
        assert read_lines(path) == [*left, {"n": "new"}]
        assert left == records[: len(left)]
        assert len(left) >= whole[:cut].count(b"\n")


@pytest.mark.thorough
def test_a_full_disk_fails_the_file_and_tears_one_line_only(
    words: list[object], folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, calls = os.write, []

    def full(handle: int, line: bytes) -> int:
        calls.append(line)
        return write(handle, line[: len(line) // 2] if len(calls) == 2 else line)

    with monkeypatch.context() as patch:
        patch.setattr("multiaxis.files.lines.os.write", full)
        assert run(*words, "--report", tmp_path / "r.json") == 1
    rows = {row["state"]: row for row in json.loads((tmp_path / "r.json").read_text())["pictures"]}
    assert "1.png: the disk is full" in rows["failed"]["error"]
    assert {path.name for path in (tmp_path / "out").glob("*.png")} == {"0.png", "2.png"}
    assert set(ledger.read_entries(tmp_path / "out")) == {"0.png", "2.png"}
    assert run(*words, "--resume", "--report", tmp_path / "r.json") == 0
    assert states(tmp_path / "r.json") == {
        "0.png": "finished earlier",
        "1.png": "restored",
        "2.png": "finished earlier",
    }


def test_lines_of_other_shapes_are_skipped(words: list[object], tmp_path: Path) -> None:
    assert run(*words) == 0
    path = tmp_path / "out" / ledger.NAME
    digests = '"input": "x", "settings": "y", "output": "z"'
    odd = [
        b"[" * 100_000,
        b"1" * 10_000,
        f'{{"name": ["a"], {digests}}}'.encode(),
        f'{{"name": "a", "more": 1, {digests}}}'.encode(),
        b"\xff\xfe{}",
        b"\0" * 4096,  # what a crash of the machine can leave
    ]
    path.write_bytes(b"\n".join([*odd, path.read_bytes()]))
    assert run(*words, "--resume", "--report", tmp_path / "r.json") == 0
    assert set(states(tmp_path / "r.json").values()) == {"finished earlier"}


# Strays

HOLD = """
import sys
from pathlib import Path
from multiaxis.files.parts import new_part
with new_part(Path(sys.argv[1])) as part:
    part.write(b"half a picture")
    print(part.path.name, flush=True)
    sys.stdin.read()
"""


def test_parts_of_the_dead_go_at_the_next_use_and_those_of_the_living_stay(
    words: list[object], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    mine = out / f".{'0' * 15}x.part"  # somebody's own name
    mine.touch()
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, out], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        held = out / other.stdout.readline().strip()
        os.utime(held, (0, 0))
        dead = out / f".{'0' * 16}.part"
        dead.touch()  # nobody has it open
        assert run(*words, "--dry-run") == 0
        assert dead.exists(), "a trial touches nothing"
        assert run(*words, "-q") == 0
        assert held.exists()
        assert not dead.exists()
        other.kill()
    assert run(*words, "-q", "--resume") == 0, "even where nothing is left to do"
    assert sorted(path.name for path in out.glob(".*.part")) == [mine.name]


def test_every_writer_tidies_its_folder_once(tmp_path: Path) -> None:
    stray = tmp_path / f".{'1' * 16}.part"
    stray.touch()
    publish(tmp_path / "a", b"1", overwrite=False)
    assert not stray.exists()
    with new_part(tmp_path) as part:
        clear_parts(tmp_path)
        assert part.path.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_part_that_was_tidied_away_before_it_was_locked_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from multiaxis.files import parts

    calls: list[int] = []

    def lock_late(handle: int) -> None:
        if not calls:
            clear_parts(tmp_path)
        calls.append(handle)
        lock(handle)

    lock = parts.lock
    monkeypatch.setattr(parts, "lock", lock_late)
    publish(tmp_path / "a", b"whole", overwrite=False)
    assert len(calls) == 2
    assert (tmp_path / "a").read_bytes() == b"whole"
