"""Recipes of trainings, as typed values."""

from multiaxis.recipes.recipe import Recipe
from multiaxis.recipes.table import RECIPES, get_recipe

__all__ = ["RECIPES", "Recipe", "get_recipe"]
