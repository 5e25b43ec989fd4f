"""Pictures by the command and in Python: addressed by seed and number, saved, scored."""

from __future__ import annotations

import csv
import sys
import types
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import torch
from PIL import Image

from multiaxis import Generator
from multiaxis.cli.app import main
from multiaxis.errors import (
    ConfigError,
    DataError,
    MissingExtraError,
    WeightsError,
    WeightsUnavailableError,
)
from multiaxis.tasks.generate.evaluate import evaluate
from multiaxis.tasks.generate.extractors import Seen, find_extractor
from multiaxis.tasks.generate.grid import columns_of, columns_of_ways, in_grid
from multiaxis.tasks.generate.latents import draw_latents, draw_ways
from multiaxis.zoo import create_model
from small_recipe import SMALL_VIT


def run(*words: object) -> int:
    with pytest.raises(SystemExit) as caught:
        main([str(word) for word in words])
    assert isinstance(caught.value.code, int)
    return caught.value.code


@pytest.fixture
def generator(weights: Path) -> Generator:
    return Generator(weights, device="cpu")


def test_picture_k_is_the_same_whatever_the_count(generator: Generator) -> None:
    made = generator.generate(5, seed=3)
    assert made.shape == (5, 8, 8, 3)
    assert made.dtype == np.uint8
    assert np.array_equal(generator.generate(2, seed=3), made[:2])
    assert not np.array_equal(generator.generate(5, seed=4), made)
    assert len({picture.tobytes() for picture in made}) == 5


def test_truncation_draws_again_what_is_beyond_it(generator: Generator) -> None:
    plain = draw_latents(3, range(5), 400)
    cut = draw_latents(3, range(5), 400, truncation=0.7)
    assert float(cut.abs().max()) <= 0.7
    inside = plain.abs() <= 0.7
    assert torch.equal(cut[inside], plain[inside])
    assert torch.equal(draw_latents(3, [4], 400, truncation=0.7)[0], cut[4])
    # A normal distribution between -0.7 and 0.7 deviates by 0.381.
    assert float(cut.std()) == pytest.approx(0.381, abs=0.02)
    made = generator.generate(4, seed=3, truncation=0.5)
    assert np.array_equal(generator.generate(2, seed=3, truncation=0.5), made[:2])
    assert not np.array_equal(generator.generate(4, seed=3), made)
    assert np.array_equal(
        generator.generate(4, seed=3, truncation=10), generator.generate(4, seed=3)
    )


def test_ways_lead_from_one_seed_to_another(generator: Generator) -> None:
    made = generator.between(3, 4, rows=2, columns=5)
    assert made.shape == (2, 5, 8, 8, 3)
    assert np.array_equal(made[:, 0], generator.generate(2, seed=3))
    assert np.array_equal(made[:, -1], generator.generate(2, seed=4))
    assert np.array_equal(generator.between(3, 4, columns=5)[0], made[0])
    assert np.array_equal(generator.between(4, 3, columns=5)[0], made[0, ::-1])
    same = generator.between(3, 3, columns=3)
    assert np.array_equal(same[0, 0], same[0, 1])
    ends = generator.between(3, 4, columns=2, truncation=0.5)[0]
    assert np.array_equal(ends[1], generator.generate(1, seed=4, truncation=0.5)[0])


def test_ways_turn_evenly() -> None:
    way = torch.nn.functional.normalize(draw_ways((1, 2), range(9), 9, 300), dim=1)
    angles = torch.arccos((way[:-1] * way[1:]).sum(dim=1))
    torch.testing.assert_close(angles, angles.mean().expand(8), atol=1e-4, rtol=0)
    lengths = draw_ways((1, 2), range(9), 9, 300).norm(dim=1)
    assert float(lengths.min()) > 0.9 * 300**0.5  # the mean of two would have 0.71


def test_a_generator_is_saved_and_opened_again(generator: Generator, tmp_path: Path) -> None:
    generator.save(tmp_path / "g.safetensors")
    generator.save_pretrained(tmp_path / "folder")
    made = generator.generate(3)
    for place in (tmp_path / "g.safetensors", tmp_path / "folder"):
        assert np.array_equal(Generator(place, device="cpu").generate(3), made)
    assert "multiaxis.Generator(" in (tmp_path / "folder" / "README.md").read_text()
    (tmp_path / "run").mkdir()
    generator.save(tmp_path / "run" / "weights.safetensors")  # as a training leaves it
    assert np.array_equal(Generator(tmp_path / "run", device="cpu").generate(3), made)
    with pytest.raises(ConfigError, match="must end in .safetensors"):
        generator.save(tmp_path / "g.pt")


