"""A segmenter that has learnt squares."""

from __future__ import annotations

from pathlib import Path

import pytest

from multiaxis.train import train
from small_segments import make_squares, squares_recipe


@pytest.fixture(scope="session")
def squares(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_squares(tmp_path_factory.mktemp("squares"))


@pytest.fixture(scope="session")
def learnt(squares: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a training."""
    folder = tmp_path_factory.mktemp("learnt")
    train(squares_recipe(squares), folder)
    return folder


@pytest.fixture(scope="session")
def weights(learnt: Path) -> Path:
    return learnt / "weights.safetensors"
