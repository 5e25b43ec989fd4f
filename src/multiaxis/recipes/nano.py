"""Small models that learn on a processor."""

from __future__ import annotations

from multiaxis.data.classes import ClassFolders
from multiaxis.data.restoration import CleanPhotographs, PairedFolders
from multiaxis.degrade.noise import GaussianNoise
from multiaxis.degrade.weather import Rain
from multiaxis.recipes.recipe import (
    ClassificationLoss,
    ModelChoice,
    Optim,
    Recipe,
    RestorationLoss,
    Run,
)

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
RAIN_OF_RAIN100H = Rain(
    layers=(2.0, 5.0),
    density=(0.003, 0.01),
    length=(20.0, 60.0),
    angle=(-20.0, 20.0),
    brightness=(0.22, 0.45),
)
"""Adds as much light as Rain100H rain does, and as unevenly; see docs/results/rain.md."""
CIFAR: dict[str, object] = {
    "num_classes": 10,
    "image_size": 128,
    "drop_path": 0.1,
    "bn_momentum": 0.1,  # the authors' 0.01 takes hundreds of steps to know a batch's statistics
}
# Maps of 8, 4, 2 and 1 pixels: windows of 4 x 4 are what image_size=128 gives.


def nano_denoise() -> Recipe:
    """Denoise colour photographs, blind to the strength of the noise."""
    return Recipe(
        name="nano-denoise",
        about="""A small denoiser for colour noise of sigma 0 to 55, that learns on a processor

multiaxis train nano-denoise --set data.folder=PHOTOGRAPHS --set valid.folder=OTHERS

Data: clean photographs without visible grain, some 1500 pixels wide; those of more megapixels
shrunk before (tools/prepare_photographs.py).
Cost: about an hour on two cores; half of it with --set run.precision=bf16 where the processor
has units for it. Expect: on CBSD68 at sigma 25 30.6 dB; 30.9 after a second training on larger
crops, which docs/results/denoiser.md has.
On a GPU: --set run.steps=300000 --set run.batch=32 --set data.crop=128 --set run.workers=8""",
        model=ModelChoice(name="maxim", config=NANO, from_input=True),
        data=CleanPhotographs(
            folder="data/nano-denoise/train",
            degrade=(GaussianNoise(sigma=(0.0, 55.0)),),
            crop=64,
            repeat=1000,
            shrink=(1, 2),
        ),
        valid=CleanPhotographs(
            folder="data/nano-denoise/valid",
            degrade=(GaussianNoise(sigma=25.0),),
            crop=256,
            repeat=8,
            shrink=(1, 2),
        ),
        valid_samples=24,
        loss=RestorationLoss(frequency=0.0),
        optim=Optim(lr=1e-3, final_lr=1e-6, warmup=200, clip=0.2),
        run=Run(steps=8500, batch=8, ema=0.999, workers=0, save_every=500, validate_every=1000),
    )


def rain_fine_tune() -> Recipe:
    """Go on from the published deraining weights, with rain of our own making."""
    return Recipe(
        name="rain-fine-tune",
        about="""Deraining: from the published weights on, with rain of our own making

multiaxis train rain-fine-tune --set data.folder=CLEAN --set valid.inputs=RAINY \\
    --set valid.targets=CLEAN_OF_THOSE

Cost: 3.7 s a step on two cores, 2.1 s with --set run.precision=bf16 where the processor has
units for it. Expect: on Rain100H's luma 31.36 dB where the published weights have 30.31
(docs/results/rain.md).""",
        model=ModelChoice(name="maxim_s2", weights="derain"),
        data=CleanPhotographs(
            folder="data/rain-fine-tune/clean",
            degrade=(RAIN_OF_RAIN100H,),
            crop=128,
            repeat=100,
        ),
        valid=PairedFolders(
            inputs="data/rain-fine-tune/valid/input",
            targets="data/rain-fine-tune/valid/target",
            crop=128,
            mixup=0.0,
        ),
        valid_samples=16,
        loss=RestorationLoss(frequency=0.1),
        optim=Optim(lr=1e-5, final_lr=1e-7, warmup=10),
        run=Run(
            steps=64,
            batch=1,
            accumulate=2,
            ema=0.9,
            workers=0,
            log_every=4,
            validate_every=16,
            save_every=16,
        ),
    )


def small_maxvit() -> Recipe:
    """Classify small pictures: MaxViT for 32 x 32 pixels, 20 minutes on a core."""
    return Recipe(
        name="maxvit-cifar",
        about="""A small MaxViT for pictures of 32 pixels, such as CIFAR-10's

multiaxis train maxvit-cifar --set data.folder=TRAIN --set valid.folder=TEST

Data: a folder for each class. Cost: 20 minutes of one core. Expect: 71 % of the test pictures,
learnt from 10,000; 75 % with --set run.steps=17000, 46 minutes (docs/results/cifar.md).""",
        model=ModelChoice(name="maxvit_pico", config=CIFAR),
        data=ClassFolders(
            folder="data/cifar/train", size=32, crop="pad", layers=1, magnitude=5, keep=True
        ),
        valid=ClassFolders(folder="data/cifar/test", size=32, train=False, keep=True),
        valid_samples=2000,
        loss=ClassificationLoss(smoothing=0.1, mixup=0.2),
        optim=Optim(kind="adamw", lr=1e-3, final_lr=1e-5, warmup=200, weight_decay=0.05, clip=1.0),
        run=Run(steps=8000, batch=64, ema=0.999, workers=0, validate_every=400),
    )


def small_recipes() -> list[Recipe]:
    """List what finishes on a processor."""
    return [nano_denoise(), rain_fine_tune(), small_maxvit()]
