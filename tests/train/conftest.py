from __future__ import annotations

from pathlib import Path

import pytest

import small_recipe
from multiaxis.train.recipe import Recipe


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    return small_recipe.make_pictures(tmp_path / "photographs")


@pytest.fixture
def recipe(photographs: Path) -> Recipe:
    return small_recipe.recipe(photographs)
