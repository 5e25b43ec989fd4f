"""Which tasks, and which weights for them: words, checked without torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from multiaxis.errors import ConfigError
from multiaxis.weights.index import check_task


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
