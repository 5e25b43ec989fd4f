"""Pairing of folders, and the table of scores."""

import csv
import math
import os

import pytest

from multiaxis.errors import ConfigError, ImageError
from multiaxis.images import READABLE_SUFFIXES
from multiaxis.score import Score, ScoreRow, ScoreTable, pair_folders


@pytest.fixture
def folders(tmp_path):
    """Fill two folders with empty files: pairing looks at names only."""

    def fill(inputs, targets):
        for role, names in (("input", inputs), ("target", targets)):
            (tmp_path / role).mkdir()
            for name in names:
                (tmp_path / role / name).touch()
        return tmp_path / "input", tmp_path / "target"

    return fill


def names(pairs):
    return [(pair.name, pair.input.name, pair.target.name) for pair in pairs]


def test_equal_stems_sorted_by_name(folders):
    pairs = pair_folders(*folders(["b.PNG", "a.jpg"], ["a.webp", "b.tif", "unused.png"]))
    assert names(pairs) == [("a", "a.jpg", "a.webp"), ("b", "b.PNG", "b.tif")]
    assert all(pair.input.is_file() and pair.target.is_file() for pair in pairs)


def test_stem_up_to_the_first_underscore(folders):
    pairs = pair_folders(
        *folders(["1400_10.png", "1400_1.png", "0001_0.8_0.2.jpg"], ["0001.png", "1400.png"])
    )
    assert names(pairs) == [
        ("0001_0.8_0.2", "0001_0.8_0.2.jpg", "0001.png"),
        ("1400_1", "1400_1.png", "1400.png"),
        ("1400_10", "1400_10.png", "1400.png"),
    ]


def test_equal_stem_wins_over_the_shorter_one(folders):
    pairs = pair_folders(*folders(["a_1.png"], ["a.png", "a_1.png"]))
    assert names(pairs) == [("a_1", "a_1.png", "a_1.png")]


def test_other_files_do_not_count(folders):
    pairs = pair_folders(
        *folders(["a.png", "notes.txt", "._a.jpg", "desktop.ini"], ["a.png", "a.json"])
    )
    assert names(pairs) == [("a", "a.png", "a.png")]


@pytest.mark.parametrize("suffix", sorted(READABLE_SUFFIXES))
def test_every_suffix_in_both_cases(folders, suffix):
    pairs = pair_folders(*folders([f"a{suffix}"], [f"a{suffix.upper()}"]))
    assert len(pairs) == 1


@pytest.mark.parametrize(
    ("inputs", "targets", "words"),
    [
        (["x.png", "a.png"], ["a.png"], "1 inputs have no target.*: x.png;"),
        ([f"{n}.png" for n in range(9)], ["a.png"], "0.png, 1.png, .*4.png and 4 more"),
        ([], ["a.png"], "no pictures in the folder of inputs"),
        (["a.png"], ["a.txt"], "no pictures in the folder of targets .*accepted are PNG"),
        (["a.png"], ["a.png", "a.jpg"], "two targets have the stem 'a': a.jpg and a.png"),
        (["a.png", "a.jpg"], ["a.png"], "two inputs have the stem 'a'"),
    ],
)
def test_refusals(folders, inputs, targets, words):
    with pytest.raises(ImageError, match=words):
        pair_folders(*folders(inputs, targets))


def test_missing_folder(folders, tmp_path):
    inputs, _ = folders(["a.png"], ["a.png"])
    with pytest.raises(ImageError, match=r"no folder of targets at .*nowhere"):
        pair_folders(inputs, tmp_path / "nowhere")


def table(*scores):
    return ScoreTable("rgb", tuple(ScoreRow(f"p{n}", Score(*s)) for n, s in enumerate(scores)))


def test_means():
    assert table((30.0, 0.5), (20.0, 1.0)).means == Score(25.0, 0.75)
    assert table((30.0, 0.5), (math.inf, 1.0)).means == Score(math.inf, 0.75)


def test_means_without_a_finite_value():
    assert table((math.inf, 1.0)).means == Score(math.inf, 1.0)
    assert math.isnan(table((math.nan, 1.0), (math.inf, 1.0)).means.psnr)
    assert math.isnan(table((-math.inf, 1.0), (math.inf, 1.0)).means.psnr)
    assert math.isnan(table().means.ssim)


def test_csv_holds_every_digit(tmp_path):
    path = tmp_path / "scores.csv"
    path.write_text("old")
    scores = table((30.1234567890123, 1 / 3), (math.inf, 1.0))
    scores.write_csv(path)
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["name"] for row in rows] == ["p0", "p1", "mean"]
    assert {row["protocol"] for row in rows} == {"rgb"}
    assert float(rows[0]["psnr"]) == 30.1234567890123
    assert float(rows[0]["ssim"]) == 1 / 3
    assert rows[1]["psnr"] == rows[2]["psnr"] == "inf"
    assert list(tmp_path.iterdir()) == [path]


def test_csv_names_what_failed(tmp_path):
    path = tmp_path / "scores.csv"
    rows = (ScoreRow("a", Score(30.0, 0.5)),)
    ScoreTable("rgb", rows, (("b", "too dark"),)).write_csv(path)
    assert path.read_text().splitlines()[1:] == ["a,rgb,30.0,0.5", "b,rgb,,", "mean,rgb,30.0,0.5"]


def test_failed_write_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "scores.csv"
    path.write_text("old")

    def full(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(ConfigError, match="cannot write scores to .*disk full"):
        table((30.0, 0.5)).write_csv(path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_csv_into_a_missing_folder(tmp_path):
    with pytest.raises(ConfigError, match="create it"):
        table((30.0, 0.5)).write_csv(tmp_path / "none" / "scores.csv")


def test_folders_inside_belong_to_the_name(tmp_path):
    for name in ("in/a/0.png", "in/b/0.png", "in/b/7_2.png", "in/a/.n/x.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    for name in ("in/gt/a/0.jpg", "in/gt/b/0.tif", "in/gt/b/7.png", "in/gt/7.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    pairs = pair_folders(tmp_path / "in", tmp_path / "in" / "gt")
    assert names(pairs) == [
        ("a/0", "0.png", "0.jpg"),
        ("b/0", "0.png", "0.tif"),
        ("b/7_2", "7_2.png", "7.png"),
    ]
    (tmp_path / "in/b/0.webp").touch()
    with pytest.raises(ImageError, match="two inputs have the stem 'b/0': 0.png and 0.webp in"):
        pair_folders(tmp_path / "in", tmp_path / "in" / "gt")
