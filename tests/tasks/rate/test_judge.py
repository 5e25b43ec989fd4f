"""A rater picks the best of a refiner's answers, also in other processes."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from multiaxis.cli.app import main
from multiaxis.errors import WeightsError
from multiaxis.tasks.rate.judge import RatedBy
from multiaxis.tasks.rate.rater import Rater
from small_ratings import photograph
from small_refiner import write_refiner


@pytest.mark.thorough
def test_it_judges_as_the_rater_does(weights: Path, rater: Rater) -> None:
    judge = pickle.loads(pickle.dumps(RatedBy(str(weights)))).open()
    for light in (0.2, 1.0):
        pixels = np.asarray(photograph(light, 77))
        assert judge(pixels) == pytest.approx(rater.rate_pixels(pixels).score, abs=1e-5)


@pytest.mark.thorough
def test_the_command_writes_the_answer_that_is_rated_best(
    weights: Path, rater: Rater, tmp_path: Path
) -> None:
    refiner = write_refiner(tmp_path / "r.safetensors", from_input=True)
    photograph(0.5, 3).save(tmp_path / "a.png")
    words = ["restore", str(tmp_path / "a.png"), "--task", "denoise", "--weights", str(refiner)]
    words += ["--samples", "3", "--steps", "2", "--device", "cpu", "-q"]
    for more in (
        ["-o", "each.png"],
        ["-o", "best.png", "--pick", "rated", "--rater", str(weights)],
    ):
        more[1] = str(tmp_path / more[1])
        with pytest.raises(SystemExit) as caught:
            main([*words, *more])
        assert caught.value.code == 0
    each = [np.array(Image.open(tmp_path / f"{n}.png")) for n in ("each", "each_2", "each_3")]
    best = int(np.argmax([rater.rate_pixels(one).score for one in each]))
    assert np.array_equal(np.array(Image.open(tmp_path / "best.png")), each[best])


def test_weights_of_no_rater_are_refused(tmp_path: Path) -> None:
    refiner = write_refiner(tmp_path / "r.safetensors")
    with pytest.raises(WeightsError, match="is no rater, but a refiner"):
        RatedBy(str(refiner)).open()
