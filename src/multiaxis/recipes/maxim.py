"""MAXIM as in the paper (section 4.1): one recipe for each task and public training set."""

from __future__ import annotations

from multiaxis.data.restoration import PairedFolders
from multiaxis.recipes.cost import say_cost
from multiaxis.recipes.recipe import ModelChoice, Optim, Recipe, RestorationLoss, Run

ABOUT = """{what} on {data}, as in the MAXIM paper.

multiaxis train {name} --set data.inputs=DEGRADED --set data.targets=CLEAN
torchrun --nproc-per-node 8 -m multiaxis train {name} ... on eight GPUs.

Data: {layout}; both folders have the same file names.
Fine-tune instead: --set model.weights={task} --set optim.lr=1e-5 --set run.steps=20000
{cost}
Expect: {expect} with the published weights. The paper names neither its batch nor its
steps: both are ours, and nobody has run this recipe to its end yet."""


def _recipe(
    name: str, model: str, task: str, *, steps: int, crop: int = 256, **about: str
) -> Recipe:
    run = Run(steps=steps, batch=4, ema=0.999, workers=8, recompute=True)
    cost = say_cost(model, crop, run)
    return Recipe(
        name=name,
        about=ABOUT.format(name=name, task=task, cost=cost, **about),
        model=ModelChoice(name=model),
        data=PairedFolders(
            inputs=f"data/{name}/input", targets=f"data/{name}/target", crop=crop, mixup=0.5
        ),
        loss=RestorationLoss(frequency=0.1, epsilon=1e-3),
        optim=Optim(kind="adam", lr=2e-4, final_lr=1e-7, schedule="cosine"),
        run=run,
    )


MAXIM_RECIPES: list[Recipe] = [
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
]
"""One for each task and training set that the authors publish weights for."""
