from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import small_recipe
from multiaxis.train import train
from multiaxis.train.recipe import Recipe


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    return small_recipe.make_pictures(tmp_path / "photographs")


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Recipe, Path]:
    """Train the recipe once, for those who ask what comes after; they copy the folder."""
    folder = tmp_path_factory.mktemp("trained")
    recipe = small_recipe.recipe(small_recipe.make_pictures(folder / "photographs"))
    train(recipe, folder / "run")
    return recipe, folder / "run"


@pytest.fixture
def finished(trained: tuple[Recipe, Path], tmp_path: Path) -> tuple[Recipe, Path]:
    """A recipe, and the folder of its whole training, for one test."""
    recipe, folder = trained
    return recipe, Path(shutil.copytree(folder, tmp_path / "finished"))


@pytest.fixture
def recipe(photographs: Path) -> Recipe:
    return small_recipe.recipe(photographs)
