"""Trainings of segmenters: a small one, one for pictures of one's own, and the authors' two."""

from __future__ import annotations

from multiaxis.models.maxvit.config import SMALL_DATA
from multiaxis.tasks.segment.config import DecoderConfig
from multiaxis.tasks.segment.objective import Segmentation
from multiaxis.tasks.segment.samples import LabelFolders
from multiaxis.train.cost import say_cost
from multiaxis.train.recipe import ModelChoice, Optim, Recipe, Run

GMACS = {"segment-folder": 42.8, "segment-voc": 76.4, "segment-coco": 133.4}
"""Multiply-adds of a forward pass of one crop, 1e9; counted (tests/train)."""
STREETS = (
    "sky #808080,building #800000,pole #c0c080,road #804080,pavement #3c28de,tree #808000,"
    "sign #c08080,fence #404080,car #400080,pedestrian #404000,bicyclist #0080c0"
)
"""Names and colours as in CamVid; number 11 is void."""
VOC = (
    "background,aeroplane,bicycle,bird,boat,bottle,bus,car,cat,chair,cow,diningtable,dog,horse,"
    "motorbike,person,pottedplant,sheep,sofa,train,tvmonitor"
)


def streets() -> Recipe:
    """Street scenes of 240 x 180 pixels from scratch, on a processor."""
    size = (160, 224)
    data = LabelFolders(
        pictures="camvid/train",
        labels="camvid/trainannot",
        classes=STREETS,
        ignore=(11, 255),
        crop=size,
        scale=(0.75, 1.5),
        colour=0.3,
        keep=True,
    )
    return Recipe(
        name="segment-streets",
        about="""Street scenes, 11 classes: a small MaxViT with a U-Net decoder, from scratch

multiaxis train segment-streets --set data.pictures=TRAIN --set data.labels=TRAINANNOT \\
    --set valid.pictures=VAL --set valid.labels=VALANNOT

Data: CamVid at 240 x 180 (367 and 101 pictures; number 11 does not count).
Cost: 0.49 GMAC a crop, 1.3 CPU seconds a step. Expect: docs/results/streets.md.
With a GPU: --set run.steps=20000 --set run.batch=16 --set model.name=maxvit_nano.""",
        model=ModelChoice(
            name="maxvit_pico", config={**SMALL_DATA, "image_size": size, "drop_path": 0.05}
        ),
        data=data,
        valid_samples=101,
        objective=Segmentation(
            decoder=DecoderConfig(kind="unet", level=1, widths=(128, 64, 32, 24), bn_momentum=0.1)
        ),
        optim=Optim(kind="adamw", lr=2e-3, final_lr=2e-5, warmup=50, weight_decay=0.05, clip=1.0),
        run=Run(steps=600, batch=8, ema=0.99, workers=0, validate_every=200, save_every=50),
    )


def folder() -> Recipe:
    """Pictures and label pictures of one's own, from published ImageNet weights."""
    run = Run(steps=10_000, batch=8, precision="bf16", ema=0.999, validate_every=500, workers=8)
    return Recipe(
        name="segment-folder",
        about=f"""Pictures and label pictures of your own, from MaxViT-tiny's ImageNet weights

multiaxis train segment-folder --set data.pictures=PICTURES --set data.labels=LABELS \\
    --set data.classes=background,road,car --set valid.pictures=VAL --set valid.labels=VALLABELS

LABELS has a PNG for each picture: the number of its class in each pixel, 255 where none counts.
valid_samples is the number of held-out pictures that are scored; each is scored whole.
{say_cost(GMACS["segment-folder"], run)}
Expect: what your pictures allow; nothing is published.
From scratch on a processor: --set model.weights=none --set model.name=maxvit_pico
--set run.precision=no --set data.crop=160,224, and the fields of segment-streets.""",
        model=ModelChoice(
            name="maxvit_tiny",
            weights="maxvit_tiny_224_in1k",
            config={"image_size": 512, "drop_path": 0.2},
        ),
        data=LabelFolders(pictures="pictures", labels="labels", crop=(512, 512), colour=0.3),
        valid_samples=100,
        objective=Segmentation(),
        optim=Optim(kind="adamw", lr=1e-4, final_lr=1e-6, warmup=500, weight_decay=0.05, clip=1.0),
        run=run,
    )


