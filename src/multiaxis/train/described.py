"""The recipe that a checkpoint states, compared with the one that is asked for."""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from multiaxis.errors import TrainingError
from multiaxis.train.recipe import Recipe

RECIPE = "recipe.json"
_PROCESSES = "processes"
_SHOWN = 60  # characters of a value in a message
# What may change between a stop and going on, without changing what is computed.
_FREE = ("log_every", "validate_every", "save_every", "keep", "tracker", "patience")


def describe(recipe: Recipe) -> dict[str, Any]:
    """Write a recipe as plain JSON values.

    Data and objective are values of any class: their ``kind`` is its name.
    """
    result = _plain(recipe)
    for part in ("data", "valid", "objective"):
        if result[part] is not None:
            result[part]["kind"] = type(getattr(recipe, part)).__name__
    return json.loads(json.dumps(result, default=str))


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return {
            field.name: field.metadata.get("format", _plain)(getattr(value, field.name))
            for field in fields(value)
        }
    if isinstance(value, dict):
        return {name: _plain(entry) for name, entry in value.items()}
    return value


def state_recipe(checkpoint: Path, recipe: Recipe, processes: int) -> None:
    """Write beside a checkpoint what made it."""
    about = {**describe(recipe), _PROCESSES: processes}
    (checkpoint / RECIPE).write_text(json.dumps(about, indent=1), "utf-8")


def check_recipe(checkpoint: Path, recipe: Recipe, processes: int) -> None:
    """Refuse to go on with another recipe.

    Another number of processes is accepted where a step sees the same samples: with the same
    batch * accumulate * processes, unless they come from a stream, which processes share out.

    Raises
    ------
    TrainingError
        If anything differs that changes what is computed, or the checkpoint states no recipe.
    """
    before = _read(checkpoint)
    at_work = before.pop(_PROCESSES, 1)
    is_stream = recipe.data.is_stream  # of other data, the data differ
    now = _comparable(describe(recipe), processes, is_stream=is_stream)
    then = _comparable(before, at_work, is_stream=is_stream)
    changed = sorted(_differences(then, now, ""))
    if changed:
        raise TrainingError(
            f"{checkpoint} belongs to another recipe, which differs in {'; '.join(changed[:4])}: "
            "train into another folder with --output, or use the same recipe"
        )


def processes_of(checkpoint: Path) -> int:
    """Tell how many processes made a checkpoint.

    Raises
    ------
    TrainingError
        If it does not say so.
    """
    return _read(checkpoint).get(_PROCESSES, 1)


def _read(checkpoint: Path) -> dict[str, Any]:
    try:
        found = json.loads((checkpoint / RECIPE).read_bytes())
        _check_shape(found)
    except (OSError, ValueError, RecursionError) as error:
        raise TrainingError(
            f"{checkpoint} does not state a recipe ({error}): remove it, or train into "
            "another folder"
        ) from error
    return found


def _check_shape(found: Any) -> None:
    """Raise ValueError unless there is what `_comparable` works with."""
    if not isinstance(found, dict):
        raise ValueError(f"{RECIPE} holds a {type(found).__name__}")
    stated: dict[str, Any] = found
    for part in ("data", "run"):
        if not isinstance(stated.get(part), dict):
            raise ValueError(f"{RECIPE} lacks {part}")
    counts = {name: stated["run"].get(name) for name in ("batch", "accumulate", "workers")}
    counts[_PROCESSES] = stated.get(_PROCESSES, 1)
    for name, count in counts.items():
        if type(count) is not int or count < 0:
            raise ValueError(f"{RECIPE} has {_short(count)} for {name}")


def _comparable(recipe: dict[str, Any], processes: int, *, is_stream: bool) -> dict[str, Any]:
    run = {name: value for name, value in recipe["run"].items() if name not in _FREE}
    if is_stream:
        run[_PROCESSES] = processes
    else:
        run["batch * accumulate * processes"] = run.pop("batch") * run.pop("accumulate") * processes
        del run["workers"]
    return {**recipe, "run": run, "about": ""}


def _differences(before: Any, now: Any, path: str) -> list[str]:
    if isinstance(before, dict) and isinstance(now, dict):
        keys = {**before, **now}
        return [d for k in keys for d in _differences(before.get(k), now.get(k), f"{path}{k}.")]
    if before == now:
        return []
    return [f"{path.rstrip('.')} ({_short(before)} then, {_short(now)} now)"]


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
