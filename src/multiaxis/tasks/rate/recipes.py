"""Trainings of raters: the paper's, one's own ratings and choices, and a ladder without people.

All part one folder into what is learnt from and what is held out. ``valid.train=false`` asks for
the scores of the latter, whatever folder the words name.
"""

from __future__ import annotations

from dataclasses import replace

from multiaxis.models.maxvit.config import SMALL_DATA
from multiaxis.tasks.rate.config import HeadConfig
from multiaxis.tasks.rate.ladder import Ladder
from multiaxis.tasks.rate.objective import Preferences, Votes
from multiaxis.tasks.rate.samples import ChosenPictures, RatedPictures
from multiaxis.train.cost import say_cost
from multiaxis.train.recipe import ModelChoice, Optim, Recipe, Run

GMACS = {224: 5.55, 384: 17.30, 512: 32.87}
"""Multiply-adds of a forward pass of MaxViT-tiny, 1e9, by its side."""
AVA_PICTURES = 204_000  # four fifths of 255,000
PUBLISHED = {224: (0.707, 0.685), 384: (0.736, 0.699), 512: (0.745, 0.708)}
"""PLCC and SRCC of MaxViT-tiny on AVA, by side (the paper's table 5)."""
_BATCH, _EPOCHS = 64, 30
_TINY = ModelChoice(name="maxvit_tiny", weights="maxvit_tiny_224_in1k", config={"drop_path": 0.5})


def ava(side: int) -> Recipe:
    """Learn votes on 1 to 10, as in the paper (appendices A.3 and B.3)."""
    name = "rate-ava" if side == 224 else f"rate-ava-{side}"
    run = Run(
        steps=_EPOCHS * AVA_PICTURES // _BATCH,
        batch=_BATCH,
        precision="bf16",
        validate_every=AVA_PICTURES // _BATCH,
        workers=12,
    )
    plcc, srcc = PUBLISHED[side]
    data = RatedPictures(
        folder="ava/images", ratings="ava/AVA.txt", scale=tuple(range(1, 11)), size=side
    )
    return Recipe(
        name=name,
        about=f"""Aesthetics: MaxViT-tiny at {side} on AVA's votes, as in the paper

multiaxis train {name} --set data.folder=IMAGES --set data.ratings=AVA.txt \\
    --set valid.train=false

Data: AVA (255,000 pictures with some 200 votes each, for 1 to 10); a fifth, chosen by name, is
held out. The paper states: ImageNet weights at 224, rate 1e-3 with decay 0.9 every 10 epochs,
momentum 0.9, stochastic depth 0.5, dropout 0.75, distance with r = 2, a random 80/20 split.
It states no epochs, batch, optimiser or crop: {_EPOCHS} epochs of {_BATCH}, SGD and NIMA's
squares are ours.
{say_cost(GMACS[side], run)}
Expect: PLCC {plcc}, SRCC {srcc} of the mean votes; published, not reproduced here.""",
        model=replace(_TINY, config={**_TINY.config, "image_size": side}),
        data=data,
        valid_samples=51_000,
        objective=Votes(),
        optim=Optim(
            kind="sgd",
            lr=1e-3,
            final_lr=1e-3 * 0.9 ** (_EPOCHS / 10),
            schedule="exponential",
            betas=(0.9, 0.999),
        ),
        run=run,
    )


def own_ratings() -> Recipe:
    """Fine-tune the whole network on ratings of one's own."""
    data = RatedPictures(folder="photos")
    run = Run(steps=3000, batch=32, precision="bf16", ema=0.999, validate_every=250, workers=8)
    return Recipe(
        name="rate-folder",
        about=f"""Ratings of your own: all of MaxViT-tiny, from ImageNet weights, on a GPU

multiaxis train rate-folder --set data.folder=PHOTOS --set data.ratings=RATINGS \\
    --set valid.train=false

RATINGS: xmp, folders, or tables, as of multiaxis rate learn, which needs no GPU and is better below
a few thousand ratings. A fifth of the photographs, chosen by name, is held out.
{say_cost(GMACS[224], run)}
Expect: what your ratings allow; nothing is published.""",
        model=replace(_TINY, config={"drop_path": 0.3}),
        data=data,
        valid_samples=1000,
        objective=Votes(),
        optim=Optim(kind="adamw", lr=1e-4, final_lr=1e-6, warmup=200, weight_decay=0.05, clip=1.0),
        run=run,
    )


