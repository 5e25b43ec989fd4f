"""Crops that a teacher restored: once each, whatever the order, and mixed with the truth."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from multiaxis.degrade.noise import GaussianNoise
from multiaxis.errors import ConfigError, WeightsError
from multiaxis.tasks.restore import taught as module
from multiaxis.tasks.restore.samples import CleanPhotographs
from multiaxis.tasks.restore.taught import TaughtPhotographs, TaughtSource, Teacher
from small_recipe import make_pictures


@pytest.fixture
def data(
    tmp_path: Path, weights_file: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., TaughtPhotographs]:
    monkeypatch.setenv("MULTIAXIS_HOME", str(tmp_path / "home"))
    folder = make_pictures(tmp_path / "photographs")

    def make(**change: object) -> TaughtPhotographs:
        fields: dict[str, object] = {
            "folder": str(folder),
            "degrade": (GaussianNoise(sigma=25.0),),
            "teacher": str(weights_file),
            "crops": 4,
            "whole": 32,
            "crop": 16,
            "truth": 0.0,
        }
        return TaughtPhotographs(**{**fields, **change})  # pyright: ignore[reportArgumentType]

    return make


def kept(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "home" / "taught").glob("*"))


@pytest.mark.thorough
def test_the_teacher_restores_each_crop_once(
    data: Callable[..., TaughtPhotographs], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = [data().open().pair(index) for index in range(4)]
    assert len(kept(tmp_path)) == 4

    def again(*_: object) -> None:
        pytest.fail("it was restored before")

    monkeypatch.setattr(Teacher, "_restore", again)
    source = data(crop=8, truth=0.0).open()
    for index in (3, 1, 0, 2):
        degraded, target = source.pair(index)
        assert np.array_equal(degraded, first[index][0])
        assert np.array_equal(target, first[index][1])
        assert not np.allclose(degraded / 255, target, atol=0.001), "the teacher changed it"


def test_the_target_is_between_truth_and_teacher(data: Callable[..., TaughtPhotographs]) -> None:
    taught, mixed, true = (data(truth=share).open().pair(1)[1] for share in (0.0, 0.25, 1.0))
    assert np.allclose(mixed, 0.25 * true + 0.75 * taught, atol=1e-6)
    clean = data().photographs(32).open().sample(1, np.random.default_rng(1))["target"]
    assert np.array_equal(true, clean)


def test_truth_alone_asks_no_teacher(
    data: Callable[..., TaughtPhotographs], tmp_path: Path
) -> None:
    source = data(truth=1.0, teacher="nowhere/nothing.safetensors").open()
    assert source.sample(0, np.random.default_rng(0))["target"].shape == (16, 16, 3)
    assert not kept(tmp_path)


def test_a_sample_is_a_part_of_its_crop(data: Callable[..., TaughtPhotographs]) -> None:
    source = data().open()
    whole, target = source.pair(2)
    made = source.sample(2, np.random.default_rng(5))
    again = data().open().sample(2, np.random.default_rng(5))
    for name, picture in (("degraded", whole / np.float32(255)), ("target", target)):
        assert made[name].shape == (16, 16, 3)
        assert np.array_equal(made[name], again[name]), "the same numbers, the same sample"
        values = {tuple(pixel) for pixel in picture.reshape(-1, 3)}
        assert {tuple(pixel) for pixel in made[name].reshape(-1, 3)} <= values


def test_fresh_samples_have_the_truth_as_target(
    data: Callable[..., TaughtPhotographs], tmp_path: Path
) -> None:
    source = data(fresh=1.0).open()
    one, two = (source.sample(0, np.random.default_rng(seed)) for seed in (1, 2))
    assert not np.array_equal(one["degraded"], two["degraded"])
    assert abs(float((one["degraded"] - one["target"]).std()) - 25 / 255) < 0.01
    assert not kept(tmp_path)


@pytest.mark.thorough
def test_damage_in_the_cache_is_mended(
    data: Callable[..., TaughtPhotographs], tmp_path: Path
) -> None:
    target = data().open().pair(0)[1]
    (file,) = kept(tmp_path)
    for damage in (b"", b"\x93NUMPY", file.read_bytes()[:-5]):
        file.write_bytes(damage)
        assert np.array_equal(data().open().pair(0)[1], target)
        assert kept(tmp_path) == [file]


def test_another_teacher_has_places_of_its_own(
    data: Callable[..., TaughtPhotographs], tmp_path: Path, tiny: Path
) -> None:
    crop = np.zeros((32, 32, 3), np.uint8)
    other = tmp_path / "other.npz"
    other.write_bytes((tiny / "tiny.npz").read_bytes())
    assert Teacher(str(other)).place(crop) != Teacher(data().teacher).place(crop)
    assert Teacher(data().teacher).place(crop) != Teacher(data().teacher).place(crop[:16])


def test_what_is_held_out_is_scored_by_the_truth_where_it_is_a_target(
    data: Callable[..., TaughtPhotographs],
) -> None:
    by_truth, by_teacher = data(truth=0.5).held_out(), data(fresh=0.5).held_out()
    assert isinstance(by_truth, CleanPhotographs)
    assert isinstance(by_teacher, TaughtPhotographs)
    assert by_teacher.fresh == 0
    assert by_truth.crop == by_teacher.crop == 32


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"teacher": ""}, "name a published checkpoint or a file"),
        ({"crop": 64}, "crop is 64"),
        ({"truth": 1.5}, "truth is 1.5"),
        ({"fresh": -1.0}, "fresh is -1"),
        ({"crops": 0}, "crops is 0"),
    ],
)
def test_fields_that_cannot_work(
    data: Callable[..., TaughtPhotographs], fields: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        data(**fields)


def test_a_teacher_that_is_none(data: Callable[..., TaughtPhotographs], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no shards|data.folder"):
        data().in_shards({})
    with pytest.raises(WeightsError):
        data(teacher=str(tmp_path / "missing.safetensors")).open()
    with pytest.raises(WeightsError, match="no MAXIM"):
        data(teacher="rate-backbone").open().pair(0)
    assert isinstance(data().open(), TaughtSource)
    assert TaughtPhotographs.fields == module.FIELDS
