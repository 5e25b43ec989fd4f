"""Learning from stars, rating, ranking, bursts, sidecars; and what a report may claim."""

from __future__ import annotations

import csv
import json
import shutil
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from multiaxis import Rater
from multiaxis.cli.app import main
from multiaxis.errors import ConfigError, DataError, ShapeError, WeightsError
from multiaxis.tasks.rate.bursts import find_bursts, from_hex, likeness, to_hex
from multiaxis.tasks.rate.folds import deal
from multiaxis.tasks.rate.learn import learn_scores, learn_votes
from multiaxis.tasks.rate.scale import STARS
from multiaxis.tasks.rate.stars import read_marks
from multiaxis.tasks.rate.verb import stars_of
from small_ratings import make_rated, photograph, xmp


def run(*words: object) -> int:
    with pytest.raises(SystemExit) as stop:
        main([str(word) for word in words])
    code = stop.value.code
    return code if isinstance(code, int) else 0


def test_light_pictures_are_liked(rater: Rater) -> None:
    dark, light = (rater.rate(np.asarray(photograph(x, 77))) for x in (0.2, 1.0))
    assert light.score > dark.score + 1
    assert sum(light.shares) == pytest.approx(1)
    assert light.score == pytest.approx(np.dot(light.shares, STARS.values))
    spread = np.sqrt(np.dot(light.shares, (np.array(STARS.values) - light.score) ** 2))
    assert light.spread == pytest.approx(spread)
    report = rater.report
    assert report is not None
    assert (report.count, report.kind) == (30, "votes")
    assert 0.6 < report.interval[0] < report.correlation < report.interval[1] <= 1
    assert report.error < 0.7 * report.guess
    assert any("30 are few" in text for text in report.sentences)


def test_a_saved_rater_says_the_same(rater: Rater, weights: Path) -> None:
    again = Rater(weights, device="cpu")
    picture = photograph(0.6, 5)
    assert again.rate(picture) == rater.rate(picture)
    assert again.report == rater.report
    assert again.rate([picture, picture]) == [rater.rate(picture)] * 2


def test_a_folder_is_ranked(rater: Rater, tmp_path: Path) -> None:
    for k, light in enumerate((0.3, 1.0, 0.7)):
        photograph(light, 50 + k).save(tmp_path / f"{k}.png")
    found = rater.rank(tmp_path)
    assert [path.stem for path, _ in found] == ["1", "2", "0"]
    assert found[0][1].score > found[2][1].score


@pytest.mark.thorough
def test_ratings_may_come_from_memory(rated: Path, backbone: Path) -> None:
    scores = {f"{k:02}": 10.0 * (5 - k % 5) for k in range(30)} | {"nobody": 3.0}
    rater = Rater.learn(rated, scores, backbone=backbone, device="cpu")
    assert rater.scale.values[0] == 3 or rater.scale.values[-1] == 50
    assert rater.rate(photograph(0.2, 9)).score > rater.rate(photograph(1.0, 9)).score
    assert rater.report is not None
    assert any("nobody" in text for text in rater.report.left_out)


def test_choices_teach_scores_without_a_scale(rated: Path, backbone: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    lines = ["a,b,choice"]
    for _ in range(150):
        a, b = rng.permutation(30)[:2]
        choice = "tie" if a % 5 == b % 5 else "a" if a % 5 > b % 5 else "b"
        lines.append(f"{a:02},{b:02},{choice}")
    (tmp_path / "pairs.csv").write_text("\n".join(lines))
    rater = Rater.learn(rated, tmp_path / "pairs.csv", backbone=backbone, device="cpu")
    dark, light = (rater.rate(photograph(x, 77)) for x in (0.2, 1.0))
    assert light.score > dark.score
    assert light.shares == ()
    assert rater.report is not None
    assert rater.report.pairs > 0.7
    assert "guessing gives 50 %" in rater.report.sentences[0]
    rater.save(tmp_path / "scores.safetensors")
    assert Rater(tmp_path / "scores.safetensors").rate(photograph(0.2, 77)).score == dark.score
    with pytest.raises(ConfigError, match="no scale"):
        run_stars(rater, tmp_path)


def run_stars(rater: Rater, folder: Path) -> None:
    from multiaxis.tasks.rate.verb import Rate

    Rate({"weights": folder / "scores.safetensors"}, write_xmp=True, loaded=rater).load()


@pytest.mark.thorough
def test_an_original_and_its_versions(backbone: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    lines = ["reference,a,b,choice"]
    for k in range(8):
        original = np.asarray(photograph(0.5, k)).astype(int)
        Image.fromarray(original.astype(np.uint8)).save(tmp_path / f"{k}.png")
        for level in (1, 2, 3):
            noisy = original + rng.normal(0, 6 * level, original.shape)
            Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8)).save(
                tmp_path / f"{k}_{level}.png"
            )
        lines += [
            f"{k},{k}_{i},{k}_{j},{'a' if i < j else 'b'}" for i, j in ((1, 2), (3, 1), (2, 3))
        ]
    (tmp_path / "choices.csv").write_text("\n".join(lines))
    rater = Rater.learn(tmp_path, tmp_path / "choices.csv", backbone=backbone, device="cpu")
    assert rater.report is not None
    assert rater.report.pairs > 0.9
    found = rater.compare(tmp_path / "3.png", tmp_path / "3_1.png", tmp_path / "3_3.png")
    assert found.a < found.b
    assert found.probability > 0.5
    same = rater.distance(tmp_path / "3.png", tmp_path / "3.png")
    assert same < found.a / 5
    rater.save(tmp_path / "near.safetensors")
    words = ["rate", "compare", tmp_path / "3.png", tmp_path / "3_3.png", tmp_path / "3_1.png"]
    assert run(*words, "-w", tmp_path / "near.safetensors") == 0
    with pytest.raises(ConfigError, match="use compare"):
        rater.rate(tmp_path / "3.png")
    with pytest.raises(ShapeError, match="two of one size"):
        rater.distance(photograph(0.5, 1), photograph(0.5, 1, (50, 50)))


