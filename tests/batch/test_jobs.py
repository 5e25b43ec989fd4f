"""Many files: what goes where, and what happens to the others when one fails."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from batches import plan_jobs, run_jobs
from multiaxis import Restorer
from multiaxis.batch import Plan, Request
from multiaxis.batch.ledger import Note
from multiaxis.batch.planner import make_plan
from multiaxis.batch.workers import do_once
from multiaxis.degrade import parse_chain
from multiaxis.errors import ConfigError
from multiaxis.files.window import Window
from multiaxis.tasks.degrade.verb import Degrade


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for k, name in enumerate(["b.png", "a.jpg", "c ü.png"]):
        values = np.random.default_rng(k).integers(0, 255, (12, 16, 3), dtype=np.uint8)
        Image.fromarray(values).save(folder / name)
    (folder / "notes.txt").write_text("not a picture")
    return folder


def names(plan: Plan) -> list[tuple[str, str]]:
    return [(job.input.name, job.output.name) for job in plan.jobs]


def test_plans_read_headers_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).integers(0, 255, (900, 1200, 3), dtype=np.uint8)
    Image.fromarray(values).save(folder / "large.tif")
    read, found = Window._read, list[int]()

    def counted(window: Window, start: int, length: int) -> bytes:
        found.append(length)
        return read(window, start, length)

    monkeypatch.setattr(Window, "_read", counted)
    monkeypatch.setattr(Path, "read_bytes", lambda path: pytest.fail(f"{path} is read whole"))
    assert len(plan_jobs([str(folder)], None, suffix="_derain").jobs) == 4
    assert 0 < sum(found) < 100_000


def test_beside_the_input_with_a_suffix(folder: Path) -> None:
    plan = plan_jobs([str(folder)], None, suffix="_derain")
    assert names(plan) == [
        ("a.jpg", "a_derain.jpg"),
        ("b.png", "b_derain.png"),
        ("c ü.png", "c ü_derain.png"),
    ]
    assert all(job.output.parent == folder for job in plan.jobs)
    assert not plan.refused


def test_patterns_files_and_a_folder_as_output(folder: Path, tmp_path: Path) -> None:
    plan = plan_jobs(
        [str(folder / "*.png"), str(folder / "a.jpg"), str(folder / "a.jpg")],
        str(tmp_path / "new"),
        suffix="_x",
    )
    assert [job.output for job in plan.jobs] == [
        tmp_path / "new" / name for name in ("b.png", "c ü.png", "a.jpg")
    ]


def test_one_file_to_one_file(folder: Path, tmp_path: Path) -> None:
    source = str(folder / "b.png")
    (job,) = plan_jobs([source], str(tmp_path / "out.tif"), suffix="_x").jobs
    assert job.output == tmp_path / "out.tif"
    (job,) = plan_jobs([source], f"{tmp_path}/out.v1/", suffix="_x").jobs
    assert job.output == tmp_path / "out.v1" / "b.png"


def test_what_an_earlier_run_wrote_is_not_restored_again(folder: Path, restorer: Restorer) -> None:
    first = plan_jobs([str(folder)], None, suffix="_x")
    assert all(not result.error for result in run_jobs(restorer, first.jobs))
    again = plan_jobs([str(folder)], None, suffix="_x")
    assert not again.jobs
    assert len(again.refused) == 3
    assert all("exists: pass --overwrite" in reason for _, reason in again.refused)
    assert len(plan_jobs([str(folder)], None, suffix="_x", overwrite=True).jobs) == 3


@pytest.mark.parametrize(
    ("output", "overwrite", "message"),
    [
        (".", True, "is an input: originals are never replaced"),
        ("out.docx", False, "unknown suffix"),
        ("b_x.png", False, "exists"),
    ],
)
def test_refused_outputs(
    output: str, overwrite: bool, message: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    (folder / "b_x.png").write_bytes(b"old")
    plan = plan_jobs(["b.png"], output, suffix="_x", overwrite=overwrite)
    assert not plan.jobs
    assert message in plan.refused[0][1]


def test_two_inputs_of_one_name(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "b.png").write_bytes((folder / "b.png").read_bytes())
    plan = plan_jobs([str(folder / "b.png"), str(other / "b.png")], str(tmp_path / "o"), suffix="")
    assert len(plan.jobs) == 1
    assert "is already the output of" in plan.refused[0][1]


def test_bad_inputs_are_found_before_anything_runs(folder: Path, tmp_path: Path) -> None:
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    (folder / "empty.jpg").write_bytes(b"")
    plan = plan_jobs([str(folder), str(tmp_path / "none.png")], None, suffix="_x")
    assert len(plan.jobs) == 3
    assert {path.name for path, _ in plan.refused} == {"broken.png", "empty.jpg", "none.png"}
    assert all("\n" not in reason for _, reason in plan.refused)
    hollow = tmp_path / "hollow"
    hollow.mkdir()
    assert "holds no pictures" in plan_jobs([str(hollow)], None, suffix="").refused[0][1]
    too_large = plan_jobs([str(folder / "b.png")], None, suffix="_x", max_megapixels=1e-5)
    assert "megapixels" in too_large.refused[0][1]


def test_one_failure_does_not_stop_the_others(folder: Path, restorer: Restorer) -> None:
    before = {p: hashlib.sha256(p.read_bytes()).digest() for p in folder.iterdir()}
    plan = plan_jobs([str(folder)], None, suffix="_x")
    whole = (folder / "a.jpg").read_bytes()
    (folder / "a.jpg").write_bytes(whole[: len(whole) // 2])  # damaged after it was planned
    seen: list[str] = []
    results = run_jobs(restorer, plan.jobs, on_result=lambda r: seen.append(r.job.input.name))
    assert seen == ["a.jpg", "b.png", "c ü.png"]
    assert [bool(result.error) for result in results] == [True, False, False]
    (folder / "a.jpg").write_bytes(whole)
    written = {folder / "b_x.png", folder / "c ü_x.png"}
    assert set(folder.iterdir()) == set(before) | written, "something else was left behind"
    assert all(hashlib.sha256(p.read_bytes()).digest() == h for p, h in before.items())


def test_an_output_that_appears_meanwhile_is_not_replaced(folder: Path, restorer: Restorer) -> None:
    plan = plan_jobs([str(folder / "b.png")], None, suffix="_x")
    (folder / "b_x.png").write_bytes(b"somebody's")
    (result,) = run_jobs(restorer, plan.jobs)
    assert result.error
    assert (folder / "b_x.png").read_bytes() == b"somebody's"


def test_names_that_cannot_be_looked_up_cost_only_themselves(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = folder / "loop.png"
    loop.symlink_to(loop)
    closed = tmp_path / "closed"
    is_dir = Path.is_dir

    def guarded(path: Path, **how: bool) -> bool:
        if path == closed:
            raise PermissionError(13, "Permission denied")
        return is_dir(path, **how)

    monkeypatch.setattr(Path, "is_dir", guarded)
    words = ["x" * 300, str(loop), str(closed), "a\0b.png", "", str(folder / "b.png")]
    plan = plan_jobs(words, None, suffix="_x")
    assert names(plan) == [("b.png", "b_x.png")]
    assert [path.name for path, _ in plan.refused] == [
        "x" * 300,
        "closed",
        "",
        "loop.png",
        "a\0b.png",
    ]
    assert all("\n" not in reason for _, reason in plan.refused)


def test_an_output_name_that_is_too_long_costs_only_itself(folder: Path) -> None:
    long = folder / f"{'n' * 250}.png"
    (folder / "b.png").rename(long)
    plan = plan_jobs([str(folder)], None, suffix="_derain")
    assert len(plan.jobs) == 2
    assert "too long" in plan.refused[0][1]
    (_, reason), *_ = plan_jobs([str(folder)], "o" * 300, suffix="").refused
    assert "too long" in reason


@pytest.mark.parametrize("words", [["."], ["*.png"], ["b.png", "a.jpg"]])
def test_a_file_as_output_goes_with_a_single_file_only(
    words: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    with pytest.raises(ConfigError, match=r"end it with a slash \(out.png/\)"):
        plan_jobs(words, "out.png", suffix="_x")
    assert plan_jobs(words, "out.png/", suffix="_x").jobs
    with pytest.raises(ConfigError, match="the output is empty"):
        plan_jobs(words, "", suffix="_x")


def test_what_is_left_out_is_said(folder: Path, tmp_path: Path) -> None:
    for name in ("scan.bmp", ".hidden", "Thumbs.db", "b_x.png"):
        (folder / name).write_bytes((folder / "b.png").read_bytes())
    beside = plan_jobs([str(folder)], None, suffix="_x", overwrite=True)
    assert [path.name for path in beside.others] == ["notes.txt", "scan.bmp"]
    assert [path.name for path in beside.earlier] == ["b_x.png"]
    assert len(beside.jobs) == 3
    elsewhere = plan_jobs([str(folder)], str(tmp_path / "out"), suffix="_x")
    assert not elsewhere.earlier
    assert len(elsewhere.jobs) == 4, "a name like that of an output is no reason elsewhere"


def test_folders_inside_lose_nothing_in_silence(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("open/a.png", "locked/b.png", "open/work.psd", "out/old.txt"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes((folder / "b.png").read_bytes())
    scan = os.scandir

    def refuse(path: str) -> object:
        if os.fspath(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    plan = plan_jobs([str(folder)], str(folder / "out"), suffix="", recursive=True)
    assert len(plan.jobs) == 4
    ((path, said),) = plan.refused
    assert path == folder / "locked"
    assert said == f"cannot list {path}: Permission denied; allow it, or leave it out"
    assert [path.name for path in plan.others] == ["notes.txt", "work.psd"]


def test_an_unexpected_error_costs_one_file(
    folder: Path, restorer: Restorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_jobs([str(folder)], None, suffix="_x")
    restore_picture, calls = restorer.restore_picture, []

    def fail_once(picture: object, **options: object) -> object:
        calls.append(picture)
        if len(calls) == 1:
            raise RuntimeError("boom")
        return restore_picture(picture, **options)

    monkeypatch.setattr(restorer, "restore_picture", fail_once)
    results = run_jobs(restorer, plan.jobs)
    assert results[0].error == f"{folder / 'a.jpg'}: unexpected RuntimeError: boom"
    assert [bool(result.error) for result in results] == [True, False, False]


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder that refuses files")
def test_a_folder_that_takes_no_file_is_found_before_the_network_runs(
    folder: Path, restorer: Restorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(_: object, **options: object) -> None:
        raise AssertionError("the network ran")

    monkeypatch.setattr(restorer, "restore_picture", run)
    (job,) = plan_jobs([str(folder / "b.png")], "/proc/x.png", suffix="").jobs
    (result,) = run_jobs(restorer, [job])
    assert result.error
    assert "cannot write /proc/x.png: permission denied" in result.error
    (job,) = plan_jobs([str(folder / "b.png")], "/proc/new/", suffix="").jobs
    (result,) = run_jobs(restorer, [job])
    assert result.error
    assert "cannot create the folder /proc/new" in result.error


def test_a_second_attempt_tells_what_the_first_had_finished(tmp_path: Path) -> None:
    """The worker died between naming its output and telling so."""
    Image.fromarray(np.full((8, 8, 3), 99, np.uint8)).save(tmp_path / "a.png")
    verb = Degrade(parse_chain("gaussian-noise:sigma=10..50"), 3)
    (job,) = make_plan(verb, Request([str(tmp_path / "a.png")], str(tmp_path / "b.png"))).jobs
    first, second = (do_once(verb, verb.load(), Note(), job, attempt) for attempt in (1, 2))
    assert (first.error, second.error) == (None, None)
    assert dict(second.record) == dict(first.record)
    assert "sigma=" in second.record["degradations"]
