"""A rehearsal: everything is built, two steps are done on made-up data, and the rest is told."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.flop_counter import FlopCounterMode

from multiaxis.data.classes import ClassFolders, ClassSource
from multiaxis.data.restoration import CleanPhotographs, PairedFolders
from multiaxis.data.shards import ClassShards, PairShards
from multiaxis.data.source import Sample
from multiaxis.memory import peak_memory_of_process
from multiaxis.recipes.recipe import Data, Recipe
from multiaxis.train.loop import step
from multiaxis.train.session import batches, open_session

STEPS = 2


@dataclass(frozen=True)
class Rehearsal:
    """What two steps showed.

    Attributes
    ----------
    recipe : Recipe
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
    parameters: int
    forward_macs: float
    memory: float
    seconds: float
    losses: tuple[float, ...]
    device: str

    def __str__(self) -> str:
        run = self.recipe.run
        hours = self.seconds * run.steps / 3600
        samples = run.batch * run.accumulate
        return "\n".join(
            [
                f"{self.recipe.name} on {self.device}, made-up data",
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
        data=_MadeUp(recipe.data, recipe.model.config.get("num_classes", 1000)),
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
        passes: list[Sample] = []
        for passes in islice(steps, STEPS):
            start = time.monotonic()
            losses.append(float(step(session, passes)[0]))
            session.position.step += 1
            seconds = time.monotonic() - start
        memory = (
            torch.cuda.max_memory_allocated(device)
            if device.type == "cuda"
            else peak_memory_of_process()
        )
        session.model.eval()
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            session.trained(passes[0].input[:1])
    return Rehearsal(
        recipe=recipe,
        parameters=sum(p.numel() for p in session.model.parameters()),
        forward_macs=counter.get_total_flops() / 2,
        memory=memory,
        seconds=seconds,
        losses=tuple(losses),
        device=str(device),
    )


@dataclass(frozen=True)
class _MadeUp:
    """Data of the shape of another's, out of random numbers."""

    like: Data
    classes: int

    def open(self) -> _Noise | _LabelledNoise:
        if isinstance(self.like, ClassShards):
            return _LabelledNoise(self.like.look, self.like.classes)
        if isinstance(self.like, ClassFolders):
            return _LabelledNoise(self.like, self.classes)
        return _Noise(self.like)


class _Noise:
    left_out = ()

    def __init__(self, like: CleanPhotographs | PairedFolders | PairShards) -> None:
        self.side = like.crop

    def __len__(self) -> int:
        return 1000

    def name(self, index: int) -> str:
        return f"made-up sample {index}"

    def sample(self, index: int, rng: np.random.Generator) -> tuple[NDArray[Any], NDArray[Any]]:  # noqa: ARG002 (as every source)
        clean = rng.random((self.side, self.side, 3), np.float32)
        return np.clip(clean + 0.1 * rng.standard_normal(clean.shape, np.float32), 0, 1), clean


class _LabelledNoise(ClassSource):
    def __init__(self, like: ClassFolders, classes: int) -> None:
        super().__init__(like, [str(k) for k in range(classes)], [])

    def __len__(self) -> int:
        return 1000

    def name(self, index: int) -> str:
        return f"made-up sample {index}"

    def sample(
        self, index: int, rng: np.random.Generator
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        side = self.about.size
        label = np.asarray(index % len(self.classes), np.int64)
        return rng.random((side, side, 3), np.float32), label
