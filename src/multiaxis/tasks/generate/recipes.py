"""Trainings of generators: the paper's, one for pictures of one's own, and a small one."""

from __future__ import annotations

from multiaxis.tasks.generate.config import DiscriminatorConfig
from multiaxis.tasks.generate.objective import Adversarial
from multiaxis.tasks.generate.samples import PictureFolder
from multiaxis.train.cost import say_cost
from multiaxis.train.recipe import ModelChoice, Optim, Recipe, Run

GMACS = {"generate-in1k": 91.52, "generate-folder": 18.44}
"""Multiply-adds of the forward passes of one sample in a step, 1e9; counted (tests)."""


def imagenet() -> Recipe:
    """ImageNet at 128 as the paper states it."""
    run = Run(steps=1_000_000, batch=32, ema=0.999, validate_every=10_000, workers=8)
    return Recipe(
        name="generate-in1k",
        about=f"""MaxViT-GAN: pictures of 128 x 128 like ImageNet's, as far as the paper says how

torchrun --nproc-per-node 8 -m multiaxis train generate-in1k \\
    --set data.folder=imagenet/train --set valid.folder=imagenet/val \\
    --set objective.extractor=inception

Published: order, losses, R1 of 10, Adam at 1e-4, batch 256 (batch * processes), 1,000,000 steps.
Ours: widths, depths, windows and latent (18.65 million parameters; the paper's has 18.6), and the
average's decay of 0.999, which is that of HiT's code.
{say_cost(GMACS["generate-in1k"], run)}
Expect: the paper has FID 30.77 and an Inception score of 22.58; it was not run here.""",
        model=ModelChoice(name="maxvit_gan_128"),
        data=PictureFolder(folder="imagenet/train", size=128),
        valid_samples=50_000,
        objective=Adversarial(),
        optim=Optim(kind="adam", lr=1e-4, final_lr=0.0, schedule="constant", betas=(0.0, 0.99)),
        run=run,
    )


def folder() -> Recipe:
    """Pictures of one's own, at 64, on a GPU."""
    run = Run(steps=100_000, batch=32, precision="bf16", ema=0.999, validate_every=5000, workers=8)
    return Recipe(
        name="generate-folder",
        about=f"""Pictures of 64 x 64 like those of a folder of yours, from scratch

multiaxis train generate-folder --set data.folder=PICTURES --set valid.folder=OTHERS

Each picture is shown as its middle square. Thousands of pictures of one kind are needed: a
generator of faces or flowers learns, one of everything does not. Set data.flip=false where left
and right differ, as in letters.
{say_cost(GMACS["generate-folder"], run)}
Expect: what your pictures allow; it was not run here.""",
        model=ModelChoice(name="maxvit_gan_64"),
        data=PictureFolder(folder="pictures", size=64, keep=True),
        valid_samples=5000,
        objective=Adversarial(discriminator=DiscriminatorConfig(widths=(128, 256, 256, 512, 512))),
        optim=Optim(kind="adam", lr=2e-4, final_lr=0.0, schedule="constant", betas=(0.0, 0.99)),
        run=run,
    )


def small() -> Recipe:
    """Pictures of 32 x 32 on a processor."""
    return Recipe(
        name="generate-small",
        about="""Pictures of 32 x 32 like those of a folder, on a processor: emoji, textures

python tools/prepare_emoji.py DATA/emoji emoji
multiaxis train generate-small --set data.folder=emoji/train --set valid.folder=emoji/train

Cost: 0.4 CPU seconds a step. Expect: docs/results/generate.md.""",
        model=ModelChoice(name="maxvit_gan_32"),
        data=PictureFolder(folder="emoji/train", size=32, keep=True),
        valid_samples=1000,
        objective=Adversarial(discriminator=DiscriminatorConfig(widths=(24, 48, 96, 96))),
        optim=Optim(kind="adam", lr=1e-3, final_lr=0.0, schedule="constant", betas=(0.0, 0.99)),
        run=Run(
            steps=5000,
            batch=16,
            precision="bf16",
            ema=0.998,
            workers=0,
            validate_every=500,
            save_every=500,
        ),
    )


RECIPES: list[Recipe] = [imagenet(), folder(), small()]
