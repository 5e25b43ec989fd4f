"""Whole batches: trees, formats, resuming by content, reports, several processes, killed ones."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from multiaxis.batch import ledger
from multiaxis.cli.app import main

FILES = ["a.png", "b.jpg", "inner/c.png", "inner/deep/d.webp"]


def run(*words: object) -> int:
    with pytest.raises(SystemExit) as caught:
        main([str(word) for word in words])
    return int(caught.value.code or 0)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    for k, name in enumerate(FILES):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        make(path, k)
    return folder


def make(path: Path, seed: int) -> None:
    values = np.random.default_rng(seed).integers(0, 255, (14, 18, 3), dtype=np.uint8)
    Image.fromarray(values).save(path)


@pytest.fixture
def words(tree: Path, weights: Path, tmp_path: Path) -> list[object]:
    out = tmp_path / "out"
    return ["restore", tree, "--task", "derain", "--weights", weights, "-r", "-q", "-o", out]


def outputs(tmp_path: Path) -> dict[str, bytes]:
    out = tmp_path / "out"
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in out.rglob("*")
        if path.is_file() and path.name != ledger.NAME
    }


def test_the_tree_is_kept(words: list[object], tmp_path: Path) -> None:
    assert run(*words) == 0
    assert sorted(outputs(tmp_path)) == FILES


@pytest.mark.thorough
def test_an_output_inside_the_input_is_not_taken_for_input(words: list[object], tree: Path) -> None:
    words[-1] = tree / "restored"
    assert run(*words) == 0
    assert run(*words, "--overwrite") == 0
    assert not (tree / "restored" / "restored").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights")
def test_a_loop_of_links_ends(words: list[object], tree: Path, tmp_path: Path) -> None:
    (tree / "inner" / "loop").symlink_to(tree, target_is_directory=True)
    assert run(*words) == 0
    assert sorted(outputs(tmp_path)) == FILES


@pytest.mark.thorough
def test_format_depth_quality_and_strip(words: list[object], tree: Path, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    with Image.open(tree / "a.png") as image:
        image.save(tree / "a.png", exif=exif)
    assert run(*words, "--format", "tif", "--depth", "16") == 0
    assert sorted(outputs(tmp_path)) == sorted(
        Path(n).with_suffix(".tif").as_posix() for n in FILES
    )
    from multiaxis.images import probe_picture, read_picture

    assert probe_picture(tmp_path / "out" / "a.tif").depth == "uint16"
    assert b"Maker" in (read_picture(tmp_path / "out" / "a.tif").metadata.exif or b"")
    assert run(*words, "--format", "jpg", "--quality", "30", "--strip") == 0
    small = (tmp_path / "out" / "a.jpg").stat().st_size
    assert read_picture(tmp_path / "out" / "a.jpg").metadata.exif is None
    assert run(*words, "--format", "jpg", "--overwrite") == 0
    assert (tmp_path / "out" / "a.jpg").stat().st_size > 1.5 * small


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--format", "gif", "unknown format 'gif'"),
        ("--depth", "12", "unknown depth '12'"),
        ("--quality", "0", "accepted is 1 to 100"),
        ("--workers", "0", "accepted is 1 to 256"),
        ("--report", "x.txt", "end in .json or .csv"),
        ("--report", "none/x.json", "choose another folder"),
    ],
)
def test_nonsense(
    option: str, value: str, message: str, words: list[object], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*words, option, value) == 2
    assert message in capsys.readouterr().err


def test_dry_run_touches_nothing(
    words: list[object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*words, "--dry-run") == 0
    assert not (tmp_path / "out").exists()
    told = capsys.readouterr()
    assert told.out.count(" -> ") == 4
    assert "would restore 4 pictures" in told.err


@pytest.mark.thorough
def test_resume_judges_by_content_and_settings(
    words: list[object], tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "report.json"

    def states() -> dict[str, str]:
        rows = json.loads(report.read_text())["pictures"]
        return {Path(row["input"]).name: row["state"] for row in rows}

    assert run(*words) == 0
    first = outputs(tmp_path)
    assert run(*words, "--resume", "--report", report) == 0
    assert set(states().values()) == {"finished earlier"}

    make(tree / "b.jpg", 99)  # another picture under the old name
    (tmp_path / "out" / "a.png").unlink()
    (tmp_path / "out" / "inner" / "c.png").write_bytes(b"somebody's own")
    assert run(*words, "--resume", "--report", report) == 1
    assert states() == {
        "a.png": "restored",
        "b.jpg": "restored",
        "c.png": "refused",
        "d.webp": "finished earlier",
    }
    now = outputs(tmp_path)
    assert now["a.png"] == first["a.png"]
    assert now["b.jpg"] != first["b.jpg"]
    assert now["inner/c.png"] == b"somebody's own"

    (tmp_path / "out" / "inner" / "c.png").unlink()
    assert run(*words, "--resume", "--strength", "0.5", "--report", report) == 0
    assert set(states().values()) == {"restored"}, "other settings make other pictures"


def test_a_damaged_ledger_costs_only_work(words: list[object], tmp_path: Path) -> None:
    assert run(*words) == 0
    first = outputs(tmp_path)
    with (tmp_path / "out" / ledger.NAME).open("a") as file:
        file.write('\n{"name": "a.p')
    assert run(*words, "--resume") == 0
    assert outputs(tmp_path) == first
    (tmp_path / "out" / ledger.NAME).write_bytes(b"\xff\xfe\0nonsense\n[1]\n{}\n")
    assert run(*words, "--resume") == 1, "files that nobody vouches for stay"
    assert outputs(tmp_path) == first


@pytest.mark.thorough
def test_reports_name_every_input(words: list[object], tree: Path, tmp_path: Path) -> None:
    (tree / "bad.png").write_bytes(b"nonsense")
    for name in ("r.json", "r.csv"):
        assert run(*words, "--overwrite", "--report", tmp_path / name) == 1
    rows = json.loads((tmp_path / "r.json").read_text())["pictures"]
    with (tmp_path / "r.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert len(rows) == len(table) == 5
    bad = next(row for row in rows if row["input"].endswith("bad.png"))
    assert (bad["state"], bad["output"]) == ("refused", None)
    assert "not a picture" in bad["error"]
    assert [row["state"] for row in table] == [row["state"] for row in rows]
    good = next(row for row in rows if row["input"].endswith("a.png"))
    assert (good["width"], good["height"], good["state"]) == (18, 14, "restored")


def test_one_file_leaves_no_ledger(tree: Path, weights: Path) -> None:
    assert run("restore", tree / "a.png", "--task", "derain", "--weights", weights, "-q") == 0
    assert {path.name for path in tree.iterdir()} == {"a.png", "a_derain.png", "b.jpg", "inner"}


@pytest.mark.thorough
def test_other_formats_beside_their_inputs_are_not_restored_again(
    tree: Path, weights: Path
) -> None:
    words = ["restore", tree, "--task", "derain", "--weights", weights, "--format", "png", "-q"]
    assert run(*words) == 0
    assert run(*words, "--resume") == 0
    names = {path.name for path in tree.iterdir() if path.is_file()}
    assert names == {"a.png", "a_derain.png", "b.jpg", "b_derain.png", ledger.NAME}


@pytest.mark.thorough
def test_clips_and_pictures_in_one_command(
    tree: Path, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    av = pytest.importorskip("av")
    with av.open(str(tree / "clip.mkv"), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        for _ in range(5):
            frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 99, np.uint8), "rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    words = ["restore", tree / "clip.mkv", tree / "a.png", "--task", "derain"]
    words += ["--weights", weights, "-o", f"{tmp_path}/out/"]
    assert run(*words, "--dry-run") == 0
    assert "5 frames" in capsys.readouterr().out
    assert run(*words, "--steady", "0.5") == 0
    assert sorted(outputs(tmp_path)) == ["a.png", "clip.mkv"]
    assert "clip.mkv (5 frames, " in capsys.readouterr().err
    assert run(*words) == 2, "outputs that exist stay"
    (tree / "bad.mp4").write_bytes(b"nonsense")
    assert run("restore", tree / "bad.mp4", "--task", "derain", "--weights", weights) == 2
    assert "no clip that FFmpeg knows" in capsys.readouterr().err


# Processes of their own


def command(*words: object) -> list[str]:
    return [sys.executable, "-m", "multiaxis", *map(str, words)]


# Degrading goes through the same engine, and its processes start without torch: restoring keeps a
# smaller version here, and the long ones among the slow tests.
VERBS = ["degrade", pytest.param("restore", marks=pytest.mark.slow)]


def batch_of(verb: str, count: int, weights: Path, tmp_path: Path) -> list[object]:
    """Make pictures; give the command for them but for the folder of outputs, which comes last."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for k in range(count):
        make(folder / f"{k:02}.png", k)
    if verb == "degrade":
        return ["degrade", "--with", "haze,rain,motion-blur", folder]
    return ["restore", folder, "--task", "derain", "--weights", weights, "-o"]


