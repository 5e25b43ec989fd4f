"""Pictures of two modes, and a generator of 8 x 8 pixels that learns them in seconds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from multiaxis.tasks.generate.config import DiscriminatorConfig
from multiaxis.tasks.generate.objective import Adversarial
from multiaxis.tasks.generate.samples import PictureFolder
from multiaxis.train.recipe import ModelChoice, Optim, Recipe, Run

SMALL = {
    "latent": 8,
    "tokens": 4,
    "start": 4,
    "widths": (16, 8),
    "depths": (1, 1),
    "head_dim": 8,
    "window": 4,
    "expansion": 2,
}


def make_modes(folder: Path, count: int = 24, side: int = 8) -> Path:
    """Pictures that are red on the left, or blue on the right, in one of two ways each."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(5)
    for k in range(count):
        picture = rng.integers(0, 30, (side, side, 3), np.uint8)
        if k % 2:
            picture[:, : side // 2, 0] += 200
        else:
            picture[:, side // 2 :, 2] += 200
        Image.fromarray(picture).save(folder / f"{k:02}.png")
    return folder


def modes_recipe(folder: Path, **run: object) -> Recipe:
    data = PictureFolder(folder=str(folder), size=8, flip=False, keep=True)
    rest = {"log_every": 1, "save_every": 1000, "validate_every": 1000, "tracker": "none", **run}
    return Recipe(
        name="modes",
        about="A recipe for tests",
        model=ModelChoice(name="maxvit_gan_32", config=SMALL),
        data=data,
        valid=replace(data, flip=False),
        valid_samples=24,
        objective=Adversarial(
            discriminator=DiscriminatorConfig(widths=(16, 16)), r1=1.0, extractor="pixels"
        ),
        optim=Optim(kind="adam", lr=4e-3, final_lr=0.0, schedule="constant", betas=(0.0, 0.9)),
        run=Run(**{"steps": 6, "batch": 8, "ema": 0.9, "workers": 0, **rest}),  # pyright: ignore[reportArgumentType]
    )