@pytest.mark.thorough
def test_what_comes_with_the_package_compares_and_describes(
    rated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    original = np.asarray(photograph(0.5, 3, (64, 72)))
    Image.fromarray(original).save(tmp_path / "o.png")
    for quality in (20, 80):
        Image.fromarray(original).save(tmp_path / f"{quality}.jpg", quality=quality)
    words = [tmp_path / name for name in ("o.png", "20.jpg", "80.jpg", "o.png", "none.jpg")]
    assert run("rate", "compare", *words, "--json") == 1
    said = capsys.readouterr()
    rows = [json.loads(line) for line in said.out.splitlines()]
    assert [Path(row["input"]).name for row in rows] == ["o.png", "80.jpg", "20.jpg"]
    assert rows[1]["preferred_to_next"] > 0.5
    assert "none.jpg" in said.err
    # Without the ImageNet weights, the small backbone of the package describes, and that is said.
    monkeypatch.setenv("MULTIAXIS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MULTIAXIS_OFFLINE", "1")
    rater = Rater.learn(sorted(rated.iterdir())[:20], device="cpu")
    assert rater.report is not None
    assert "rate-backbone (the ImageNet weights" in rater.report.backbone


@pytest.mark.thorough
def test_nothing_to_learn_is_told_from_something() -> None:
    """On noise, the interval holds zero, and the report says so."""
    rng = np.random.default_rng(1)
    features, scores = rng.normal(size=(60, 40)), rng.integers(1, 6, 60)
    shares = np.eye(5)[scores - 1]
    _, report = learn_votes(features, shares, STARS, list(range(60)))
    assert report.interval[0] < 0 < report.interval[1]
    assert any("chance" in text for text in report.sentences)
    rows = np.array([rng.permutation(60)[:2] for _ in range(300)])
    wins = np.eye(2)[rng.integers(0, 2, 300)]
    _, report = learn_scores(features, rows, wins, list(range(60)))
    assert report.interval[0] < 0.5 < report.interval[1]


@pytest.mark.thorough
def test_copies_in_a_burst_do_not_flatter() -> None:
    """Each picture four times, on noise: held out by themselves, copies would give them away."""
    rng = np.random.default_rng(2)
    features = np.repeat(rng.normal(size=(25, 60)), 4, axis=0)
    shares = np.repeat(np.eye(5)[np.arange(25) % 5], 4, axis=0)
    together = learn_votes(features, shares, STARS, list(np.repeat(np.arange(25), 4)))[1]
    apart = learn_votes(features, shares, STARS, list(range(100)))[1]
    assert apart.correlation > 0.9
    assert together.correlation < 0.5


def test_folds_keep_groups_together_and_scores_alike() -> None:
    groups = np.repeat(np.arange(40), 3)
    scores = np.repeat(np.arange(40) % 5, 3).astype(float)
    folds = deal(list(groups), scores, seed=0)
    assert all(len(set(folds[groups == k])) == 1 for k in range(40))
    assert np.ptp([scores[folds == k].mean() for k in range(5)]) < 0.5
    assert (folds == deal(list(groups), scores, seed=0)).all()
    assert (folds != deal(list(groups), scores, seed=1)).any()


@pytest.mark.thorough
def test_descriptions_are_kept_by_content(
    rated: Path, backbone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from multiaxis.tasks.rate import features

    monkeypatch.setenv("MULTIAXIS_HOME", str(tmp_path / "home"))
    first = Rater.learn(rated, backbone=backbone, device="cpu")
    moved = tmp_path / "moved"
    shutil.copytree(rated, moved)
    monkeypatch.setattr(features, "describe", lambda *_: pytest.fail("described again"))
    again = Rater.learn(moved, backbone=backbone, device="cpu")
    assert torch.equal(
        first.model.state_dict()["head.weight"], again.model.state_dict()["head.weight"]
    )
    monkeypatch.undo()
    monkeypatch.setenv("MULTIAXIS_HOME", str(tmp_path / "home"))
    for path in (tmp_path / "home" / "ratings").rglob("*.npy"):
        path.write_bytes(path.read_bytes()[:50])  # a disk that was full
    third = Rater.learn(rated, backbone=backbone, device="cpu")
    assert torch.equal(
        first.model.state_dict()["head.weight"], third.model.state_dict()["head.weight"]
    )


def test_bursts_are_found_by_time_and_likeness() -> None:
    a, b, c = (likeness(np.asarray(photograph(0.5, k))) for k in (1, 2, 3))
    near = likeness(np.asarray(photograph(0.7, 1, (80, 104))))  # lighter and larger
    assert (a != near).sum() <= 8
    assert from_hex(to_hex(a)).tolist() == a.tolist()
    bits = np.stack([a, near, b, near, c])
    assert find_bursts([0.0, 2.0, 3.0, 100.0, 101.0], bits) == [0, 0, 1, 2, 3]
    assert find_bursts([None] * 5, bits) == [0, 0, 1, 0, 2]
    assert find_bursts([], bits[:0]) == []


def taken(path: Path, light: float, seed: int, seconds: float) -> None:
    exif = Image.Exif()
    at = datetime(2026, 5, 1, 10) + timedelta(seconds=seconds)
    exif.get_ifd(0x8769)[0x9003] = at.strftime("%Y:%m:%d %H:%M:%S")
    photograph(light, seed).save(path, exif=exif, quality=95)


@pytest.mark.thorough
def test_three_commands(
    rated: Path,
    backbone: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Learn, rate, keep the best of each burst: from files to files."""
    monkeypatch.setenv("MULTIAXIS_HOME", str(tmp_path / "home"))
    mine, new = tmp_path / "mine.safetensors", tmp_path / "new"
    assert run("rate", "learn", rated, "-o", mine, "--backbone", backbone) == 0
    assert "held-out rank correlation: " in capsys.readouterr().out
    assert run("rate", "learn", rated, "-o", mine, "--backbone", backbone) == 2
    assert "pass --overwrite" in capsys.readouterr().err
    new.mkdir()
    for k, light in enumerate((0.4, 0.6, 0.5)):
        taken(new / f"burst{k}.jpg", light, 7, k)
    taken(new / "other.jpg", 0.9, 8, 3)
    (new / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    report = tmp_path / "report.csv"
    words = ["rate", new, "-w", mine, "--report", report]
    assert run(*words, "--best", "2", "--bursts", "-q") == 1  # one file failed
    said = capsys.readouterr()
    best = [line for line in said.out.splitlines() if "." in line[:6] or "same burst" in line][-4:]
    assert [line.rpartition("/")[2] for line in best] == [
        "other.jpg",
        "burst1.jpg",
        "burst2.jpg  (same burst)",
        "burst0.jpg  (same burst)",
    ]
    assert "broken.jpg" in said.err
    with report.open() as stream:
        rows = {Path(row["input"]).name: row for row in csv.DictReader(stream)}
    assert [rows[name]["rank"] for name in ("other.jpg", "burst1.jpg")] == ["1", "2"]
    assert len({rows[f"burst{k}.jpg"]["burst"] for k in range(3)}) == 1
    assert rows["broken.jpg"]["rank"] == ""
    assert run(*words, "--resume", "--best", "1", "--json", "-q") == 1
    kept = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert kept["input"].endswith("other.jpg")


def test_sidecars_are_written_and_photographs_are_not(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, light in (("a", 0.2), ("b", 1.0)):
        photograph(light, 77).save(tmp_path / f"{name}.jpg")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    (tmp_path / "b.xmp").write_bytes(xmp(3).replace(b"xmp:Rating", b'xmp:Label="Red" xmp:Rating'))
    assert run("rate", tmp_path, "-w", weights, "--write-xmp", "--dry-run") == 1
    assert not (tmp_path / "a.xmp").exists()
    assert run("rate", tmp_path, "-w", weights, "--write-xmp") == 1
    assert "b.xmp" in capsys.readouterr().err
    assert read_marks(tmp_path / "a.jpg").stars in (1, 2)
    assert read_marks(tmp_path / "b.jpg").stars == 3
    assert run("rate", tmp_path, "-w", weights, "--write-xmp", "--overwrite") == 0
    assert read_marks(tmp_path / "b.jpg").stars in (4, 5)
    assert b'xmp:Label="Red"' in (tmp_path / "b.xmp").read_bytes()
    assert all((tmp_path / name).read_bytes() == data for name, data in before.items())


def test_scores_become_stars() -> None:
    from multiaxis.tasks.rate.scale import AVA, STARS_AND_REJECTED

    assert [stars_of(x, STARS) for x in (1, 2.4, 2.6, 5)] == [1, 2, 3, 5]
    assert [stars_of(x, STARS_AND_REJECTED) for x in (0.2, 0.6, 4.6)] == [-1, 1, 5]
    assert [stars_of(x, AVA) for x in (1, 5.5, 10)] == [1, 3, 5]


def test_bad_words_are_refused_with_a_sentence(
    rated: Path, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words, said in (
        (["rate", rated, "-w", tmp_path / "no.safetensors"], "learn a rater first"),
        (["rate", rated, "-w", weights, "--best", "0"], "--best is 0"),
        (["rate", rated, "-w", weights, "-o", "x"], "add --write-xmp"),
        (["rate", "learn", rated, "--scale", "a,b"], "--scale is 'a,b'"),
        (["rate", "learn", rated, "-o", "x.pt"], ".safetensors"),
        (["rate", "learn", tmp_path], "holds no pictures"),
        (
            ["rate", "learn", rated, "--ratings", "folders", "-o", tmp_path / "x.safetensors"],
            "too few",
        ),
        (["rate", "fit", tmp_path / "none.csv"], "no such file"),
        (["rate", "compare", rated / "00.jpg", rated / "01.jpg", "-w", weights], "rates single"),
    ):
        assert run(*words) == 2, words
        err = capsys.readouterr().err
        assert said in err, err
        assert "Traceback" not in err
    with pytest.raises(WeightsError, match="is no rater, but"):
        Rater(_other(tmp_path))
    with pytest.raises(DataError, match="too few"):
        Rater.learn([rated / "00.jpg"])


def _other(folder: Path) -> Path:
    from small_ratings import save_backbone

    return save_backbone(folder / "other.safetensors")


def test_learning_can_be_rehearsed(rated: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("rate", "learn", rated, "--dry-run") == 0
    said = capsys.readouterr().out
    assert "30 rated photographs can be used" in said
    assert "5 and more: 6" in said


def test_strengths_from_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text("winner,loser,votes\na,b,3\nb,a,1\nb,c,2\nc,b,1\nc,c,1\n")
    assert run("rate", "fit", path, "--json") == 0
    said = capsys.readouterr()
    rows = [json.loads(line) for line in said.out.splitlines()]
    assert [row["name"] for row in rows] == ["a", "b", "c"]
    assert rows[0]["strength"] - rows[1]["strength"] == pytest.approx(np.log(3))
    assert "1 pair names one picture twice" in said.err
    path.write_text("winner,loser\na,b\n")
    assert run("rate", "fit", path) == 2
    assert "infinite" in capsys.readouterr().err
    assert run("rate", "fit", path, "--prior", "0.5", "--model", "thurstone") == 0


def test_make_rated_is_what_tests_think(tmp_path: Path) -> None:
    folder = make_rated(tmp_path / "few", 3)
    assert [read_marks(path).stars for path in sorted(folder.iterdir())] == [1, 2, 3]


@pytest.mark.thorough
def test_ratings_are_evaluated_by_protocols(
    rated: Path, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["evaluate", "--task", "rate", "--input", rated, "--csv", tmp_path, "--overwrite"]
    words += ["--weights", weights, "--target", "xmp"]
    found = {}
    for protocol in ("mean", "ava", "quality"):
        assert run(*words, "--protocol", protocol) == 0
        lines = capsys.readouterr().out.splitlines()
        found[protocol] = {x.split()[0]: float(x.split()[1]) for x in lines[1:-1]}
    assert found["mean"]["srcc"] == found["ava"]["srcc"] > 0.9
    assert found["ava"].keys() == {"plcc", "srcc", "emd", "accuracy"}
    assert found["quality"]["plcc_fitted"] >= found["mean"]["plcc"] - 1e-4
    with (tmp_path / "rate-mean.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    truth = np.array([float(row["true"]) for row in rows])
    assert sorted(set(truth)) == [1, 2, 3, 4, 5]
    pairs = tmp_path / "pairs.csv"
    pairs.write_text("winner,loser\n04,00\n03,00\n00,04\n09,05\n")
    assert run(*words[:-1], pairs) == 0
    assert "choices      0.7500" in capsys.readouterr().out
    assert run(*words, "--protocol", "srcc") == 2
    assert "known are mean, ava, quality" in capsys.readouterr().err