def await_outputs(folder: Path, count: int, process: subprocess.Popen[bytes]) -> None:
    start = time.monotonic()
    while len(list(folder.glob("*.png"))) < count:
        assert time.monotonic() - start < 120, "too slow"
        assert process.poll() is None, "it ended before it could be stopped"
        time.sleep(0.002)


@pytest.mark.thorough
@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize(
    ("verb", "count", "kills"),  # many are left, should this process be slow to notice
    [
        ("degrade", 100, (7, 30, 60)),
        ("restore", 40, (7,)),
        pytest.param("restore", 100, (7, 30, 60), marks=pytest.mark.slow),
    ],
)
def test_pictures_survive_kill_and_resume(
    verb: str,
    count: int,
    kills: tuple[int, ...],
    weights_file: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out, whole = tmp_path / "out", tmp_path / "whole"
    words = batch_of(verb, count, weights_file, tmp_path)
    assert run(*words, whole, "-q") == 0
    words.append(out)

    for least in kills:
        with subprocess.Popen(
            command(*words, "--resume", "-q"), stdout=subprocess.DEVNULL
        ) as process:
            await_outputs(out, least, process)
            process.send_signal(signal.SIGKILL)
        for path in out.glob("*.png"):  # whole, whenever it was
            assert path.read_bytes() == (whole / path.name).read_bytes()
    finished = {path: path.stat().st_mtime_ns for path in out.glob("*.png")}
    assert kills[-1] <= len(finished) < count

    assert run(*words, "--resume") == 0
    assert f"{len(finished)} were finished earlier" in capsys.readouterr().err
    assert len(list(out.glob("*.png"))) == count
    assert all(path.stat().st_mtime_ns == at for path, at in finished.items())
    assert all((out / p.name).read_bytes() == p.read_bytes() for p in whole.glob("*.png"))
    for part in out.glob(".*.part"):
        os.utime(part, (0, 0))
    (out / "00.png").unlink()
    assert run(*words, "--resume", "-q") == 0
    assert not list(out.glob(".*.part"))


@pytest.mark.thorough
@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.usefixtures("hears_ctrl_c")
@pytest.mark.parametrize(
    ("verb", "count", "workers"),
    [
        ("degrade", 100, 1),
        ("degrade", 100, 2),
        ("restore", 40, 1),
        pytest.param("restore", 100, 2, marks=pytest.mark.slow),
    ],
)
def test_ctrl_c_ends_soon_and_says_how_to_go_on(
    verb: str, count: int, workers: int, weights_file: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    report = tmp_path / "report.csv"
    words = [*batch_of(verb, count, weights_file, tmp_path), out]
    words += ["--report", report, "--workers", workers]
    with subprocess.Popen(
        command(*words),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        await_outputs(out, 5, process)
        start = time.monotonic()
        os.killpg(process.pid, signal.SIGINT)
        _, told = process.communicate(timeout=60)
        seconds = time.monotonic() - start
    assert process.returncode == 130, told
    assert b"the same command with --resume to continue" in told
    assert b"Traceback" not in told
    assert seconds < 10, "generous: a busy machine is slow to end anything"
    assert "not done" in report.read_text()
    words[-1] = 1  # one process finishes what several began
    assert run(*words, "--resume", "-q") == 0
    assert len(list(out.glob("*.png"))) == count


@pytest.mark.thorough
def test_workers_give_the_same_pictures(
    words: list[object], tree: Path, weights_file: Path, tmp_path: Path
) -> None:
    words[words.index("--weights") + 1] = weights_file
    (tree / "bad.png").write_bytes(b"nonsense")
    assert run(*words) == 1
    one = outputs(tmp_path)
    shutil.rmtree(tmp_path / "out")
    assert run(*words, "--workers", "2") == 1
    assert outputs(tmp_path) == one


@pytest.mark.thorough
@pytest.mark.skipif(not Path("/proc/self").exists(), reason="finds workers in /proc")
@pytest.mark.parametrize("verb", VERBS)
def test_a_killed_worker_costs_nothing(verb: str, weights_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = [*batch_of(verb, 100, weights_file, tmp_path), out, "--workers", "2"]
    with subprocess.Popen(
        command(*words), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        await_outputs(out, 5, process)
        for child in children(process.pid):
            if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
                os.kill(child, signal.SIGKILL)
                break
        else:
            pytest.fail("found no worker")
        _, told = process.communicate(timeout=120)
    assert process.returncode == 0, told
    assert b"100 of 100 pictures" in told
    assert len(list(out.glob("*.png"))) == 100


def children(parent: int) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]
