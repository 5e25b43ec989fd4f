"""A use that is given weights of another says what they are, and what opens them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import small_detections
import small_generator
import small_maxim
import small_maxvit
from multiaxis import Classifier, Detector, Generator, Rater, Restorer, Segmenter, create_model
from multiaxis.cli.app import main
from multiaxis.errors import ConfigError, WeightsError
from multiaxis.models.store import save_network
from multiaxis.tasks.detect import stated as of_detectors
from multiaxis.tasks.generate import store as of_generators
from multiaxis.tasks.generate.config import GeneratorConfig
from multiaxis.tasks.generate.network import GeneratorNet
from multiaxis.tasks.generate.store import save_generator
from multiaxis.tasks.restore.refine import store as of_refiners
from multiaxis.tasks.segment import stated as of_segmenters
from multiaxis.tasks.segment.classes import Numbers, named
from multiaxis.tasks.segment.config import DecoderConfig
from multiaxis.tasks.segment.network import build_network
from multiaxis.weights.purpose import STATED, purpose
from multiaxis.zoo import open_model
from small_recipe import SMALL_VIT

PURPOSES = {
    "maxim": "a MAXIM, for multiaxis restore",
    "maxvit": "a MaxViT, for multiaxis classify",
    "backbone": "a backbone without a head",
    "detector": "a detector, for multiaxis detect",
    "segmenter": "a segmenter, for multiaxis segment",
    "generator": "a generator, for multiaxis generate",
}
USES: dict[str, Callable[[Path], object]] = {
    "maxim": lambda path: Restorer("derain", weights=path, device="cpu"),
    "maxvit": lambda path: Classifier(weights=path, device="cpu"),
    "detector": lambda path: Detector(path, device="cpu"),
    "segmenter": lambda path: Segmenter(path, device="cpu"),
    "rater": lambda path: Rater(path, device="cpu"),
    "generator": lambda path: Generator(path, device="cpu"),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("weights")
    found = {name: folder / f"{name}.safetensors" for name in PURPOSES}
    small_maxim.model(1).save(found["maxim"])
    small_maxvit.lively().save(found["maxvit"])
    create_model("maxvit", **SMALL_VIT, features_only=True).save(found["backbone"])
    small_detections.write_weights(found["detector"])
    network = build_network("maxvit", DecoderConfig(level=1, channels=8), 2, config=SMALL_VIT)
    about = of_segmenters.write_stated(named(["a", "b"]), Numbers((0, 1), ()))
    save_network(network, found["segmenter"], about)
    save_generator(GeneratorNet(GeneratorConfig(**small_generator.SMALL)), found["generator"])
    return found


@pytest.mark.thorough
@pytest.mark.parametrize("name", PURPOSES)
def test_each_use_names_the_other(files: dict[str, Path], name: str) -> None:
    for use, opened in USES.items():
        if use == name:
            opened(files[name])
            continue
        with pytest.raises(WeightsError) as caught:
            opened(files[name])
        assert PURPOSES[name] in str(caught.value)
        assert f"{name}.safetensors is no " in str(caught.value)
    assert purpose(files[name]).startswith(PURPOSES[name])


def test_files_state_what_the_table_looks_for() -> None:
    stated = {
        *of_detectors.write_stated(64, ()),
        *of_segmenters.write_stated(named(["a", "b"]), Numbers((0, 1), ())),
        *of_generators.stated(GeneratorConfig()),
        *of_refiners.stated(),
    }
    assert stated | {"rater"} == STATED.keys()


def test_an_export_of_a_part_is_refused(
    files: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["export", str(files["detector"]), str(tmp_path / "a.onnx"), "--size", "64"])
    assert caught.value.code == 2
    assert "is a detector, for multiaxis detect: accepted are a MAXIM" in capsys.readouterr().err
    assert not (tmp_path / "a.onnx").exists()


@pytest.mark.parametrize("opened", [open_model, lambda name: create_model(weights=name)])
def test_a_packaged_refiner_is_no_model(opened: Callable[[str], object]) -> None:
    with pytest.raises(WeightsError, match="is a refiner, for multiaxis restore --samples: acc"):
        opened("refine-nano")
    with pytest.raises(ConfigError, match="weights of a refiner, not a model: use multiaxis.Rest"):
        create_model("refine-nano")  # pyright: ignore[reportCallIssue, reportArgumentType]
