"""Which tasks, and which weights for them: words, checked without torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from multiaxis.errors import ConfigError
from multiaxis.weights.index import check_task, list_checkpoints


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


def check_weights(weights: str | Path | None, tasks: Sequence[str]) -> None:
    """Refuse weights that are named by nothing, or for more than one task.

    Raises
    ------
    ConfigError
        Says which it is.
    """
    if weights == "":
        raise ConfigError("the weights are empty: name a checkpoint or a file, or leave it out")
    if weights is not None and len(tasks) > 1:
        raise ConfigError(
            f"weights serve one task, and you named {len(tasks)}: restore in {len(tasks)} "
            "steps, or leave the weights out"
        )


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
    """Name the weights of a task's full or nano model; None for the task's own.

    Parameters
    ----------
    task : str
    model : str
        ``"full"`` or ``"nano"``.
    weights : str, optional
        What was named beside it.

    Raises
    ------
    ConfigError
        If there is no small model for the task, or both a model and weights are asked for.
    """
    if model == "full":
        return weights
    if weights is not None:
        raise ConfigError(f"received --model {model} and --weights {weights}: give one of them")
    known = small_models()
    if task not in known:
        raise ConfigError(
            f"there is no nano model for {task!r}, only for {', '.join(known)}: leave --model out "
            "for the published model"
        )
    return f"{task}-nano"


def small_models() -> list[str]:
    """Name the tasks that have a nano model."""
    names = [row.name for row in list_checkpoints() if row.name.endswith("-nano")]
    return [name.removesuffix("-nano") for name in names]
