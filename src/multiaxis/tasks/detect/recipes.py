"""Trainings of detectors: on a folder of one's own, and those of the paper (appendix B.2)."""

from __future__ import annotations

from dataclasses import replace

from multiaxis.tasks.detect.objective import Detection
from multiaxis.tasks.detect.samples import AnnotatedFolder
from multiaxis.train.cost import say_cost
from multiaxis.train.recipe import ModelChoice, Optim, Recipe, Run

COCO_STEPS = 115_750  # of the authors' 896-pixel configurations, at a batch of 256
GMACS = {"tiny": 475, "small": 595, "base": 856}  # as the paper's table 4 counts them
RATES = {"tiny": 1e-3, "small": 3e-3, "base": 3e-3}
PAPER = {"tiny": (52.1, 44.6), "small": (53.1, 45.4), "base": (53.4, 45.7)}
GARDEN = {"tiny": (52.35, 44.69), "small": (53.54, 45.79), "base": (53.47, 45.96)}
"""Box and mask AP (%) of COCO's validation set at 896 pixels: the paper's, and those that the
authors' later port in the TensorFlow model garden prints."""

FOLDER = """Boxes in pictures of your own, from scratch, on a processor

multiaxis train detect-folder --set data.folder=PICTURES --set data.annotations=TRAIN.json \\
    --set valid.folder=PICTURES --set valid.annotations=VAL.json
Annotations: a file of COCO's kind, or a folder of VOC's .xml files.
Masks, too: --set model.name=maxvit_pico_maskrcnn --set data.masks=true --set valid.masks=true
Cost: {cost}
Expect: {expect}"""

TINY = """Boxes in pictures of your own, from published ImageNet weights, on a GPU

multiaxis train detect-folder-tiny --set data.folder=PICTURES --set data.annotations=TRAIN.json \\
    --set valid.folder=PICTURES --set valid.annotations=VAL.json
Masks, too: --set model.name=maxvit_tiny_maskrcnn --set data.masks=true --set valid.masks=true
Where the weights cannot be had: --set model.weights=none, and ten times the steps.
{cost}
Expect: not measured here."""

COCO = """MaxViT-{size} under Cascade Mask R-CNN: COCO 2017 at 896 pixels

torchrun --nnodes 8 --nproc-per-node 8 -m multiaxis train maxvit-{size}-coco \\
    --set data.folder=coco/train2017 --set valid.folder=coco/val2017
The paper's batch is 256: batch * accumulate * processes; here 64 processes are meant.
{cost}
Expect: box AP {paper[0]}, mask AP {paper[1]} (paper, table 4); {garden[0]} and {garden[1]} \
(TensorFlow model garden); published, not reproduced here."""


def folder() -> Recipe:
    """Find things in pictures of one's own, from scratch."""
    data = AnnotatedFolder(
        folder="pictures",
        annotations="train.json",
        size=256,
        scale=(0.8, 1.25),
        flip="horizontal",
        colour=0.2,
        keep=True,
    )
    return Recipe(
        name="detect-folder",
        about=FOLDER.format(
            cost="45 minutes of one core, 0.65 s a step.",
            expect="on blood cells AP50 .86 after 1,900 steps (docs/detect.md).",
        ),
        # At 256 pixels a platelet has 16, the smallest anchor of level 3 with this size.
        model=ModelChoice(name="maxvit_pico_retinanet", config={"anchors": {"size": 2.0}}),
        data=data,
        valid=replace(data.held_out(), annotations="valid.json", folder="pictures"),
        valid_samples=5000,
        objective=Detection(),
        optim=Optim(kind="adamw", lr=1e-3, final_lr=1e-5, warmup=100, weight_decay=0.05, clip=10.0),
        run=Run(steps=4000, batch=4, ema=0.998, workers=0, validate_every=500, save_every=500),
    )


def folder_tiny() -> Recipe:
    """Find things in pictures of one's own, from published weights."""
    config = {"backbone": {"image_size": 640}}
    run = Run(steps=10_000, batch=8, precision="bf16", ema=0.9998, validate_every=1000)
    data = AnnotatedFolder(
        folder="pictures", annotations="train.json", size=640, scale=(0.5, 1.5), colour=0.2
    )
    return Recipe(
        name="detect-folder-tiny",
        about=TINY.format(cost=say_cost(GMACS["tiny"] * (640 / 896) ** 2, run)),
        model=ModelChoice(
            name="maxvit_tiny_fasterrcnn", weights="maxvit_tiny_224_in1k", config=config
        ),
        data=data,
        valid=replace(data.held_out(), annotations="valid.json", folder="pictures"),
        valid_samples=5000,
        objective=Detection(),
        optim=Optim(kind="adamw", lr=2e-4, final_lr=2e-6, warmup=500, weight_decay=0.05, clip=1.0),
        run=run,
    )


def coco(size: str) -> Recipe:
    """Train as the paper does, as far as it says; the garden's settings where it does not."""
    data = AnnotatedFolder(
        folder="coco/train2017",
        annotations="coco/annotations/instances_train2017.json",
        size=896,
        masks=True,
        scale=(0.1, 2.5),
        strict=False,  # nobody mends that file
    )
    run = Run(steps=COCO_STEPS, batch=4, precision="bf16", ema=0.9998, workers=12, recompute=True)
    lr = RATES[size]
    return Recipe(
        name=f"maxvit-{size}-coco",
        about=COCO.format(
            size=size, cost=say_cost(GMACS[size], run), paper=PAPER[size], garden=GARDEN[size]
        ),
        model=ModelChoice(name=f"maxvit_{size}_cascade", weights=f"maxvit_{size}_224_in1k"),
        data=data,
        valid=replace(
            data.held_out(),
            folder="coco/val2017",
            annotations="coco/annotations/instances_val2017.json",
        ),
        valid_samples=5000,
        objective=Detection(),
        optim=Optim(
            kind="adamw", lr=lr, final_lr=0.03 * lr, warmup=6000, weight_decay=0.05, clip=1.0
        ),
        run=run,
    )


RECIPES: list[Recipe] = [folder(), folder_tiny(), *(coco(size) for size in GMACS)]
