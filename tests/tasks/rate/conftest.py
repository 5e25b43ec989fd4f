"""A rater that has learnt to like light pictures."""

from __future__ import annotations

from pathlib import Path

import pytest

from multiaxis.tasks.rate.rater import Rater
from small_ratings import make_rated, save_backbone


@pytest.fixture(scope="session")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_backbone(tmp_path_factory.mktemp("backbone") / "tiny.safetensors")


@pytest.fixture(scope="session")
def rated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty photographs with stars: tests leave them as they are."""
    return make_rated(tmp_path_factory.mktemp("rated"))


@pytest.fixture(scope="session")
def rater(rated: Path, backbone: Path, tmp_path_factory: pytest.TempPathFactory) -> Rater:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MULTIAXIS_HOME", str(tmp_path_factory.mktemp("home")))
        return Rater.learn(rated, backbone=backbone, device="cpu")


@pytest.fixture(scope="session")
def weights(rater: Rater, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rater") / "mine.safetensors"
    rater.save(path)
    return path
