"""``multiaxis detect`` and ``evaluate --task detect``, as a newcomer uses them."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import small_detections
from multiaxis.cli.app import main
from multiaxis.tasks.detect.detector import Detector


def run(*words: object) -> int:
    with pytest.raises(SystemExit) as caught:
        main([str(word) for word in words])
    assert isinstance(caught.value.code, int)
    return caught.value.code


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with ``in`` (four pictures and truth.json) and ``w.safetensors``."""
    small_detections.write_set(tmp_path / "in")
    small_detections.write_weights(tmp_path / "w.safetensors", "mask")
    monkeypatch.chdir(tmp_path)
    return tmp_path


WORDS = ("detect", "in", "--weights", "w.safetensors", "--device", "cpu", "--threshold", "0")
BOTH = ("--results", "found.json", "--results", "found.csv")


@pytest.mark.thorough
def test_drawings_and_results(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*WORDS, "-o", "out", *BOTH, "--annotations", "in/truth.json") == 0
    told = capsys.readouterr()
    assert "detected 4 of 4 pictures" in told.err
    assert "left out: 1 file of other kinds (.json)" in told.err
    assert told.out.splitlines()[0] == "in/0.png"
    for k in range(4):
        before, after = (
            np.array(Image.open(p / f"{k}.png")) for p in (folder / "in", folder / "out")
        )
        assert before.shape == after.shape
        assert (before != after).any()
    rows = json.loads((folder / "found.json").read_text())
    assert {row["image_id"] for row in rows} == {10, 11, 12, 13}
    assert {row["category_id"] for row in rows} <= {2, 5, 9}
    assert set(rows[0]) == {
        "image_id", "category_id", "bbox", "score", "segmentation", "file_name"
    }  # fmt: skip
    table = list(csv.DictReader((folder / "found.csv").read_text().splitlines()))
    assert len(table) == len(rows)
    assert [float(row["left"]) for row in table] == [row["bbox"][0] for row in rows]
    (found, *_) = Detector("w.safetensors", threshold=0.0, device="cpu").detect("in/0.png")
    assert rows[0]["score"] == pytest.approx(found.score, abs=1e-5)


