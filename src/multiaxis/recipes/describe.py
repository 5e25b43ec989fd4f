"""A recipe as lines that can be set."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

from multiaxis.degrade import spell
from multiaxis.recipes.recipe import Recipe


def fields_of(recipe: Recipe) -> list[tuple[str, str]]:
    """List the dotted names of all fields, and their values as `override` takes them."""
    return _walk(recipe, "")


def _walk(node: Any, path: str) -> list[tuple[str, str]]:
    lines: list[tuple[str, str]] = []
    for field in fields(node):
        name, value = path + field.name, getattr(node, field.name)
        if is_dataclass(value):
            lines += _walk(value, name + ".")
        elif isinstance(value, dict):
            lines += [(f"{name}.{key}", repr(v)) for key, v in value.items()]
        elif field.name == "degrade":
            lines.append((name, spell(value)))
        elif name not in ("name", "about", "valid"):
            lines.append((name, _words(value)))
    return lines


def _words(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(map(_words, value))
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)
