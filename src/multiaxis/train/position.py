"""How far a training is: plain numbers, a small file for each process."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

_COUNTS = ("step", "skipped", "unreadable")


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
    losses : list of dict of str to Tensor
        Of the steps since the last report, by this process; by name.
    """

    step: int = 0
    skipped: int = 0
    unreadable: int = 0
    losses: list[dict[str, Tensor]] = field(default_factory=list[dict[str, Tensor]])

    def write(self, checkpoint: Path, process: int) -> None:
        """Write the file of a process. JSON holds a float32 without loss."""
        about: dict[str, Any] = {name: getattr(self, name) for name in _COUNTS}
        about["losses"] = [{n: float(loss) for n, loss in each.items()} for each in self.losses]
        _path(checkpoint, process).write_text(json.dumps(about), "utf-8")

    def read(self, checkpoint: Path, process: int, *, steps: int) -> None:
        """Take over what the file of a process says.

        A process that was not there before takes over the counts of the first.

        Parameters
        ----------
        checkpoint : Path
        process : int
        steps : int
            The most that can have been done.

        Raises
        ------
        OSError
            If there is no file.
        ValueError
            If it says something else than a position.
        """
        own = _path(checkpoint, process)
        path = own if own.exists() else _path(checkpoint, 0)
        found = json.loads(path.read_bytes())
        if not isinstance(found, dict) or sorted(found) != sorted((*_COUNTS, "losses")):
            raise ValueError(f"{path.name} is not a position")
        about: dict[str, Any] = found
        if any(type(about[name]) is not int or about[name] < 0 for name in _COUNTS):
            raise ValueError(f"{path.name} has counts that are none")
        if about["step"] > steps:
            raise ValueError(f"{path.name} is at a step beyond the {steps} of the recipe")
        losses = [_losses(each, path) for each in about["losses"]]
        for name in _COUNTS:
            setattr(self, name, about[name])
        self.losses = losses if path is own else []


def _losses(found: Any, path: Path) -> dict[str, Tensor]:
    if not isinstance(found, dict) or not found:
        raise ValueError(f"{path.name} has losses without names")
    named: dict[str, Any] = found
    return {name: torch.tensor(float(value), dtype=torch.float32) for name, value in named.items()}


def _path(checkpoint: Path, process: int) -> Path:
    return checkpoint / f"position_{process}.json"