def pairs() -> Recipe:
    """Fine-tune the whole network on choices between two pictures."""
    data = ChosenPictures(folder="photos", ratings="pairs.csv")
    run = Run(steps=3000, batch=16, precision="bf16", ema=0.999, validate_every=250, workers=8)
    return Recipe(
        name="rate-pairs",
        about=f"""Choices between two pictures: MaxViT-tiny with one score, on a GPU

multiaxis train rate-pairs --set data.folder=PHOTOS --set data.ratings=PAIRS.csv \\
    --set valid.train=false

Each sample is two pictures. Ties are half a vote for each, and rows count by their votes.
data.smoothing=0.3 mixes in what global strengths say of a pair; it is 0, since our own measurement
found no gain (docs/results/ratings.md).
{say_cost(2 * GMACS[224], run)}
Expect: what your choices allow; nothing is published.""",
        model=replace(_TINY, config={"drop_path": 0.3}),
        data=data,
        valid_samples=1000,
        objective=Preferences(),
        optim=Optim(kind="adamw", lr=1e-4, final_lr=1e-6, warmup=200, weight_decay=0.05, clip=1.0),
        run=run,
    )


def closeness() -> Recipe:
    """Learn which of two versions of an original people prefer."""
    data = ChosenPictures(folder="pictures", ratings="choices.csv", size=160, keep=True)
    run = Run(steps=600, batch=8, ema=0.99, validate_every=100, workers=0)
    return Recipe(
        name="rate-closeness",
        about="""Two versions of an original: a full-reference metric from people's choices

multiaxis train rate-closeness --set data.folder=PICTURES --set data.ratings=CHOICES.csv \\
    --set valid.train=false

CHOICES.csv: reference,a,b,choice. A fifth of the originals is held out, with their choices.
Starts from the small backbone of the package; multiaxis rate learn keeps that as it is, and takes
minutes. Cost: 3 pictures a sample, on a processor. Expect: docs/results/ratings.md.""",
        model=ModelChoice(
            name="maxvit_pico", weights="rate-backbone", config={"bn_momentum": 0.01}
        ),
        data=data,
        valid_samples=1000,
        objective=Preferences(head=HeadConfig(kind="closeness", dropout=0.0, size=160)),
        optim=Optim(kind="adamw", lr=3e-4, final_lr=1e-6, warmup=20, weight_decay=0.01, clip=1.0),
        run=run,
    )


def ladder() -> Recipe:
    """Learn to tell steps of blur, noise and JPEG, on a processor."""
    data = Ladder(folder="photos")
    run = Run(steps=800, batch=20, ema=0.99, validate_every=200, save_every=50, workers=0)
    return Recipe(
        name="rate-ladder",
        about="""Steps of blur, noise and JPEG: a small MaxViT from scratch, no ratings by people

multiaxis train rate-ladder --set data.folder=CLEAN --set valid.train=false

Crops of clean photographs are left as they are (5) or spoilt in one of three ways, in four steps
down to 1. A quarter of the photographs is held out.
Cost: 0.6 s of a core a step. Expect: an SRCC of 0.4 after 1,200 steps, stopped there: less than
multiaxis rate learn reaches with classical numbers (docs/results/ratings.md).""",
        model=ModelChoice(name="maxvit_pico", config={**SMALL_DATA, "image_size": 128}),
        data=data,
        valid_samples=100_000,
        objective=Votes(head=HeadConfig(dropout=0.2)),
        optim=Optim(kind="adamw", lr=2e-3, final_lr=2e-5, warmup=40, weight_decay=0.05, clip=1.0),
        run=run,
    )


RECIPES: list[Recipe] = [
    own_ratings(),
    pairs(),
    closeness(),
    ladder(),
    *(ava(side) for side in PUBLISHED),
]
