"""A segmenter's labels: as the network gives them whole, in files, and through the command."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import load_file, save_file

from multiaxis import Segmenter
from multiaxis.cli.app import main
from multiaxis.errors import ConfigError, ImageError, WeightsError
from multiaxis.tasks.segment.config import DecoderConfig
from multiaxis.tasks.segment.enlarge import strips, strongest
from multiaxis.tasks.segment.evaluate import evaluate
from multiaxis.tasks.segment.labels import read_labels
from multiaxis.tasks.segment.network import build_network, enlarge
from small_recipe import SMALL_VIT


@pytest.fixture(scope="module")
def segmenter(weights: Path) -> Segmenter:
    return Segmenter(weights, device="cpu")


def run(*words: object) -> int:
    with pytest.raises(SystemExit) as stop:
        main([str(word) for word in words])
    return int(stop.value.code or 0)


@pytest.mark.thorough
def test_it_tells_what_the_network_tells_whole(segmenter: Segmenter, squares: Path) -> None:
    pixels = np.asarray(Image.open(squares / "pictures" / "0.png"))
    x = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None] / 127.5 - 1
    with torch.no_grad():
        logits = segmenter.model(x)[0]
    found = segmenter.segment(pixels)
    assert np.array_equal(found.labels, logits.argmax(0).numpy())
    assert found.labels.dtype == np.uint8
    np.testing.assert_allclose(
        segmenter.probabilities(pixels), logits.softmax(0).numpy(), atol=1e-4
    )
    truth = np.asarray(Image.open(squares / "labels" / "0.png"))
    assert (found.labels == truth)[truth < 2].mean() > 0.9
    assert sum(one.share for one in found.shares()) == pytest.approx(1)
    for source in (squares / "pictures" / "0.png", Image.fromarray(pixels), pixels / 255.0):
        assert np.array_equal(segmenter.segment(source).labels, found.labels)


@given(
    sides=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    level=st.integers(0, 4),
    wanted=st.tuples(st.integers(1, 50), st.integers(1, 50)),
)
def test_strips_enlarge_as_the_network_does(
    sides: tuple[int, int], level: int, wanted: tuple[int, int]
) -> None:
    coarse = torch.randn(3, *(-(-side // 2**level) for side in sides))
    whole = enlarge(coarse[None], level, sides)[0]
    found = torch.cat([values for _, values in strips(coarse, level, sides, sides)], dim=1)
    torch.testing.assert_close(found, whole, rtol=0, atol=1e-5)
    assert strongest(coarse, level, sides, wanted).shape == wanted


def test_large_pictures_go_in_strips(segmenter: Segmenter, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (300, 203, 3), np.uint8)
    whole = segmenter.segment(pixels).labels
    monkeypatch.setattr("multiaxis.models.maxvit.strips.STRIP", 64)
    monkeypatch.setattr("multiaxis.tasks.segment.enlarge._STRIP", 500)
    seen: list[float] = []
    assert np.array_equal(segmenter.segment(pixels, on_progress=seen.append).labels, whole)
    assert seen == sorted(seen)


def test_what_does_not_fit_is_refused_in_words(weights: Path) -> None:
    small = Segmenter(weights, device="cpu", memory="1kB")
    with pytest.raises(ImageError, match=r"does not fit .*--size.*takes about .* GB, and 0\.0 GB"):
        small.segment(np.zeros((40, 40, 3), np.uint8))
    assert small.needed_memory((4000, 6000)) > 100 * small.needed_memory((400, 600)) / 4


def test_a_size_shows_pictures_smaller_and_labels_them_whole(weights: Path, squares: Path) -> None:
    picture = Image.open(squares / "pictures" / "0.png")
    large = picture.resize((208, 160), Image.Resampling.BICUBIC)
    truth = np.asarray(Image.open(squares / "labels" / "0.png").resize((208, 160), 0))
    found = Segmenter(weights, device="cpu", size=40).segment(large).labels
    assert found.shape == (160, 208)
    assert (found == truth)[truth < 2].mean() > 0.85


def test_files_through_the_command(
    weights: Path, squares: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("segment", squares / "pictures", "--weights", weights, "-o", tmp_path / "out")
    report = tmp_path / "report.json"
    assert run(*words, "--as", "both", "--report", report, "-q") == 0
    printed = capsys.readouterr().out
    assert "#f0a000" in printed
    assert "square" in printed
    names = sorted(path.name for path in (tmp_path / "out").iterdir() if path.suffix != ".jsonl")
    assert names == sorted(f"{k}{end}" for k in range(8) for end in (".png", "_overlay.jpg"))
    labels = Image.open(tmp_path / "out" / "0.png")
    assert labels.mode == "P"
    assert labels.getpalette()[:6] == [0x20, 0x20, 0x20, 0xF0, 0xA0, 0x00]  # pyright: ignore[reportOptionalSubscript]
    found = Segmenter(weights, device="cpu").segment(squares / "pictures" / "0.png")
    assert np.array_equal(np.asarray(labels), found.labels)
    read = read_labels(tmp_path / "out" / "0.png", found.classes, Segmenter(weights).numbers)
    assert np.array_equal(read, found.labels), "its outputs are labels to train on"
    rows = json.loads(report.read_text())["pictures"]
    assert {row["name"] for row in rows[0]["classes"]} == {"ground", "square"}
    # Resumed: nothing is left; a part that was removed is made again.
    assert run(*words, "--as", "both", "--resume") == 0
    assert "nothing is left" in capsys.readouterr().err
    (tmp_path / "out" / "3_overlay.jpg").unlink()
    assert run(*words, "--as", "both", "--resume") == 0
    assert "segmented 1 of 1 picture," in capsys.readouterr().err
    assert (tmp_path / "out" / "3_overlay.jpg").exists()


def test_outputs_beside_their_inputs_are_no_inputs(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("RGB", (40, 32)).save(tmp_path / "a.png")
    words = ("segment", tmp_path, "--weights", weights, "--as", "both")
    assert run(*words) == 0
    capsys.readouterr()
    assert run(*words, "--dry-run", "--overwrite") == 0
    plan = capsys.readouterr()
    assert plan.out.count("->") == 1
    assert "a_segments_overlay.jpg" in plan.err


def test_a_killed_run_leaves_nothing_in_the_way(weights: Path, tmp_path: Path) -> None:
    """It had written the overlay, and then not the labels."""
    Image.new("RGB", (40, 32)).save(tmp_path / "a.png")
    words = ("segment", tmp_path / "a.png", "--weights", weights, "--as", "both")
    out = tmp_path / "out"
    assert run(*words, "-o", f"{out}/", "--resume") == 0
    (out / "a.png").unlink()
    assert run(*words, "-o", f"{out}/", "--resume") == 0
    (out / "a.png").unlink()
    (out / "a_overlay.jpg").write_bytes(b"someone's")
    assert run(*words, "-o", f"{out}/", "--resume") == 2
    assert (out / "a_overlay.jpg").read_bytes() == b"someone's"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--as", "mask"], "mask"),
        (["--strength", "2"], "--strength is 2: accepted is 0 to 1"),
        (["--size", "0"], "the size is 0"),
        (["-o", "out.jpg"], "accepted is a name that ends in .png"),
        (["--max-megapixels", "0"], "--max-megapixels is 0"),
        (["--weights", "nowhere.safetensors"], "which is no file"),
    ],
)
def test_wrong_words_get_a_sentence(
    weights: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    message: str,
) -> None:
    Image.new("RGB", (40, 32)).save(tmp_path / "a.png")
    given_weights = [] if "--weights" in words else ["--weights", weights]
    assert run("segment", tmp_path / "a.png", *given_weights, *words) == 2
    told = capsys.readouterr().err
    assert message in told
    assert "Traceback" not in told


def test_weights_of_something_else_are_refused(weights: Path, tmp_path: Path) -> None:
    save_file({"a": torch.zeros(1)}, tmp_path / "a.safetensors")
    with pytest.raises(WeightsError, match="is no segmenter, but of no model that multiaxis"):
        Segmenter(tmp_path / "a.safetensors")
    from safetensors import safe_open

    with safe_open(weights, "pt") as file:
        about = file.metadata()
    tensors = load_file(weights)
    tensors.pop(min(tensors))
    save_file(tensors, tmp_path / "b.safetensors", about)
    with pytest.raises(WeightsError, match="1 tensors differ"):
        Segmenter(tmp_path / "b.safetensors")
    save_file(tensors, tmp_path / "c.safetensors", {**about, "config": "{}"})
    with pytest.raises(WeightsError, match="unknown to this version"):
        Segmenter(tmp_path / "c.safetensors")
    with pytest.raises(ConfigError, match="size is -1"):
        Segmenter(weights, size=-1)


def test_what_is_saved_opens_again(weights: Path, squares: Path, tmp_path: Path) -> None:
    """In a file and in a folder as hubs have them, with the classes and their numbers."""
    segmenter, picture = Segmenter(weights, device="cpu"), squares / "pictures" / "0.png"
    segmenter.save(tmp_path / "again.safetensors")
    segmenter.save_pretrained(tmp_path / "folder")
    assert "of 2: ground, square" in (tmp_path / "folder" / "README.md").read_text()
    for found in (
        Segmenter(tmp_path / "again.safetensors", device="cpu"),
        Segmenter(tmp_path / "folder", device="cpu"),
        Segmenter.from_pretrained(tmp_path / "folder", device="cpu"),
    ):
        assert (found.classes, found.numbers) == (segmenter.classes, segmenter.numbers)
        assert np.array_equal(found.segment(picture).labels, segmenter.segment(picture).labels)
    assert run("segment", picture, "--weights", tmp_path / "folder", "-o", tmp_path / "a.png") == 0
    with pytest.raises(ConfigError, match=r"must end in \.safetensors"):
        segmenter.save(tmp_path / "a.bin")


def test_evaluating_a_folder(
    weights: Path, squares: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = evaluate(Segmenter(weights, device="cpu"), squares / "pictures", squares / "labels")
    assert found.overlap.miou > 0.8
    assert len(found.pictures) == 8
    words = ["evaluate", "--task", "segment", "--input", squares / "pictures"]
    words += ["--target", squares / "labels", "--csv", tmp_path]
    assert run(*words, "--weights", weights, "--device", "cpu") == 0
    assert f"{100 * found.overlap.miou:.2f} %" in capsys.readouterr().out
    rows = list(csv.DictReader((tmp_path / "segment.csv").read_text().splitlines()))
    assert [row["class"] for row in rows] == ["ground", "square", "mean"]
    assert float(rows[-1]["iou"]) == pytest.approx(found.overlap.miou, abs=1e-6)
    assert int(rows[-1]["true_pixels"]) == 8 * 39 * 52
    assert run(*words) == 2
    assert "segment needs --weights" in capsys.readouterr().err


def test_more_classes_than_a_palette_holds(tmp_path: Path) -> None:
    from multiaxis.tasks.segment.classes import named
    from multiaxis.tasks.segment.paint import Segments

    labels = np.array([[0, 300]], np.uint16)
    data = Segments(labels, named([f"class {k}" for k in range(301)])).as_png()
    (tmp_path / "a.png").write_bytes(data)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "a.png")), labels)


@pytest.mark.parametrize("kind", ["fpn", "unet"])
@pytest.mark.parametrize("sides", [(33, 50), (64, 64), (1, 7)])
def test_any_size_goes_through(kind: str, sides: tuple[int, int]) -> None:
    for level in (0, 1, 2, 3) if kind == "unet" else (1, 2, 3):
        decoder = DecoderConfig(kind=kind, level=level, channels=8, widths=(8, 8, 8), convs=1)  # pyright: ignore[reportArgumentType]
        network = build_network("maxvit", decoder, 4, config=SMALL_VIT).eval()
        with torch.no_grad():
            assert network(torch.zeros(1, 3, *sides)).shape == (1, 4, *sides)
        assert network.decoder.needed_values(sides) > 0
