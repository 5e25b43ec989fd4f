"""Checkpoints of a training: whole or not there, and only for the recipe that made them."""

# pyright: reportMissingTypeStubs=false

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from safetensors import SafetensorError
from torch import Tensor

from multiaxis.degrade import spell
from multiaxis.errors import TrainingError
from multiaxis.recipes.recipe import Recipe

_PREFIX, _PART = "step_", ".part"
_RECIPE, _PROCESSES = "recipe.json", "processes"
_FULL = 1 << 20  # bytes left of a disk that has no room for a checkpoint
# What may change between a stop and going on, without changing what is computed.
_FREE = ("log_every", "validate_every", "save_every", "keep", "tracker", "patience")


@dataclass
class Position:
    """How far a training is.

    Attributes
    ----------
    step : int
        Steps done; the samples of the next one follow from it.
    skipped : int
        Steps whose gradients were infinite or undefined, and which moved nothing.
    unreadable : int
        Items that could not be read, by all processes.
    losses : list of Tensor
        Of the steps since the last report, by this process.
    """

    step: int = 0
    skipped: int = 0
    unreadable: int = 0
    losses: list[Tensor] = field(default_factory=list[Tensor])

    def state_dict(self) -> dict[str, Any]:
        """For Accelerate."""
        return {**self.__dict__, "losses": [loss.cpu() for loss in self.losses]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """For Accelerate."""
        self.__dict__.update(state)


def describe(recipe: Recipe) -> dict[str, Any]:
    """Write a recipe as plain JSON values."""

    def plain(value: Any) -> Any:
        if hasattr(value, "__dataclass_fields__"):
            return {k: plain(getattr(value, k)) for k in value.__dataclass_fields__}
        if isinstance(value, dict):
            return {k: plain(v) for k, v in value.items()}
        return value

    result = plain(recipe)
    for part in ("data", "valid"):
        chain = getattr(getattr(recipe, part), "degrade", None)
        if chain is not None:
            result[part]["degrade"] = spell(chain)
    return json.loads(json.dumps(result))


def newest(folder: Path) -> Path | None:
    """Find the newest whole checkpoint of a training's folder."""
    found = sorted(p for p in folder.glob(f"{_PREFIX}*") if not p.name.endswith(_PART))
    return found[-1] if found else None


def check_recipe(checkpoint: Path, recipe: Recipe, processes: int) -> None:
    """Refuse to go on with another recipe.

    Another number of processes is accepted where a step sees the same samples: with the same
    batch * accumulate * processes, unless they come from shards, which processes share out.

    Raises
    ------
    TrainingError
        If anything differs that changes what is computed.
    """
    before = _read(checkpoint)
    at_work = before.pop(_PROCESSES, processes)
    now = _comparable(describe(recipe), processes)
    changed = sorted(_differences(_comparable(before, at_work), now, ""))
    if changed:
        raise TrainingError(
            f"{checkpoint} is of another recipe, which differs in {'; '.join(changed[:4])}: train "
            "into another folder with --output, or ask for the same recipe"
        )


def processes_of(checkpoint: Path) -> int:
    """Tell how many processes made a checkpoint.

    Raises
    ------
    TrainingError
        If that cannot be read.
    """
    return int(_read(checkpoint).get(_PROCESSES, 1))


def _read(checkpoint: Path) -> dict[str, Any]:
    try:
        return json.loads((checkpoint / _RECIPE).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise TrainingError(
            f"{checkpoint} states no recipe ({error}): remove it, or train into another folder"
        ) from error


def _comparable(recipe: dict[str, Any], processes: int) -> dict[str, Any]:
    run = {name: value for name, value in recipe["run"].items() if name not in _FREE}
    if "urls" in recipe["data"]:
        run[_PROCESSES] = processes
    else:
        run["batch * accumulate * processes"] = run.pop("batch") * run.pop("accumulate") * processes
        del run["workers"]
    return {**recipe, "run": run, "about": ""}


def _differences(before: Any, now: Any, path: str) -> list[str]:
    if isinstance(before, dict) and isinstance(now, dict):
        keys = {**before, **now}
        return [d for k in keys for d in _differences(before.get(k), now.get(k), f"{path}{k}.")]
    return [] if before == now else [f"{path.rstrip('.')} ({before} then, {now} now)"]


def save(accelerator: Accelerator, recipe: Recipe, folder: Path, step: int) -> None:
    """Write a checkpoint under a temporary name, rename it, and remove those that are too old.

    Raises
    ------
    TrainingError
        If the disk does not take it. The older checkpoints stay.
    """
    whole = folder / f"{_PREFIX}{step:09d}"
    part = whole.with_name(whole.name + _PART)
    try:
        accelerator.save_state(str(part))
        accelerator.wait_for_everyone()
        if accelerator.is_main_process:
            about = {**describe(recipe), _PROCESSES: accelerator.num_processes}
            (part / _RECIPE).write_text(json.dumps(about, indent=1), "utf-8")
            if whole.exists():  # the same step once more: a stop right after a save
                shutil.rmtree(whole)
            part.rename(whole)
            _rotate(folder, recipe.run.keep)
    except (OSError, RuntimeError, SafetensorError) as error:
        reason = _reason(error, folder)
        shutil.rmtree(part, ignore_errors=True)
        last = newest(folder)
        rest = f"the last whole one is {last}" if last else "there is none yet"
        raise TrainingError(
            f"cannot save the checkpoint of step {step} in {folder} ({reason}); {rest}. Make room, "
            "and run the same command again to go on from it"
        ) from error
    accelerator.wait_for_everyone()


def _reason(error: Exception, folder: Path) -> str:
    # torch's own writer reports a full disk as an unexpected position in a file.
    try:
        full = shutil.disk_usage(folder).free < _FULL
    except OSError:  # the folder is gone
        full = False
    return "the disk is full" if full else str(error)


def clear_parts(folder: Path) -> None:
    """Remove what a killed training left half-written."""
    for part in folder.glob(f"{_PREFIX}*{_PART}"):
        shutil.rmtree(part, ignore_errors=True)


def _rotate(folder: Path, keep: int) -> None:
    found = sorted(p for p in folder.glob(f"{_PREFIX}*") if not p.name.endswith(_PART))
    for old in found[: -max(keep, 1)]:
        shutil.rmtree(old, ignore_errors=True)
