"""A recipe as lines that can be set."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

from multiaxis.train.recipe import Recipe


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
            for key, entry in value.items():
                dotted = f"{name}.{key}"
                whole = _walk(entry, f"{dotted}.") if is_dataclass(entry) else None
                lines += whole or [(dotted, repr(entry))]
        elif "format" in field.metadata:
            lines.append((name, field.metadata["format"](value)))
        elif name not in ("name", "about", "valid"):
            lines.append((name, _words(value)))
    return lines


def _words(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(map(_words, value))
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)
