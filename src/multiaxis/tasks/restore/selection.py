"""Which tasks, and which weights for them: words, checked without torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from multiaxis.errors import ConfigError, counted, unknown
from multiaxis.weights.index import check_task, find_checkpoint, list_checkpoints, list_tasks

MODELS = ("full", "fast", "nano")
"""Kinds of models: the published one of a task, and small ones that come with the package."""

REFINER = "refine-nano"
"""The refiner that comes with the package, for Gaussian noise."""


def split_tasks(task: str) -> list[str]:
    """Split ``"denoise,enhance"`` into its tasks.

    Raises
    ------
    ConfigError
        If one is unknown.
    """
    names = [name.strip() for name in task.split(",")] if isinstance(task, str) else [task]  # pyright: ignore[reportUnnecessaryIsInstance]
    for name in names:
        check_task(name)
    return list(names)


def split_weights(
    weights: str | Path | None, tasks: Sequence[str], *, draws: bool = False
) -> list[str | Path]:
    """Give the weights of each task: those of a single one as they are, of several by their names.

    Parameters
    ----------
    weights : str or Path, optional
        By default the tasks' own.
    tasks : sequence of str
    draws : bool
        Whether answers are asked for. For denoising, the packaged refiner is the default then.

    Raises
    ------
    ConfigError
        If answers are asked for of several tasks, or of one whose refiner has to be named.
        If they are named by nothing, or are not one published checkpoint for each of several tasks.
    """
    if draws and len(tasks) > 1:
        raise ConfigError(f"answers are drawn for one task, and you named {len(tasks)}: name one")
    if weights is None and draws and tasks[0] != "denoise":
        raise ConfigError(
            f"the refiner that comes with multiaxis is for denoise: for {tasks[0]}, name the "
            "weights of one that you trained"
        )
    if weights is None and draws:
        return [REFINER]
    if weights is None:
        return [find_checkpoint(name).name for name in tasks]
    if weights == "":
        raise ConfigError("the weights are empty: name a checkpoint or a file, or leave it out")
    if len(tasks) == 1:
        return [weights]
    names = [name.strip() for name in str(weights).split(",")]
    if len(names) != len(tasks):
        raise ConfigError(
            f"received weights for {counted(len(names), 'task')}, and you named {len(tasks)}: name "
            "one published checkpoint for each, with commas between, or leave the weights out"
        )
    return [find_checkpoint(name).name for name in names]


def check_strength(strength: float) -> None:
    """Refuse a share of the change that is none.

    Raises
    ------
    ConfigError
        If it is not from 0 to 1.
    """
    if not 0 <= strength <= 1:
        raise ConfigError(f"the strength is {strength:g}: accepted is 0 to 1")


def weights_of(task: str, model: str, weights: str | None = None) -> str | None:
    """Name the weights of a kind of model for one task or several; None for the tasks' own.

    Parameters
    ----------
    task : str
        As `split_tasks` takes it.
    model : str
        ``"full"``, ``"fast"`` or ``"nano"``.
    weights : str, optional
        What was named beside it.

    Raises
    ------
    ConfigError
        If a task has no such model, or both a model and weights are asked for.
    """
    if model not in MODELS:
        raise unknown("model", model, MODELS)
    if model == "full":
        return weights
    if weights is not None:
        raise ConfigError(f"received --model {model} and --weights {weights}: give one of them")
    known = {name: models_of(name) for name in list_tasks()}
    names: list[str] = []
    for name in split_tasks(task):
        if model not in known[name]:
            others = ", ".join(name for name, models in known.items() if model in models)
            raise ConfigError(
                f"there is no {model} model for {name!r}, only for {others or 'nothing'}: leave "
                "--model out for the published model"
            )
        names.append(known[name][model])
    return ",".join(names)


def models_of(task: str) -> dict[str, str]:
    """Name the checkpoint of each kind of model that a task has, ``"full"`` first."""
    packaged = {row.name for row in list_checkpoints() if row.packaged}
    small = {model: f"{task}-{model}" for model in MODELS[1:]}
    return {"full": task, **{m: name for m, name in small.items() if name in packaged}}


def identity(weights: str | None) -> str | None:
    """Name weights so that others under the same name differ: packaged ones by their digest."""
    if weights is None:
        return None
    rows = {row.name: row for row in list_checkpoints() if row.packaged}
    names = [name.strip() for name in weights.split(",")]
    return ",".join(rows[name].digest or name if name in rows else name for name in names)
