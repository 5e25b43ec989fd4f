"""Trainings of refiners: a small one for noise, and the paper's for blur."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from multiaxis.degrade.noise import GaussianNoise
from multiaxis.degrade.tone import Levels
from multiaxis.tasks.restore.refine.config import DenoiserConfig
from multiaxis.tasks.restore.refine.objective import Refinement
from multiaxis.tasks.restore.samples import CleanPhotographs, PairedFolders
from multiaxis.train.recipe import ModelChoice, Optim, Recipe, Run

NOISE = (GaussianNoise(sigma=(5.0, 55.0)), Levels())
"""As a file has it: cut off at black and white."""
STRONG = (GaussianNoise(sigma=50.0), Levels())


def denoise(nano: Mapping[str, Any]) -> Recipe:
    """Details for what the packaged denoiser makes of noise."""
    return Recipe(
        name="refine-denoise",
        about="""Draws fine detail for pictures with Gaussian noise, on top of denoise-nano

multiaxis train refine-denoise --set data.folder=PHOTOGRAPHS --set valid.folder=OTHERS
multiaxis restore noisy.png --task denoise -w runs/refine-denoise/weights.safetensors --samples 4

Data: clean photographs, as for nano-denoise. The predictor stays as it is.
Cost: 8 minutes of an H100 beside three other trainings, with run.precision=bf16 and run.workers=2.
On a processor, --set data.crop=64 --set run.batch=8 --set run.steps=3000 would take half an hour by
--dry-run. Expect: what refine-nano has, which was trained so on an earlier predictor
(docs/refine.md).""",
        model=ModelChoice(name="maxim", weights="denoise-nano", config=dict(nano)),
        data=CleanPhotographs(
            folder="data/nano-denoise/train",
            degrade=NOISE,
            crop=128,
            repeat=1000,
            shrink=(1, 2),
        ),
        valid=CleanPhotographs(
            folder="data/nano-denoise/valid",
            degrade=STRONG,
            crop=128,
            repeat=8,
            shrink=(1, 2),
        ),
        valid_samples=8,
        objective=Refinement(
            denoiser=DenoiserConfig(
                features=32, depth=3, gating=False, tells="velocity", shown=True, scale=20.0
            ),
            frozen=True,
            power=2,
        ),
        optim=Optim(lr=1e-3, final_lr=1e-5, warmup=200, clip=1.0),
        run=Run(steps=4500, batch=16, ema=0.999, workers=0, save_every=500, validate_every=1000),
    )


def deblur() -> Recipe:
    """Predict and refine as the paper trains it, with MAXIM in the place of its U-Nets."""
    return Recipe(
        name="refine-deblur",
        about="""Deblurring by predict and refine: both learn jointly, from published weights on

torchrun --nproc-per-node 8 -m multiaxis train refine-deblur \\
    --set data.inputs=GoPro/train/blur --set data.targets=GoPro/train/sharp

Source: Whang et al. (2112.02475): crops of 128, flips and turns, 1,000,000 steps, an average of
the weights. There both networks are U-Nets of 33 million parameters in all. Here the predictor
is a MAXIM-S3 and the denoiser a MAXIM of one stage; rates, batch and decay are ours.
Cost: --dry-run measures yours. Expect: nothing is published for these networks, and it was not
run here.""",
        model=ModelChoice(name="maxim_s3", weights="deblur"),
        data=PairedFolders(inputs="GoPro/train/blur", targets="GoPro/train/sharp", crop=128),
        objective=Refinement(denoiser=DenoiserConfig(features=32, groups=2, bottleneck=2)),
        optim=Optim(lr=1e-4, final_lr=1e-6, warmup=5000, clip=1.0),
        run=Run(steps=1_000_000, batch=4, precision="bf16", ema=0.9999, workers=8),
    )


def refiners(nano: Mapping[str, Any]) -> list[Recipe]:
    """List them; `nano` is the configuration of the packaged denoiser."""
    return [denoise(nano), deblur()]
