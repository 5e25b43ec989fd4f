"""Trainings of MAXIM: small ones, and those of the paper (section 4.1)."""

from __future__ import annotations

from multiaxis.degrade.noise import GaussianNoise
from multiaxis.tasks.restore.objective import Restoration
from multiaxis.tasks.restore.refine.recipes import refiners
from multiaxis.tasks.restore.samples import CleanPhotographs, PairedFolders
from multiaxis.tasks.restore.students import NANO, RAIN_OF_RAIN100H, STUDENTS
from multiaxis.train.cost import say_cost
from multiaxis.train.recipe import ModelChoice, Optim, Recipe, Run

GMACS = {"maxim_s2": {256: 96.62}, "maxim_s3": {256: 152.08}}
"""Multiply-adds of a forward pass of one picture, 1e9, by its side; counted (tests/train)."""
ABOUT = """{what} on {data}, as in the MAXIM paper.

multiaxis train {name} --set data.inputs=DEGRADED --set data.targets=CLEAN
torchrun --nproc-per-node 8 -m multiaxis train {name} ... on eight GPUs.

Data: {layout}; both folders have the same file names.
Fine-tune instead: --set model.weights={task} --set optim.lr=1e-5 --set run.steps=20000
{cost}
Expect: {expect} with the published weights. The paper names neither its batch nor its
steps: both are ours, and nobody has run this recipe to its end yet."""


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
crops, which docs/results/denoiser.md has. This noise is not cut off at black and white. For files,
where it is: --set data.degrade=gaussian-noise:sigma=0..55,levels:share=0.6
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
        objective=Restoration(frequency=0.0),
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
        objective=Restoration(frequency=0.1),
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


def _recipe(
    name: str, model: str, task: str, *, steps: int, crop: int = 256, **about: str
) -> Recipe:
    run = Run(steps=steps, batch=4, ema=0.999, workers=8, recompute=True)
    cost = say_cost(GMACS[model][crop], run)
    return Recipe(
        name=name,
        about=ABOUT.format(name=name, task=task, cost=cost, **about),
        model=ModelChoice(name=model),
        data=PairedFolders(
            inputs=f"data/{name}/input", targets=f"data/{name}/target", crop=crop, mixup=0.5
        ),
        objective=Restoration(frequency=0.1, epsilon=1e-3),
        optim=Optim(kind="adam", lr=2e-4, final_lr=1e-7, schedule="cosine"),
        run=run,
    )


RECIPES: list[Recipe] = [
    nano_denoise(),
    *STUDENTS,
    rain_fine_tune(),
    _recipe(
        "maxim-denoise-sidd",
        "maxim_s3",
        "denoise",
        steps=600_000,
        what="Denoising of phone photographs",
        data="SIDD",
        layout="SIDD Medium, 320 pairs, best cut into overlapping tiles of 512 beforehand",
        expect="39.96 dB / .960 on SIDD",
    ),
    _recipe(
        "maxim-deblur-gopro",
        "maxim_s3",
        "deblur",
        steps=600_000,
        what="Deblurring",
        data="GoPro",
        layout="2,103 pairs of GoPro's train folders `blur` (not `blur_gamma`) and `sharp`",
        expect="32.86 dB / .961 on GoPro",
    ),
    _recipe(
        "maxim-derain-rain13k",
        "maxim_s2",
        "derain",
        steps=500_000,
        what="Removing rain streaks",
        data="Rain13K",
        layout="13,712 pairs",
        expect="30.81 dB / .903 on Rain100H's luma",
    ),
    _recipe(
        "maxim-derain-drops",
        "maxim_s2",
        "derain",
        steps=200_000,
        what="Removing rain drops from the lens",
        data="Raindrop",
        layout="861 pairs of Raindrop's train folders `data` and `gt`, renamed alike",
        expect="31.87 dB / .935 on test A",
    ),
    _recipe(
        "maxim-dehaze-indoor",
        "maxim_s2",
        "dehaze-indoor",
        steps=500_000,
        what="Removing haze indoors",
        data="RESIDE's ITS",
        layout="13,990 hazy pictures; a target for each, so 1_1.png to 1_10.png are copies",
        expect="38.11 dB / .991 on SOTS indoor",
    ),
    _recipe(
        "maxim-dehaze-outdoor",
        "maxim_s2",
        "dehaze-outdoor",
        steps=500_000,
        what="Removing haze outdoors",
        data="RESIDE's OTS",
        layout="313,950 hazy pictures and a target for each",
        expect="34.19 dB / .985 on SOTS outdoor",
    ),
    _recipe(
        "maxim-enhance-lol",
        "maxim_s2",
        "enhance",
        steps=100_000,
        what="Brightening",
        data="LOL",
        layout="485 pairs of our485's folders `low` and `high`",
        expect="23.43 dB / .863 on LOL",
    ),
    _recipe(
        "maxim-retouch-fivek",
        "maxim_s2",
        "retouch",
        steps=200_000,
        what="Retouching",
        data="MIT-Adobe FiveK",
        layout="4,500 photographs and expert C's versions, 480 pixels at the shorter side",
        expect="26.15 dB / .945 on FiveK",
    ),
    *refiners(NANO),
]
"""After the small ones: one for each task and training set that the authors published; refiners."""
