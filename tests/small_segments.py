"""Pictures of bright squares with their labels, and a recipe that learns them in seconds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from multiaxis.tasks.segment.config import DecoderConfig
from multiaxis.tasks.segment.objective import Segmentation
from multiaxis.tasks.segment.samples import LabelFolders
from multiaxis.train.recipe import ModelChoice, Optim, Recipe, Run
from small_recipe import SMALL_VIT

CLASSES = "ground #202020, square #f0a000"


def make_squares(folder: Path, count: int = 8, size: tuple[int, int] = (40, 52)) -> Path:
    """``pictures`` and ``labels`` with a bright square each, and a border that does not count."""
    rng = np.random.default_rng(3)
    for part in ("pictures", "labels"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for k in range(count):
        picture = rng.integers(20, 90, (*size, 3), np.uint8)
        labels = np.zeros(size, np.uint8)
        top, left = rng.integers(2, size[0] - 22), rng.integers(2, size[1] - 22)
        side = int(rng.integers(10, 20))
        picture[top : top + side, left : left + side] += 140
        labels[top : top + side, left : left + side] = 1
        labels[:1] = 255
        Image.fromarray(picture).save(folder / "pictures" / f"{k}.png")
        Image.fromarray(labels).save(folder / "labels" / f"{k}.png")
    return folder


def squares_recipe(folder: Path, kind: str = "unet", **run: object) -> Recipe:
    data = LabelFolders(
        pictures=str(folder / "pictures"),
        labels=str(folder / "labels"),
        classes=CLASSES,
        crop=(32, 32),
        scale=(0.9, 1.1),
        keep=True,
    )
    decoder = {"widths": (16, 8), "level": 1} if kind == "unet" else {"channels": 16, "level": 2}
    rest = {"log_every": 1, "save_every": 1000, "validate_every": 1000, "tracker": "none", **run}
    return Recipe(
        name="squares",
        about="A recipe for tests",
        model=ModelChoice(name="maxvit", config={**SMALL_VIT, "bn_momentum": 0.2}),
        data=data,
        valid=replace(data, train=False),
        valid_samples=8,
        objective=Segmentation(decoder=DecoderConfig(kind=kind, bn_momentum=0.2, **decoder)),  # pyright: ignore[reportArgumentType]
        optim=Optim(kind="adamw", lr=1e-2, final_lr=1e-4, weight_decay=0.01, clip=1.0),
        run=Run(**{"steps": 50, "batch": 4, "workers": 0, **rest}),  # pyright: ignore[reportArgumentType]
    )
