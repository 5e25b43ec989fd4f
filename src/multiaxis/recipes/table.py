"""Recipes by name."""

from __future__ import annotations

from multiaxis.errors import unknown
from multiaxis.recipes.maxim import MAXIM_RECIPES
from multiaxis.recipes.maxvit import maxvit_recipes
from multiaxis.recipes.nano import small_recipes
from multiaxis.recipes.recipe import Recipe

RECIPES: dict[str, Recipe] = {
    recipe.name: recipe for recipe in (*small_recipes(), *MAXIM_RECIPES, *maxvit_recipes())
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
