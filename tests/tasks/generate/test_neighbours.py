"""Sets that repeat themselves, and sets that copy what they were learnt from."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from multiaxis.cli.app import main
from multiaxis.tasks.generate.evaluate import evaluate

COUNT, SIDE = 40, 16


def run(*words: object) -> int:
    with pytest.raises(SystemExit) as caught:
        main([str(word) for word in words])
    assert isinstance(caught.value.code, int)
    return caught.value.code


def blobs(seed: int, count: int = COUNT) -> np.ndarray:
    """Discs of all colours and sizes, right of the middle, on another colour."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE, :SIDE]
    pictures: list[np.ndarray] = []
    for _ in range(count):
        ground, colour = rng.integers(0, 256, (2, 3))
        middle, radius = rng.uniform((5, 9), (11, 13)), rng.uniform(2, 6)
        is_inside = (y - middle[0]) ** 2 + (x - middle[1]) ** 2 < radius**2
        pictures.append(np.where(is_inside[..., None], colour, ground).astype(np.uint8))
    return np.stack(pictures)


def write(folder: Path, pictures: np.ndarray) -> Path:
    folder.mkdir()
    for k, picture in enumerate(pictures):
        Image.fromarray(picture).save(folder / f"{k:03}.png")
    return folder


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("real") / "real", blobs(1))


def noisy(pictures: np.ndarray) -> np.ndarray:
    """What a network that repeats a picture makes of it: almost the same."""
    noise = np.random.default_rng(9).integers(-2, 3, pictures.shape)
    return (pictures.astype(int) + noise).clip(0, 255).astype(np.uint8)


def test_other_pictures_of_the_kind_are_neither_repeats_nor_copies(
    real: Path, tmp_path: Path
) -> None:
    found = evaluate(write(tmp_path / "made", blobs(2)), real).neighbours
    assert found.compared == COUNT
    assert found.distinct_real >= 0.95 * COUNT
    assert found.distinct >= 0.9 * COUNT
    assert found.copies <= 0.15 * COUNT


def test_a_collapsed_set_has_as_many_distinct_pictures_as_it_repeats(
    real: Path, tmp_path: Path
) -> None:
    made = noisy(np.tile(blobs(2, 3), (COUNT // 3 + 1, 1, 1, 1))[:COUNT])
    found = evaluate(write(tmp_path / "made", made), real).neighbours
    assert found.distinct == 3
    assert found.copies <= 0.15 * COUNT


@pytest.mark.parametrize("mirrors", [False, True])
def test_a_copying_set_is_found_and_shown(real: Path, tmp_path: Path, *, mirrors: bool) -> None:
    truth = blobs(1)
    order = np.random.default_rng(3).permutation(COUNT)[:20]
    copied = truth[order][:, :, ::-1] if mirrors else truth[order]
    made = write(tmp_path / "made", noisy(copied))
    found = evaluate(made, real).neighbours
    assert (found.copies, found.compared) == (20, 20)
    assert [pair[1].name for pair in found.pairs] == [f"{k:03}.png" for k in order]
    assert {pair[2] for pair in found.pairs} == {mirrors}


def test_the_command_counts_and_draws(
    real: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    truth = blobs(1)
    made = write(tmp_path / "made", noisy(truth[:10]))
    words = ("evaluate", "--task", "generate", "--input", made, "--target", real)
    words = (*words, "--csv", tmp_path, "--nearest", tmp_path / "near.png")
    assert run(*words) == 0
    told = capsys.readouterr().out
    assert "distinct     10 of 10 (real pictures: 9 of 10)" in told  # two are near
    assert "copies       10 of 10 (other real pictures: about 1 in 20)" in told
    (row,) = csv.DictReader((tmp_path / "generate.csv").read_text().splitlines())
    wanted = {"compared": "10", "distinct": "10", "distinct_real": "9", "copies": "10"}
    assert {name: row[name] for name in wanted} == wanted
    drawn = np.array(Image.open(tmp_path / "near.png"))
    drawn = drawn.reshape(4, SIDE, 8, SIDE, 3).transpose(0, 2, 1, 3, 4)
    assert np.array_equal(drawn[0], noisy(truth[:10])[:8])
    assert np.array_equal(drawn[1], truth[:8])
    assert np.array_equal(drawn[3, :2], truth[8:10])
    assert (drawn[2:, 2:] == 255).all()
    assert run(*words, "--overwrite") == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--nearest", "near.gif"), "near.gif"),
        (("--nearest", "nowhere/near.png"), "its folder does not exist"),
        (("--task", "denoise", "--nearest", "n.png"), "--nearest is for --task generate"),
    ],
)
def test_words_that_cannot_be(
    words: tuple[str, ...],
    message: str,
    real: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    given = {"--task": "generate", "--input": str(real), "--target": str(real)}
    given.update(zip(words[::2], words[1::2], strict=True))
    assert run("evaluate", *(word for pair in given.items() for word in pair)) == 2
    told = capsys.readouterr().err
    assert message in told
    assert "Traceback" not in told
