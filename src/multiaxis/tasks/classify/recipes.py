"""Trainings of MaxViT: a small one, and those of the paper (table 12)."""

from __future__ import annotations

from multiaxis.tasks.classify.objective import Classification
from multiaxis.tasks.classify.samples import ClassFolders
from multiaxis.train.cost import say_cost
from multiaxis.train.recipe import ModelChoice, Optim, Recipe, Run

GMACS = {
    "maxvit_tiny": {224: 5.55, 384: 17.30, 512: 32.87},
    "maxvit_small": {224: 11.58, 384: 35.54, 512: 66.34},
    "maxvit_base": {224: 23.90, 384: 73.18, 512: 136.25},
    "maxvit_large": {224: 43.50, 384: 131.72, 512: 242.38},
    "maxvit_xlarge": {224: 97.22, 384: 291.53},
}
"""Multiply-adds of a forward pass of one picture, 1e9, by its side; counted (tests/train)."""
CIFAR: dict[str, object] = {
    "num_classes": 10,
    "image_size": 128,
    "drop_path": 0.1,
    "bn_momentum": 0.1,  # the authors' 0.01 takes hundreds of steps to know a batch's statistics
}
# Maps of 8, 4, 2 and 1 pixels: windows of 4 x 4 are what image_size=128 gives.
IMAGES_1K, IMAGES_21K = 1_281_167, 12_741_203
DROP_PATH_1K = {"tiny": 0.2, "small": 0.3, "base": 0.4, "large": 0.6}
DROP_PATH_21K = {"base": 0.3, "large": 0.4, "xlarge": 0.6}
DROP_PATH_21K_TO_1K = {"base": 0.4, "large": 0.5, "xlarge": 0.9}
TOP1 = {
    "tiny": {224: 83.62, 384: 85.24, 512: 85.72},
    "small": {224: 84.45, 384: 85.74, 512: 86.19},
    "base": {224: 84.95, 384: 86.34, 512: 86.66},
    "large": {224: 85.17, 384: 86.40, 512: 86.70},
}
TOP1_21K = {"base": 88.24, "large": 88.32, "xlarge": 88.51}

ABOUT = """MaxViT-{size}: {what}.

{launch} multiaxis train {name} --set data.folder=TRAIN --set valid.folder=VAL
The paper's batch is {batch}: batch * accumulate * processes; here {processes} processes are meant.
{cost}
Expect: {expect}; published, not reproduced here."""


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
        objective=Classification(smoothing=0.1, mixup=0.2),
        optim=Optim(kind="adamw", lr=1e-3, final_lr=1e-5, warmup=200, weight_decay=0.05, clip=1.0),
        run=Run(steps=8000, batch=64, ema=0.999, workers=0, validate_every=400),
    )


def _published() -> list[Recipe]:
    """From scratch, fine-tuning at larger sizes, and by way of ImageNet-21K."""
    recipes = [_from_scratch(size) for size in DROP_PATH_1K]
    recipes += [_fine_tune(size, side) for size in DROP_PATH_1K for side in (384, 512)]
    recipes += [_large_data(size) for size in DROP_PATH_21K]
    recipes += [_large_to_small(size) for size in DROP_PATH_21K_TO_1K]
    return recipes