@pytest.mark.thorough
def test_a_resumed_batch_has_the_results_of_both_runs(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    away = folder / "away"
    away.mkdir()
    shutil.move(folder / "in" / "3.png", away)
    assert run(*WORDS, "-o", "out", "-q") == 0
    shutil.move(away / "3.png", folder / "in")
    assert run(*WORDS, "-o", "out", "--resume", *BOTH, "--report", "report.json") == 0
    assert "detected 1 of 1 picture," in capsys.readouterr().err
    resumed = (folder / "found.json").read_text()
    states = {row["state"]: row for row in json.loads(Path("report.json").read_text())["pictures"]}
    assert states["finished earlier"]["detections"]
    assert run(*WORDS, *BOTH, "--overwrite", "-q") == 0
    assert (folder / "found.json").read_text() == resumed
    assert {row["image_id"] for row in json.loads(resumed)} == {1, 2, 3, 4}
    # With another threshold nothing is finished.
    other = [*WORDS[:-1], "0.5", "-o", "out", "--resume"]
    assert run(*other) == 0
    assert "detected 4 of 4 pictures" in capsys.readouterr().err


@pytest.mark.thorough
def test_json_classes_and_a_single_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "in" / "bad.png").write_text("nonsense")
    assert run(*WORDS, "--json", "--classes", "bar, disc") == 1
    told = capsys.readouterr()
    lines = [json.loads(line) for line in told.out.splitlines()]
    assert [line["input"] for line in lines] == [f"in/{k}.png" for k in range(4)]
    labels = {one["label"] for line in lines for one in line["detections"]}
    assert labels <= {"bar", "disc"}
    assert told.err.count("bad.png") == 1
    one = ["detect", "in/2.png", *WORDS[2:]]
    assert run(*one, "-o", "drawn.jpg") == 0
    with Image.open("drawn.jpg") as drawn:
        assert drawn.size == (80, 64)
    assert run(*one, "-o", "drawn.jpg") == 2
    assert "drawn.jpg exists: pass --overwrite" in capsys.readouterr().err


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--threshold", "2"], "--threshold is 2: accepted is 0 to 1"),
        (["--classes", "disk"], "unknown class 'disk': did you mean disc"),
        (["--classes", ","], "--classes is empty"),
        (["--size", "3"], "the size is 3: accepted is 32"),
        (["--weights", "in/0.png"], "unknown kind"),
        (["--weights", "none.safetensors"], "none.safetensors"),
        (["--results", "found.txt"], "end in .json or .csv"),
        (["--results", "nowhere/found.csv"], "cannot write the results"),
        (["--results", "in/truth.json"], "in/truth.json exist: pass --overwrite"),
        (["--annotations", "in/truth.json"], "name such a file, too"),
        (["--annotations", "in/0.png", "--results", "a.json"], "no annotations by its name"),
        (["--resume"], "--resume needs --report"),
        (["--output", "in"], "is an input: originals are never replaced"),
        (["--output", "out.png"], "end it with a slash"),
    ],
)
def test_words_that_cannot_work(
    words: list[str], message: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = {"--weights": "w.safetensors", "--threshold": "0"}
    rest = [word for name, value in given.items() if name not in words for word in (name, value)]
    assert run("detect", "in", *rest, *words) == 2
    told = capsys.readouterr().err
    assert message in told
    assert "Traceback" not in told


def test_a_plan_loads_no_torch_and_names_what_is_done(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*WORDS, "-o", "out", "--dry-run", *BOTH) == 0
    assert "in/0.png -> out/0.png (80x64)" in capsys.readouterr().out
    assert not (folder / "out").exists()
    assert not (folder / "found.json").exists()


def test_pictures_that_are_not_annotated_are_told(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(folder / "in" / "0.png", folder / "in" / "new.png")
    words = [*BOTH, "--annotations", "in/truth.json"]
    assert run(*WORDS, *words, "-q") == 1
    told = capsys.readouterr().err
    assert "in/new.png is not among the annotated pictures" in told
    assert len({row["image_id"] for row in json.loads(Path("found.json").read_text())}) == 4


def test_evaluate(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["evaluate", "--task", "detect", "--input", "in", "--target", "in/truth.json"]
    assert run(*words, "--weights", "w.safetensors", "--device", "cpu", "--csv", "tables") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["4", "pictures", "boxes", "masks"]
    figures = {line.split()[0]: line.split()[1:] for line in lines[1:13]}
    assert list(figures)[:3] == ["AP", "AP50", "AP75"]
    assert figures["AP_large"] == ["-", "-"]
    assert any(line.startswith("AP50 of disc") for line in lines)
    table = list(csv.DictReader((folder / "tables" / "detect.csv").read_text().splitlines()))
    assert table[0]["figure"] == "AP"
    assert float(table[0]["boxes"]) == pytest.approx(float(figures["AP"][0]), abs=1e-3)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "detect needs --weights"),
        (["--weights", "w.safetensors", "--protocol", "rgb"], "leave out --protocol"),
        (["--weights", "w.safetensors", "--ensemble"], "leave out --protocol"),
        (["--weights", "w.safetensors", "--target", "none.json"], "none.json"),
        (["--weights", "w.safetensors", "--target", "empty.json"], "the empty box"),
        (["--weights", "w.safetensors", "--input", "none"], "none is not a folder"),
    ],
)
def test_evaluations_that_cannot_work(
    words: list[str], message: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    coco = json.loads((folder / "in" / "truth.json").read_text())
    coco["annotations"][0]["bbox"] = [1, 1, 0, 0]
    (folder / "empty.json").write_text(json.dumps(coco))
    start = {"--input": "in", "--target": "in/truth.json"}
    given = [word for name, value in start.items() if name not in words for word in (name, value)]
    assert run("evaluate", "--task", "detect", *given, *words) == 2
    told = capsys.readouterr().err
    assert message in told
    assert "Traceback" not in told


@pytest.mark.thorough
def test_training_by_words(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The recipe for a folder of one's own, on a network that takes no time."""
    settings = {
        "data.folder": "in", "data.annotations": "in/truth.json", "data.size": 64,
        "valid.folder": "in", "valid.annotations": "in/truth.json", "valid.size": 64,
        "run.steps": 2, "optim.warmup": 0, "run.batch": 2, "run.tracker": "none",
        "model.config.backbone": small_detections.BODY, "model.config.head.convs": 1,
        "model.config.pyramid.channels": 16, "model.config.anchors.scales": 1,
    }  # fmt: skip
    words = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
    assert run("train", "detect-folder", *words) == 0
    assert "held out: AP " in capsys.readouterr().out
    weights = "runs/detect-folder/weights.safetensors"
    assert run("detect", "in", "--weights", weights, "-o", "out", "-q") == 0
    assert run("evaluate", "--task", "detect", "--input", "in", "--target", "in/truth.json",
               "--weights", weights) == 0  # fmt: skip
    other = [*words, "-o", "runs/other"]
    assert run("train", "detect-folder", *other, "--set", "model.config.head.conv=3") == 2
    assert "did you mean convs" in capsys.readouterr().err
    Path("in/2.png").unlink()
    assert run("train", "detect-folder", *other) == 2
    assert "in/truth.json has 1 fault: cannot read in/2.png" in capsys.readouterr().err