def voc() -> Recipe:
    """PASCAL VOC 2012 as the model garden's ``seg_pascal_maxvits_i512.yaml`` states it."""
    run = Run(steps=20_000, batch=4, precision="bf16", ema=0.9998, validate_every=330, workers=8)
    return Recipe(
        name="segment-voc",
        about=f"""MaxViT-small with a feature pyramid: PASCAL VOC 2012 at 512, 20,000 steps

torchrun --nproc-per-node 8 -m multiaxis train segment-voc \\
    --set data.pictures=VOC2012/JPEGImages --set data.labels=SegmentationClassAug \\
    --set data.split=train_aug.txt --set valid.pictures=VOC2012/JPEGImages \\
    --set valid.labels=VOC2012/SegmentationClass \\
    --set valid.split=VOC2012/ImageSets/Segmentation/val.txt

The paper has no segmentation; these are the settings of the authors' later configuration, which
prints no result. Its batch is 32: batch * processes. Its rate of 1e-5 is a tenth and less of what
others fine-tune with (its Python default is 5e-4).
{say_cost(GMACS["segment-voc"], run)}
Expect: nothing is published, and it was not run here.""",
        model=ModelChoice(
            name="maxvit_small",
            weights="maxvit_small_224_in1k",
            config={"image_size": 512, "drop_path": 0.3},
        ),
        data=LabelFolders(
            pictures="JPEGImages", labels="SegmentationClassAug", split="train_aug.txt", classes=VOC
        ),
        valid=LabelFolders(
            pictures="JPEGImages",
            labels="SegmentationClass",
            split="val.txt",
            classes=VOC,
            train=False,
        ),
        valid_samples=1449,
        objective=Segmentation(),
        optim=Optim(kind="adamw", lr=1e-5, final_lr=1e-7, warmup=500, weight_decay=1e-4),
        run=run,
    )


def coco() -> Recipe:
    """COCO as the model garden's ``seg_coco_maxvits_i640.yaml`` states it."""
    run = Run(steps=64_000, batch=4, precision="bf16", ema=0.9998, validate_every=2000, workers=8)
    classes = ",".join(["background", *(f"category {k}" for k in range(1, 91))])
    return Recipe(
        name="segment-coco",
        about=f"""MaxViT-small with a pyramid put side by side: COCO's 91 numbers at 640

torchrun --nproc-per-node 8 -m multiaxis train segment-coco \\
    --set data.pictures=train2017 --set data.labels=LABELS/train2017 \\
    --set valid.pictures=val2017 --set valid.labels=LABELS/val2017

LABELS holds a PNG for each picture with the category ids of its instances, and 0 elsewhere
(docs/segment.md shows how they are made). The paper has no segmentation; these are the settings of
the authors' later configuration, which prints no result. Its batch is 32: batch * processes.
{say_cost(GMACS["segment-coco"], run)}
Expect: nothing is published, and it was not run here.""",
        model=ModelChoice(
            name="maxvit_small",
            weights="maxvit_small_224_in1k",
            config={"image_size": 640, "drop_path": 0.3},
        ),
        data=LabelFolders(
            pictures="train2017",
            labels="labels/train2017",
            classes=classes,
            crop=(640, 640),
            scale=(0.5, 1.5),
        ),
        valid=LabelFolders(
            pictures="val2017", labels="labels/val2017", classes=classes, train=False
        ),
        valid_samples=5000,
        objective=Segmentation(decoder=DecoderConfig(fusion="concat")),
        optim=Optim(kind="adamw", lr=1e-6, final_lr=0.0, warmup=4000, weight_decay=1e-4),
        run=run,
    )


RECIPES: list[Recipe] = [folder(), streets(), voc(), coco()]
