"""Trainings of the small models that come with the package, by the published ones."""

from __future__ import annotations

from dataclasses import replace

from multiaxis.degrade import Degradation
from multiaxis.degrade.noise import CameraNoise
from multiaxis.degrade.tone import Jpeg
from multiaxis.degrade.weather import Rain
from multiaxis.tasks.restore.objective import Restoration
from multiaxis.tasks.restore.taught import TaughtPhotographs
from multiaxis.train.recipe import ModelChoice, Optim, Recipe, Run

NANO: dict[str, object] = {
    "features": 32,
    "depth": 2,
    "num_stages": 1,
    "num_groups": 1,
    "num_bottleneck_blocks": 1,
    "block_size_hr": (8, 8),
    "grid_size_hr": (8, 8),
    "use_cross_gating": False,
    "use_global_mlp": False,  # the bottleneck keeps its own; see docs/results/denoiser.md
}
HALVED: dict[str, object] = {**NANO, "shuffle": 2}
"""Works at half the resolution: a quarter of the time, and streaks are half as long."""
RAIN_OF_RAIN100H = Rain(
    layers=(2.0, 5.0),
    density=(0.003, 0.01),
    length=(20.0, 60.0),
    angle=(-20.0, 20.0),
    brightness=(0.22, 0.45),
)
"""Adds as much light as Rain100H rain does, and as unevenly; see docs/results/rain.md."""
CAMERA = (CameraNoise(), Jpeg(quality=(80.0, 99.0)))
"""As strong and as blotchy as the noise of PolyU's cameras; see docs/results/students.md."""
ABOUT = """{what}

multiaxis weights pull {teacher}
multiaxis train {name} --set data.folder=PHOTOGRAPHS --set valid.folder=OTHERS

Data: clean photographs of 1000 pixels or more (tools/prepare_photographs.py shrinks larger ones).
The teacher, {teacher}, restores {crops} degraded crops of {whole}, each once; the cache keeps them.
Cost: {cost} Expect: {expect} (docs/results/students.md)."""


def _distil(
    task: str,
    degrade: tuple[Degradation, ...],
    model: ModelChoice,
    taught: TaughtPhotographs,
    run: Run,
    **about: str,
) -> Recipe:
    name = f"distill-{task}"
    data = replace(taught, degrade=degrade, folder=f"data/{name}/train")
    valid = replace(data.held_out(), folder=f"data/{name}/valid", shrink=(2,), repeat=8)
    numbers = {"crops": data.crops, "whole": data.whole, "teacher": data.teacher}
    return Recipe(
        name=name,
        about=ABOUT.format(name=name, **numbers, **about),
        model=model,
        data=data,
        valid=valid,
        valid_samples=16,
        objective=Restoration(frequency=0.0),
        optim=Optim(lr=1e-3, final_lr=1e-6, warmup=100, clip=0.2),
        run=run,
    )


def derain() -> Recipe:
    """Remove rain streaks."""
    return _distil(
        "derain",
        (RAIN_OF_RAIN100H,),
        ModelChoice(name="maxim", config={**HALVED, "num_groups": 2}, from_input=True),
        TaughtPhotographs(
            folder="",
            degrade=(RAIN_OF_RAIN100H,),
            teacher="derain",
            crops=120,
            truth=0.7,
            fresh=0.35,
            shrink=(1, 2, 3),
        ),
        Run(steps=8000, batch=4, ema=0.999, workers=0, save_every=500, validate_every=1500),
        what="A small model that removes rain streaks",
        cost="",
        expect="",
    )


STUDENTS: list[Recipe] = [derain()]
