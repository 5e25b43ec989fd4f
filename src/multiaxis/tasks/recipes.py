"""The recipes of all uses by name."""

from __future__ import annotations

from multiaxis.errors import unknown
from multiaxis.tasks.classify.recipes import RECIPES as CLASSIFY
from multiaxis.tasks.detect.recipes import RECIPES as DETECT
from multiaxis.tasks.generate.recipes import RECIPES as GENERATE
from multiaxis.tasks.rate.recipes import RECIPES as RATE
from multiaxis.tasks.restore.recipes import RECIPES as RESTORE
from multiaxis.tasks.segment.recipes import RECIPES as SEGMENT
from multiaxis.train.recipe import Recipe

RECIPES: dict[str, Recipe] = {
    recipe.name: recipe for recipe in (*RESTORE, *CLASSIFY, *DETECT, *SEGMENT, *RATE, *GENERATE)
}


def get_recipe(name: str) -> Recipe:
    """Look a recipe up.

    Raises
    ------
    ConfigError
        If it is unknown; the nearest names are given.
    """
    if name not in RECIPES:
        raise unknown("recipe", name, RECIPES)
    return RECIPES[name]