def test_weights_of_other_uses_are_refused_by_name(weights: Path, tmp_path: Path) -> None:
    create_model("maxvit", **SMALL_VIT).save(tmp_path / "m.safetensors")  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(WeightsError, match=r"is no generator, but a MaxViT, for multiaxis class"):
        Generator(tmp_path / "m.safetensors")
    from multiaxis import Segmenter

    with pytest.raises(WeightsError, match="is no segmenter, but a generator, for multiaxis gen"):
        Segmenter(weights)


def test_a_grid_and_a_folder_hold_the_same_pictures(weights: Path, tmp_path: Path) -> None:
    words = ("generate", "--weights", weights, "--count", 5, "--seed", 7, "--device", "cpu")
    assert run(*words, "-o", tmp_path / "grid.png", "--columns", 3) == 0
    assert run(*words, "-o", tmp_path / "each") == 0
    grid = np.array(Image.open(tmp_path / "grid.png"))
    assert grid.shape == (16, 24, 3)
    assert (grid[8:, 16:] == 255).all()
    files = sorted((tmp_path / "each").iterdir())
    assert [file.name for file in files] == [f"7_{k:05}.png" for k in range(5)]
    for k, file in enumerate(files):
        top, left = 8 * (k // 3), 8 * (k % 3)
        assert np.array_equal(np.array(Image.open(file)), grid[top : top + 8, left : left + 8])


def test_ways_in_a_grid_and_in_files(weights: Path, generator: Generator, tmp_path: Path) -> None:
    words = ("generate", "-w", weights, "--seed", 7, "--to", 9, "--device", "cpu", "-q")
    words = (*words, "--truncation", 1.5, "--count", 6, "--columns", 3)
    assert run(*words, "-o", tmp_path / "grid.png") == 0
    wanted = generator.between(7, 9, rows=2, columns=3, truncation=1.5)
    grid = np.array(Image.open(tmp_path / "grid.png")).reshape(2, 8, 3, 8, 3)
    assert np.array_equal(grid.transpose(0, 2, 1, 3, 4), wanted)
    assert run(*words, "-o", tmp_path / "each") == 0
    names = [f"7_to_9_{way:05}_{step:03}.png" for way in range(2) for step in range(3)]
    assert sorted(file.name for file in (tmp_path / "each").iterdir()) == names
    last = np.array(Image.open(tmp_path / "each" / names[-1]))
    assert np.array_equal(last, wanted[1, 2])


def test_what_exists_stays(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("generate", "--weights", weights, "--count", 2, "--device", "cpu", "-q")
    (tmp_path / "grid.png").write_bytes(b"mine")
    assert run(*words, "-o", tmp_path / "grid.png") == 2
    assert (tmp_path / "grid.png").read_bytes() == b"mine"
    assert "it exists" in capsys.readouterr().err
    assert run(*words, "-o", tmp_path / "grid.png", "--overwrite") == 0
    assert run(*words, "-o", tmp_path / "each") == 0
    assert run(*words, "-o", tmp_path / "each", "--count", 3) == 2
    assert len(list((tmp_path / "each").iterdir())) == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--count", "0"), "the count is 0: accepted is 1 to 10000000"),
        (("--seed", "-1"), "the seed is -1: accepted is 0 to 2147483647"),
        (("--columns", "0"), "the columns are 0: accepted is 1 or more"),
        (("--truncation", "0"), "the truncation is 0: accepted is 0.1 to 10"),
        (("--truncation", "nan"), "the truncation is nan"),
        (("--to", "-1"), "the seed to go to is -1: accepted is 0 to 2147483647"),
        (("--to", "2", "--columns", "1"), "the columns are 1: a way has 2 pictures or more"),
        (("--to", "2", "--count", "12"), "has 8 pictures: accepted is a multiple, such as 16"),
        (("--to", "2", "--count", "1"), "the columns are 1: a way has 2 pictures or more"),
        (("-o", "x.gif"), "x.gif"),
        (("-o", "nowhere/x.png"), "its folder does not exist"),
        (("-o", "out", "--columns", "2"), "--columns is for one file"),
        (("--weights", "none.safetensors"), "none.safetensors"),
        (("--device", "gpu"), "unknown device 'gpu'"),
    ],
)
def test_words_that_cannot_be(
    words: tuple[str, ...],
    message: str,
    weights: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    given = {"--weights": str(weights), "-o": "grid.png"}
    given.update(zip(words[::2], words[1::2], strict=True))
    assert run("generate", *(word for pair in given.items() for word in pair)) == 2
    told = capsys.readouterr().err
    assert message in told
    assert "Traceback" not in told


def test_grids() -> None:
    assert [columns_of(n) for n in (1, 2, 4, 5, 64)] == [1, 2, 2, 3, 8]
    assert columns_of(3, 9) == 3
    assert [columns_of_ways(n, 1) for n in (2, 4, 64)] == [2, 4, 8]
    pictures = np.arange(3, dtype=np.uint8)[:, None, None, None].repeat(3, axis=3)
    assert in_grid(pictures)[..., 0].tolist() == [[0, 1], [2, 255]]


def test_equal_folders_have_no_distance(modes: Path) -> None:
    found = evaluate(modes, modes)
    assert (found.made, found.real, found.inception) == (24, 24, None)
    assert abs(found.frechet) < 1e-4  # of values near 100
    assert not found.failed


def test_any_function_looks_at_pictures(modes: Path, tmp_path: Path) -> None:
    for k in range(3):
        Image.new("RGB", (8, 8), (255, 0, 0)).save(tmp_path / f"{k}.png")
    (tmp_path / "broken.png").write_bytes(b"nothing")

    def see(pictures: torch.Tensor) -> Seen:
        return Seen(pictures.mean(dim=(2, 3))[:, :2], logits=pictures[:, :, 0, 0])

    found = evaluate(tmp_path, modes, extractor=see)
    assert (found.made, found.real) == (3, 24)
    assert found.inception == pytest.approx(1)  # one class only
    ((name, _),) = found.failed
    assert name.endswith("broken.png")
    assert found.frechet > 1
    with pytest.raises(DataError, match="less than 2 pictures"):
        evaluate(_one(tmp_path / "one"), modes)


def _one(folder: Path) -> Path:
    folder.mkdir()
    Image.new("RGB", (8, 8)).save(folder / "a.png")
    return folder


def test_the_command_compares_folders(
    modes: Path, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = tmp_path / "made"
    assert run("generate", "-w", weights, "-o", made, "--count", 6, "--device", "cpu", "-q") == 0
    words = ("evaluate", "--task", "generate", "--input", made, "--target", modes)
    assert run(*words, "--csv", tmp_path, "--weights", "pixels") == 0
    told = capsys.readouterr().out
    assert "6 made and 24 real pictures, as pixels sees them" in told
    (row,) = csv.DictReader((tmp_path / "generate.csv").read_text().splitlines())
    assert row["made"] == "6"
    assert float(row["frechet"]) > 0
    assert run(*words, "--csv", tmp_path) == 2
    assert "exists" in capsys.readouterr().err


def test_inception_is_torch_fidelitys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its package is not among those of the tests, and its weights are not to be had here."""

    class Fake(torch.nn.Module):
        def __init__(self, name: str, wanted: list[str]) -> None:
            super().__init__()
            assert (name, wanted) == ("inception-v3-compat", ["2048", "logits_unbiased"])

        def forward(self, levels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            assert levels.dtype == torch.uint8
            return levels.flatten(1).float(), levels[:, 0, 0].float()

    package, name = types.ModuleType("torch_fidelity"), "feature_extractor_inceptionv3"
    module = types.ModuleType(f"torch_fidelity.{name}")
    module.FeatureExtractorInceptionV3 = Fake  # pyright: ignore[reportAttributeAccessIssue]
    monkeypatch.setitem(sys.modules, "torch_fidelity", package)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    pictures = torch.tensor([-1.0, 1.5, 0.0]).view(1, 3, 1, 1).expand(1, 3, 2, 2)
    seen = find_extractor("inception")(pictures)
    assert sorted(set(seen.features.flatten().tolist())) == [0, 128, 255]
    assert seen.logits is not None

    def refuse(*_: object) -> None:
        raise URLError("Name or service not known")

    module.FeatureExtractorInceptionV3 = refuse  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(WeightsUnavailableError, match="cannot fetch Inception's weights"):
        find_extractor("inception")


def test_extractors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = torch.rand(2, 3, 8, 8) * 2 - 1
    assert find_extractor("pixels")(pictures).features.shape == (2, 192)
    one, two = (find_extractor("random")(pictures) for _ in range(2))
    assert torch.equal(one.features, two.features)
    assert one.logits is None
    create_model("maxvit", **SMALL_VIT).save(tmp_path / "m.safetensors")  # pyright: ignore[reportAttributeAccessIssue]
    seen = find_extractor(str(tmp_path / "m.safetensors"))(pictures)
    assert seen.logits is not None
    assert len(seen.features) == len(seen.logits) == 2
    monkeypatch.setitem(sys.modules, "torch_fidelity", None)
    with pytest.raises(MissingExtraError, match=r"multiaxis\[generate\]"):
        find_extractor("inception")