def _from_scratch(size: str) -> Recipe:
    name = f"maxvit-{size}-in1k"
    run = Run(steps=300 * IMAGES_1K // 4096, batch=64, accumulate=2, precision="bf16", workers=12)
    return Recipe(
        name=name,
        about=ABOUT.format(
            size=size,
            what="ImageNet-1K at 224 from scratch, 300 epochs",
            launch="torchrun --nnodes 4 --nproc-per-node 8 -m",
            name=name,
            batch=4096,
            processes=32,
            expect=f"top-1 {TOP1[size][224]} %",
            cost=say_cost(GMACS[f"maxvit_{size}"][224], run),
        ),
        model=ModelChoice(name=f"maxvit_{size}", config={"drop_path": DROP_PATH_1K[size]}),
        data=ClassFolders(folder="imagenet/train", layers=2, magnitude=15),
        valid=ClassFolders(folder="imagenet/val", train=False),
        valid_samples=50_000,
        objective=Classification(smoothing=0.1, mixup=0.8),
        optim=Optim(
            kind="adamw", lr=3e-3, final_lr=1e-5, warmup=10_000, weight_decay=0.05, clip=1.0
        ),
        run=run,
    )


def _fine_tune(size: str, side: int) -> Recipe:
    name = f"maxvit-{size}-in1k-{side}"
    drop = DROP_PATH_1K[size]
    return Recipe(
        name=name,
        about=ABOUT.format(
            size=size,
            what=f"fine-tuned at {side}, 30 epochs, from the published weights at 224",
            launch="torchrun --nproc-per-node 8 -m",
            name=name,
            batch=512,
            processes=8,
            expect=f"top-1 {TOP1[size][side]} %",
            cost=say_cost(GMACS[f"maxvit_{size}"][side], _short(IMAGES_1K)),
        ),
        model=ModelChoice(
            name=f"maxvit_{size}",
            weights=f"maxvit_{size}_224_in1k",
            config={"drop_path": drop, "image_size": side},
        ),
        data=ClassFolders(folder="imagenet/train", size=side, layers=2, magnitude=15),
        valid=ClassFolders(folder="imagenet/val", size=side, train=False),
        valid_samples=50_000,
        objective=Classification(smoothing=0.1, mixup=0.8),
        optim=_constant(),
        run=_short(IMAGES_1K),
    )


def _large_data(size: str) -> Recipe:
    name = f"maxvit-{size}-in21k"
    run = Run(steps=90 * IMAGES_21K // 4096, batch=64, precision="bf16", workers=12)
    return Recipe(
        name=name,
        about=ABOUT.format(
            size=size,
            what="ImageNet-21K at 224 from scratch, 90 epochs",
            launch="torchrun --nnodes 8 --nproc-per-node 8 -m",
            name=name,
            batch=4096,
            processes=64,
            expect="weights to fine-tune from",
            cost=say_cost(GMACS[f"maxvit_{size}"][224], run),
        ),
        model=ModelChoice(
            name=f"maxvit_{size}",
            config={"drop_path": DROP_PATH_21K[size], "num_classes": 21_843},
        ),
        data=ClassFolders(folder="imagenet21k/train", layers=2, magnitude=5),
        valid=None,
        objective=Classification(kind="sigmoid", smoothing=1e-4),
        optim=Optim(
            kind="adamw",
            lr=1e-3,
            final_lr=1e-5,
            schedule="linear",
            warmup=5 * IMAGES_21K // 4096,
            weight_decay=0.01,
            clip=1.0,
        ),
        run=run,
    )


def _large_to_small(size: str) -> Recipe:
    name = f"maxvit-{size}-in21k-in1k-384"
    return Recipe(
        name=name,
        about=ABOUT.format(
            size=size,
            what="from ImageNet-21K to 1K at 384, 30 epochs",
            launch="torchrun --nproc-per-node 8 -m",
            name=name,
            batch=512,
            processes=8,
            expect=f"top-1 {TOP1_21K[size]} %",
            cost=say_cost(GMACS[f"maxvit_{size}"][384], _short(IMAGES_1K)),
        ),
        model=ModelChoice(
            name=f"maxvit_{size}",
            weights=f"maxvit_{size}_224_in21k",
            config={
                "drop_path": DROP_PATH_21K_TO_1K[size],
                "image_size": 384,
                "num_classes": 1000,
            },
        ),
        data=ClassFolders(folder="imagenet/train", size=384, layers=2, magnitude=15),
        valid=ClassFolders(folder="imagenet/val", size=384, train=False),
        valid_samples=50_000,
        objective=Classification(smoothing=0.1),
        optim=_constant(),
        run=_short(IMAGES_1K),
    )


def _constant() -> Optim:
    return Optim(kind="adamw", lr=5e-5, schedule="constant", weight_decay=1e-8, clip=1.0)


def _short(images: int) -> Run:
    return Run(
        steps=30 * images // 512, batch=16, accumulate=4, precision="bf16", ema=0.9999, workers=12
    )


RECIPES: list[Recipe] = [small_maxvit(), *_published()]
