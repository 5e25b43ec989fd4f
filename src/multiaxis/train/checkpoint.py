"""Checkpoints of a training: whole or not there, and not loaded where they were damaged since.

Accelerate writes and reads the models, their optimisers, random states and the scaler, and
unpickles nothing but tensors and plain values for it. What it would unpickle without that limit,
objects of its caller, are files of our own here: position and average. It numbers models and
optimisers; the files of a checkpoint have their names instead, so that no order matters.
"""

# pyright: reportMissingTypeStubs=false

from __future__ import annotations

import re
import shutil
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import safetensors.torch
import torch
from accelerate import Accelerator
from accelerate.checkpointing import load_accelerator_state
from accelerate.utils import load
from safetensors import SafetensorError
from torch import nn
from torch.optim.swa_utils import AveragedModel

from multiaxis.errors import TrainingError
from multiaxis.train.described import processes_of, state_recipe
from multiaxis.train.digests import damage, seal
from multiaxis.train.position import Position
from multiaxis.train.recipe import Recipe

_PREFIX, _PART = "step_", ".part"
_NAME = re.compile(r"step_(\d+)")
_AVERAGE = "average.safetensors"
_MODEL, _OPTIMISER = "model{}.safetensors", "optimizer{}.bin"
_FULL = 1 << 20  # bytes left of a disk that has no room for a checkpoint


@dataclass(frozen=True)
class Parts:
    """What a checkpoint holds beside its recipe, random states and scaler.

    Attributes
    ----------
    models : mapping of str to Module
        As they were prepared, in the order in which Accelerate knows them.
    optimisers : mapping of str to torch.optim.Optimizer
        By the model that they move, in that order, too.
    average : AveragedModel or None
    position : Position
    """

    models: Mapping[str, nn.Module]
    optimisers: Mapping[str, torch.optim.Optimizer]
    average: AveragedModel | None
    position: Position

    def file_names(self) -> dict[str, str]:
        """Map the names that Accelerate gives files to ours: ``model`` has none in its own."""
        return {
            pattern.format(f"_{k}" if k else ""): _file_name(pattern, name)
            for pattern, known in ((_MODEL, self.models), (_OPTIMISER, self.optimisers))
            for k, name in enumerate(known)
        }


def checkpoints(folder: Path) -> list[Path]:
    """List the checkpoints of a training's folder, the newest last."""
    found: list[tuple[int, Path]] = []
    for path in folder.glob(f"{_PREFIX}*"):
        name = _NAME.fullmatch(path.name)
        if name and path.is_dir():
            found.append((int(name[1]), path))
    return [path for _, path in sorted(found)]


def newest(folder: Path) -> Path | None:
    """Find the newest checkpoint of a training's folder."""
    return next(reversed(checkpoints(folder)), None)


def check_whole(checkpoint: Path) -> None:
    """Compare the files of a checkpoint with their digests.

    Raises
    ------
    TrainingError
        If one is not what was written.
    """
    wrong = damage(checkpoint)
    if wrong:
        raise _cannot_go_on(checkpoint, wrong)


def _cannot_go_on(checkpoint: Path, reason: object) -> TrainingError:
    found = checkpoints(checkpoint.parent)
    older = found[: found.index(checkpoint)] if checkpoint in found else []
    damaged: list[str] = []
    then = "the training starts again"
    for path in reversed(older):
        if not damage(path):
            then = f"the training resumes from {path.name}, which is whole"
            break
        damaged.append(path.name)
    also = f" and {', '.join(damaged)}, damaged as well" if damaged else ""
    return TrainingError(
        f"cannot resume from {checkpoint} ({reason}): remove that folder{also}, and {then}"
    )


