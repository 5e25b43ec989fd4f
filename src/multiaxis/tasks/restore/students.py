"""Trainings of the small models that come with the package, by the published ones."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

from multiaxis.degrade.blur import MotionBlur
from multiaxis.degrade.noise import CameraNoise
from multiaxis.degrade.tone import Jpeg, LowLight
from multiaxis.degrade.weather import Haze, Rain
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
DARK = LowLight(gamma=(1.2, 2.2), scale=(0.08, 0.45), log_shot=(-10.5, -8.5))
"""As dark as LOL's pictures, with as little noise."""
SHAKEN = MotionBlur(length=(3.0, 35.0))
"""As long as the blur of GoPro's pairs, and the same everywhere, which theirs is not."""
FLAT = LowLight(gain=(0.95, 1.0), scale=(0.85, 1.0), gamma=(1.0, 1.25), log_shot=(-14.0, -12.0))
"""As photographs are, or a little darker: with dark ones alone, it fails where there is white."""
COLOURS: dict[str, object] = {**NANO, "shuffle": 4, "affine": True}
"""Gives coefficients for colours on a quarter of the resolution."""
ABOUT = """{what}

multiaxis weights pull {teacher}
multiaxis train {name} --set data.folder=PHOTOGRAPHS --set valid.folder=OTHERS

Data: clean photographs of 1000 pixels or more (tools/prepare_photographs.py shrinks larger ones).
The teacher, {teacher}, restores {crops} degraded crops of {whole}, each once; the cache keeps them.
Cost: {cost} Expect: {expect} (docs/results/students.md)."""


@dataclass(frozen=True)
class About:
    """What a recipe says of itself beside its fields.

    Attributes
    ----------
    what, cost, expect : str
    """

    what: str
    cost: str
    expect: str


def _distil(
    task: str, model: ModelChoice, data: TaughtPhotographs, run: Run, about: About
) -> Recipe:
    name = f"distill-{task}"
    numbers = {"crops": data.crops, "whole": data.whole, "teacher": data.teacher}
    valid = replace(data.held_out(), folder=f"data/{name}/valid", shrink=(2,))
    return Recipe(
        name=name,
        about=ABOUT.format(name=name, **numbers, **asdict(about)),
        model=model,
        data=data,
        valid=valid,
        valid_samples=16,
        objective=Restoration(frequency=0.0),
        optim=Optim(lr=1e-3, final_lr=1e-6, warmup=100, clip=0.2),
        run=run,
    )


def _run(steps: int, batch: int) -> Run:
    return Run(
        steps=steps, batch=batch, ema=0.999, workers=0, save_every=500, validate_every=steps // 4
    )


def derain() -> Recipe:
    """Remove rain streaks."""
    return _distil(
        "derain",
        ModelChoice(name="maxim", config={**HALVED, "num_groups": 2}, from_input=True),
        TaughtPhotographs(
            folder="data/distill-derain/train",
            degrade=(RAIN_OF_RAIN100H,),
            teacher="derain",
            crops=120,
            truth=0.7,
            fresh=0.35,
            shrink=(1, 2, 3),
        ),
        _run(6000, 4),
        About(
            "A small model that removes rain streaks",
            "20 minutes of a core with units for bfloat16 (run.precision=bf16).",
            "23.4 dB on Rain100H's luma; 26.2 after two more on GPUs, see derain-fast's card",
        ),
    )


def denoise() -> Recipe:
    """Remove a camera's noise."""
    return _distil(
        "denoise",
        ModelChoice(name="maxim", config=NANO, weights="denoise-nano"),
        TaughtPhotographs(
            folder="data/distill-denoise/train",
            degrade=CAMERA,
            teacher="denoise",
            crops=24,
            truth=0.7,
            fresh=0.5,
            shrink=(1, 2),
        ),
        _run(800, 2),
        About(
            "A small model that removes a camera's noise",
            "five minutes of a core with units for bfloat16 (run.precision=bf16).",
            "37.36 dB on PolyU",
        ),
    )


def enhance() -> Recipe:
    """Brighten dark pictures."""
    return _distil(
        "enhance",
        ModelChoice(name="maxim", config=COLOURS, from_input=True),
        TaughtPhotographs(
            folder="data/distill-enhance/train",
            degrade=(DARK,),
            teacher="enhance",
            crops=80,
            crop=256,
            truth=0.0,
            shrink=(2, 3),
        ),
        _run(1000, 2),
        About(
            "A small model that brightens dark pictures",
            "six minutes of a core with units for bfloat16 (run.precision=bf16).",
            "18.7 dB on LOL eval15; 19.4 after a second one of 2,000 steps from there",
        ),
    )


def retouch() -> Recipe:
    """Retouch light and colours."""
    return _distil(
        "retouch",
        ModelChoice(name="maxim", config=COLOURS, from_input=True),
        TaughtPhotographs(
            folder="data/distill-retouch/train",
            degrade=(FLAT,),
            teacher="retouch",
            crops=160,
            crop=256,
            truth=0.0,
            shrink=(2, 3),
        ),
        _run(1500, 8),
        About(
            "A small model that retouches light and colours",
            "a quarter of an hour of a busy core with units for bfloat16 (run.precision=bf16).",
            "28.7 dB to what the published model makes, if a first one on darker pictures precedes",
        ),
    )


def dehaze(place: str) -> Recipe:
    """Remove haze indoors or outdoors."""
    return _distil(
        f"dehaze-{place}",
        ModelChoice(name="maxim", config=COLOURS, from_input=True),
        TaughtPhotographs(
            folder=f"data/distill-dehaze-{place}/train",
            degrade=(Haze(airlight=(0.7, 1.0), beta=(0.6, 2.2)),),
            teacher=f"dehaze-{place}",
            crops=80,
            crop=256,
            truth=0.5,
            fresh=0.5,
            shrink=(2, 3),
        ),
        _run(2000, 2),
        About(
            f"A small model that removes haze {place}s",
            "minutes of a GPU, or of a core (13 for 1,500 steps of 8 crops on the truth alone).",
            "too little to ship: a quarter of the teacher's gain",
        ),
    )


def deblur() -> Recipe:
    """Sharpen what a moving camera blurred."""
    return _distil(
        "deblur",
        ModelChoice(name="maxim", config={**HALVED, "num_groups": 2}, from_input=True),
        TaughtPhotographs(
            folder="data/distill-deblur/train",
            degrade=(SHAKEN,),
            teacher="deblur",
            crops=60,
            crop=192,
            truth=0.8,
            fresh=0.8,
            shrink=(2, 3),
        ),
        _run(6000, 4),
        About(
            "A small model that sharpens blurred pictures",
            "minutes of a GPU.",
            "too little to ship: 0.04 dB on five pairs after 1,000 steps",
        ),
    )


STUDENTS: list[Recipe] = [
    derain(),
    deblur(),
    denoise(),
    enhance(),
    retouch(),
    dehaze("indoor"),
    dehaze("outdoor"),
]
