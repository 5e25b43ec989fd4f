"""What happens to a batch from outside: odd files, replaced ones, two runs at once, full disks."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from multiaxis import Restorer
from multiaxis.cli.app import main
from multiaxis.errors import MissingExtraError
from multiaxis.restoration import jobs as planning
from multiaxis.restoration import ledger, plan_jobs, run_jobs


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
    def guarded(path: object, *words: object, **options: object) -> object:
        if error := ODD.get(Path(str(path)).name):
            raise error
        return function(path, *words, **options)

    return guarded


@pytest.mark.parametrize("step", ["probe_picture", "read_picture", "write_picture"])
def test_whatever_one_file_raises_costs_that_file(
    step: str,
    words: list[object],
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from multiaxis.restoration import run as running

    for k, name in enumerate(ODD):
        make(folder / name, k)
    room = planning if step == "probe_picture" else running
    monkeypatch.setattr(room, step, failing(getattr(room, step)))
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
    assert {found[name] for name in ODD} == {"refused" if step == "probe_picture" else "failed"}


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
    from multiaxis.restoration import look

    assert run(*words) == 0

    def find_state(entries: object, source: Path, *rest: object) -> str:
        if source.name == "1.png":
            raise MemoryError
        return "finished"

    monkeypatch.setattr(look, "find_state", find_state)
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
    assert "1 were finished earlier" in capsys.readouterr().err
    assert run("restore", tmp_path / "missing.png", *words[3:]) == 2, "nothing else was asked for"


def test_a_report_tells_also_where_nothing_can_be_done(words: list[object], tmp_path: Path) -> None:
    words[1:2] = [tmp_path / "a.png", tmp_path / "b.png"]
    assert run(*words, "--report", tmp_path / "r.json") == 2
    assert states(tmp_path / "r.json") == {"a.png": "refused", "b.png": "refused"}


# Files that change during a run


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
        return restore_picture(*arguments, **options)  # type: ignore[arg-type]

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
    assert entry.settings == "s"


def test_an_input_that_goes_before_it_is_read_is_called_so(
    folder: Path, restorer: Restorer, tmp_path: Path
) -> None:
    plan = plan_jobs([str(folder)], str(tmp_path / "out"), suffix="")
    (folder / "1.png").unlink()
    results = run_jobs(restorer, plan.jobs, settings="s")
    assert [bool(result.error) for result in results] == [False, True, False]
    assert f"{folder / '1.png'}: there is no such file" in (results[1].error or "")