def save(
    accelerator: Accelerator,
    recipe: Recipe,
    folder: Path,
    parts: Parts,
) -> None:
    """Write a checkpoint under a temporary name, rename it, and remove those that are too old.

    Raises
    ------
    TrainingError
        If the disk does not take it. The older checkpoints stay.
    """
    position, average = parts.position, parts.average
    whole = folder / f"{_PREFIX}{position.step:09d}"
    part = whole.with_name(whole.name + _PART)
    try:
        accelerator.save_state(str(part))
        position.write(part, accelerator.process_index)
        accelerator.wait_for_everyone()
        if accelerator.is_main_process:
            for accelerates, ours in parts.file_names().items():
                if accelerates != ours:
                    (part / accelerates).rename(part / ours)
            if average is not None:
                state = {n: v.detach().cpu().contiguous() for n, v in average.state_dict().items()}
                safetensors.torch.save_file(state, part / _AVERAGE)
            state_recipe(part, recipe, accelerator.num_processes)
            seal(part)
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
            f"cannot save the checkpoint of step {position.step} in {folder} ({reason}); {rest}. "
            "Free space, and run the same command to resume from it"
        ) from error
    accelerator.wait_for_everyone()


def go_on(accelerator: Accelerator, recipe: Recipe, checkpoint: Path, parts: Parts) -> None:
    """Load a checkpoint into what was prepared.

    Raises
    ------
    TrainingError
        If it cannot be read.
    """
    process = accelerator.process_index
    try:
        parts.position.read(checkpoint, process, steps=recipe.run.steps)
        if parts.average is not None:
            state = safetensors.torch.load_file(checkpoint / _AVERAGE)
            parts.average.load_state_dict(state)
        with warnings.catch_warnings():  # torch remarks on a protocol that nobody chose
            warnings.filterwarnings("ignore", "Detected pickle protocol")
            _load(accelerator, checkpoint, parts)
            if process < processes_of(checkpoint):
                _check_random(checkpoint, process)
        for optimiser in parts.optimisers.values():
            _check_moments(optimiser)
    except TrainingError:
        raise
    except UnpicklingError as error:  # torch's own message tells how to run what was planted
        reason = "a file of it holds something else than tensors and plain values"
        raise _cannot_go_on(checkpoint, reason) from error
    except Exception as error:  # whatever torch and Accelerate raise on files that they do not know
        first_line = str(error).strip().partition("\n")[0]
        raise _cannot_go_on(checkpoint, f"{type(error).__name__}: {first_line}") from error


def _load(accelerator: Accelerator, checkpoint: Path, parts: Parts) -> None:
    """Load models, optimisers, random states and the scaler."""
    if all(accelerates == ours for accelerates, ours in parts.file_names().items()):
        accelerator.load_state(str(checkpoint))
        return
    for name, model in parts.models.items():
        path = checkpoint / _file_name(_MODEL, name)
        safetensors.torch.load_model(accelerator.unwrap_model(model), path)
    for name, optimiser in parts.optimisers.items():
        optimiser.load_state_dict(load(checkpoint / _file_name(_OPTIMISER, name)))
    nothing: tuple[list[Any], ...] = ([], [], [], [])  # left of what it would load by numbers
    load_accelerator_state(str(checkpoint), *nothing, accelerator.process_index, accelerator.scaler)


def _file_name(pattern: str, model: str) -> str:
    return pattern.format("" if model == "model" else f"_{model}")


def _check_moments(optimiser: torch.optim.Optimizer) -> None:
    """Moments of another shape would be accepted, and end the first step."""
    for parameter, state in optimiser.state.items():
        for name, value in state.items():
            if isinstance(value, torch.Tensor) and value.ndim and value.shape != parameter.shape:
                raise ValueError(f"{name} of the optimiser has the shape {tuple(value.shape)}")


def _check_random(checkpoint: Path, process: int) -> None:
    """Accelerate goes on in silence, and not to the bit, where it cannot set random states."""
    states: dict[str, Any] = load(checkpoint / f"random_states_{process}.pkl")
    if not torch.equal(torch.get_rng_state(), states["torch_manual_seed"]):
        raise ValueError("its random states cannot be set")


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
    for old in checkpoints(folder)[: -max(keep, 1)]:
        shutil.rmtree(old, ignore_errors=True)
