"""A rehearsal: everything is built, two steps are done on made-up data, and the rest is told."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from multiaxis.data.batch import Batch
from multiaxis.memory import peak_memory_of_process
from multiaxis.train.loop import step
from multiaxis.train.recipe import Recipe
from multiaxis.train.session import Session, batches, open_session

STEPS = 2


@dataclass(frozen=True)
class Rehearsal:
    """What two steps showed.

    Attributes
    ----------
    recipe : Recipe
    made_up : bool
        Whether the data were made up: not every kind of data can be.
    parameters : int
    forward_macs : float
        Multiply-adds of a forward pass of one sample.
    memory : float
        Peak of the device, or of the process where that is the CPU; bytes.
    seconds : float
        Of the second step.
    losses : tuple of float
    device : str
    """

    recipe: Recipe
    made_up: bool
    parameters: int
    forward_macs: float
    memory: float
    seconds: float
    losses: tuple[float, ...]
    device: str

    def __str__(self) -> str:
        run, origin = self.recipe.run, "made-up" if self.made_up else "its own"
        hours = self.seconds * run.steps / 3600
        samples = run.batch * run.accumulate
        return "\n".join(
            [
                f"{self.recipe.name} on {self.device}, {origin} data",
                f"  parameters       {self.parameters:,}",
                (
                    f"  forward          {self.forward_macs / 1e9:.3f} GMAC a sample; a step about "
                    f"{3 * samples * self.forward_macs / 1e9:.1f}"
                ),
                (
                    f"  samples a step   {samples} of this process (batch {run.batch} x "
                    f"{run.accumulate} passes)"
                ),
                f"  memory           {self.memory / 1e9:.2f} GB",
                f"  a step           {self.seconds:.2f} s, {samples / self.seconds:.1f} samples/s",
                f"  steps            {run.steps:,}: about {hours:.1f} h here, in one process",
                f"  loss             {', '.join(f'{loss:.4f}' for loss in self.losses)}",
            ]
        )


def dry_run(recipe: Recipe) -> Rehearsal:
    """Do two steps of a recipe on made-up data of the real shape.

    Published weights are not fetched: random ones cost the same.

    Raises
    ------
    ConfigError
        If the recipe cannot work.
    """
    made_up = replace(
        recipe,
        model=replace(recipe.model, weights=None),
        data=recipe.data.made_up(recipe.model.config),
        valid=None,
        run=replace(recipe.run, workers=0, tracker="none"),
    )
    losses: list[float] = []
    seconds = 0.0
    with tempfile.TemporaryDirectory() as folder:
        session = open_session(made_up, Path(folder))
        device = session.accelerator.device
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        steps = batches(session)
        passes: list[Batch] = []
        for passes in islice(steps, STEPS):
            start = time.monotonic()
            losses.append(float(sum(step(session, passes)[0].values())))
            session.position.step += 1
            seconds = time.monotonic() - start
        memory = (
            torch.cuda.max_memory_allocated(device)
            if device.type == "cuda"
            else peak_memory_of_process()
        )
        operations = _count_operations(session, passes[0])
    return Rehearsal(
        recipe=recipe,
        made_up=made_up.data is not recipe.data,
        parameters=sum(p.numel() for m in session.models.values() for p in m.parameters()),
        forward_macs=operations / 2,
        memory=memory,
        seconds=seconds,
        losses=tuple(losses),
        device=str(device),
    )


@torch.no_grad()
def _count_operations(session: Session, batch: Batch) -> float:
    """Count those of a sample in the forward passes of all turns."""
    for model in session.models.values():
        model.eval()
    with FlopCounterMode(display=False) as counter:
        for turn in session.objective.turns:
            session.objective.losses(session.trained, batch, turn)
    return counter.get_total_flops() / len(batch)
