"""Changing fields of a recipe by words: ``optim.lr=3e-4``."""

from __future__ import annotations

import ast
import types
import typing
from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any, Literal, get_args, get_origin, get_type_hints

from multiaxis.errors import ConfigError, unknown
from multiaxis.train.recipe import Recipe


def override(recipe: Recipe, words: Sequence[str]) -> Recipe:
    """Set fields by their dotted names.

    Parameters
    ----------
    recipe : Recipe
    words : sequence of str
        Each ``FIELD=VALUE``: ``run.steps=1000``, ``model.weights=derain``, ``optim.clip=none``,
        ``data.degrade=rain,jpeg:quality=60``, ``model.config.features=16``. ``data.urls=...`` puts
        shards in the place of folders. ``valid=none`` scores nothing; ``valid.inputs=...`` and the
        like give a recipe without `valid` one that is like its data. The order of words does not
        matter; of two for one field the later counts.

    Raises
    ------
    ConfigError
        If a field is unknown, or a value is not of its type.
    """
    left: dict[str, str] = {}
    for word in words:
        path, equals, text = word.partition("=")
        if not equals:
            raise ConfigError(f"{word!r} is not an assignment: accepted is FIELD=VALUE")
        left[path.strip()] = text.strip()
    if "data.urls" in left:
        recipe = replace(recipe, data=recipe.data.in_shards(recipe.model.config))
    if left.get("valid", "").lower() == "none":
        recipe = replace(recipe, valid=None)
        del left["valid"]
    of_valid = {path: text for path, text in left.items() if path.startswith("valid.")}
    recipe = _set_all(recipe, {path: left[path] for path in left if path not in of_valid})
    if recipe.valid is None and of_valid:  # like its data, as other words have made them
        recipe = replace(recipe, valid=recipe.data.held_out())
    return _set_all(recipe, of_valid)


def _set_all(recipe: Recipe, left: dict[str, str]) -> Recipe:
    while left:  # some values fit only once others are set: run.steps=10, optim.warmup=2
        failures: dict[str, ConfigError] = {}
        for path, text in left.items():
            try:
                recipe = _set(recipe, path.split("."), text, path)
            except ConfigError as error:
                failures[path] = error
        if len(failures) == len(left):
            raise next(iter(failures.values()))
        left = {path: left[path] for path in failures}
    return recipe


def _set(node: Any, path: list[str], text: str, whole: str) -> Any:
    name, *rest = path
    if isinstance(node, dict):
        # Whoever builds from it knows what may be set, and in which groups.
        inner = node.get(name, {})
        is_named = any(map(is_dataclass, node.values()))  # by the recipe: others mean nothing
        if rest and (not _has_fields(inner) or (is_named and name not in node)):
            raise ConfigError(f"{whole} does not exist: {name} has no fields")
        return {**node, name: _set(inner, rest, text, whole) if rest else _literal(text)}
    known = {field.name: field for field in fields(node)}
    if name not in known:
        raise unknown("field of " + type(node).__name__, name, known)
    value = getattr(node, name)
    if rest:
        if not _has_fields(value):
            raise ConfigError(f"{whole} does not exist: {name} has no fields")
        return replace(node, **{name: _set(value, rest, text, whole)})
    if "parse" in known[name].metadata:
        return replace(node, **{name: known[name].metadata["parse"](text)})
    hint = get_type_hints(type(node))[name]
    if _has_fields(value):
        raise ConfigError(f"{whole} is a group of fields: set one of them, {whole}.FIELD=VALUE")
    return replace(node, **{name: _convert(hint, text, whole)})


def _has_fields(value: Any) -> bool:
    return is_dataclass(value) or isinstance(value, dict)


def _convert(hint: Any, text: str, whole: str) -> Any:
    origin = get_origin(hint)
    if origin is Literal:
        if text not in get_args(hint):
            raise unknown(f"value of {whole}", text, get_args(hint))
        return text
    if origin in (types.UnionType, typing.Union):
        if text.lower() == "none" and type(None) in get_args(hint):
            return None
        return _convert(next(k for k in get_args(hint) if k is not type(None)), text, whole)
    if origin is tuple:
        return _several(get_args(hint), text, whole)
    return _one(hint, text, whole)


def _several(kinds: tuple[Any, ...], text: str, whole: str) -> tuple[Any, ...]:
    parts = [p.strip() for p in text.strip("()").split(",") if p.strip()]
    if kinds[1:] != (Ellipsis,) and len(parts) != len(kinds):
        raise _unfit(whole, text, f"{len(kinds)} values with commas between")
    return tuple(_convert(kinds[0], part, whole) for part in parts)


def _one(kind: Any, text: str, whole: str) -> Any:
    readers: dict[Any, tuple[Any, str]] = {
        bool: ({"true": True, "false": False}.__getitem__, "true or false"),
        int: (int, "a whole number"),
        float: (float, "a number"),
    }
    if kind is str:
        return text
    if kind not in readers:
        raise ConfigError(f"{whole} is a group of fields: set one of them, {whole}.FIELD=VALUE")
    read, accepted = readers[kind]
    try:
        return read(text.lower())
    except (ValueError, KeyError):
        raise _unfit(whole, text, accepted) from None


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _unfit(whole: str, text: str, accepted: str) -> ConfigError:
    return ConfigError(f"{whole} is {text!r}: accepted is {accepted}")
