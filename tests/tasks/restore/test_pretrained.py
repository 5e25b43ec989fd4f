"""The published weights on a real photograph."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from multiaxis import Restorer, create_model, psnr
from multiaxis.errors import ConfigError, WeightsError
from multiaxis.weights.index import find_checkpoint
from multiaxis.weights.pull import matches_index

pytestmark = pytest.mark.pretrained

SAMPLE = Path(__file__).resolve().parents[3] / "docs" / "sample"


def crop(name: str) -> np.ndarray:
    with Image.open(SAMPLE / name) as image:
        return np.asarray(image)[100:228, 100:228]


@pytest.mark.thorough
def test_the_sample_loses_its_rain_and_bfloat16_is_near(
    pretrained: Callable[[str], Path],
) -> None:
    weights = pretrained("derain")
    rainy, clean = crop("rainy.jpg"), crop("clean.jpg")
    restorer = Restorer("derain", weights=weights, device="cpu")
    restored = restorer.restore(rainy)
    before, after = psnr(rainy, clean, data_range=255), psnr(restored, clean, data_range=255)
    assert after > before + 3
    exact = restorer.restore_values(rainy.astype(np.float32) / 255)
    rough = Restorer("derain", weights=weights, device="cpu", dtype="bfloat16").restore_values(
        rainy.astype(np.float32) / 255
    )
    assert psnr(rough, exact, data_range=1) > 45


@pytest.mark.thorough
def test_the_file_is_the_published_one_and_lacks_two_heads(
    pretrained: Callable[[str], Path],
) -> None:
    path = pretrained("derain")
    assert matches_index(path, find_checkpoint("derain"))
    model = create_model("maxim_s2", weights=path)
    assert model.missing_heads in ([1, 2], [])  # the npm package's file, or the authors'
    if model.missing_heads:
        with pytest.raises(ConfigError, match="no output heads"):
            model.forward_stages(torch.zeros(1, 3, 64, 64))
    with pytest.raises(WeightsError, match="does not fit a MAXIM of 3 stages"):
        create_model("maxim_s3", weights=path)
