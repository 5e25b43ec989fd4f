"""A recipe that trains in a second, on photographs of nothing in particular."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from multiaxis.degrade.noise import GaussianNoise
from multiaxis.tasks.classify.objective import Classification
from multiaxis.tasks.classify.samples import ClassFolders
from multiaxis.tasks.restore.objective import Restoration
from multiaxis.tasks.restore.samples import CleanPhotographs
from multiaxis.train.recipe import ModelChoice, Optim, Recipe, Run

TINY = {
    "features": 4,
    "depth": 2,
    "num_stages": 1,
    "num_bottleneck_blocks": 1,
    "num_groups": 1,
    "num_supervision_scales": 2,
    "block_size_hr": (2, 2),
    "grid_size_hr": (2, 2),
    "block_size_lr": (2, 2),
}


def make_pictures(folder: Path, count: int = 3, side: int = 40) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(1)
    for k in range(count):
        small = Image.fromarray(rng.integers(0, 256, (5, 5, 3), np.uint8))
        small.resize((side, side), Image.Resampling.BICUBIC).save(folder / f"{k}.png")
    return folder


def recipe(photographs: Path | str) -> Recipe:
    data = CleanPhotographs(
        folder=str(photographs), degrade=(GaussianNoise(sigma=(0.0, 50.0)),), crop=16, mixup=0.5
    )
    return Recipe(
        name="tiny",
        about="A recipe for tests",
        model=ModelChoice(name="maxim", config={**TINY, "dropout_rate": 0.1}),
        data=data,
        valid=data,
        valid_samples=4,
        objective=Restoration(),
        optim=Optim(lr=1e-3, final_lr=1e-5, warmup=2, clip=1.0),
        run=Run(
            steps=8,
            batch=2,
            ema=0.9,
            workers=0,
            log_every=1,
            validate_every=4,
            save_every=3,
            tracker="none",
        ),
    )


SMALL_VIT = {
    "stem_widths": (8, 8),
    "widths": (8, 16),
    "depths": (1, 1),
    "head_dim": 8,
    "window_size": 2,
    "grid_size": 2,
    "image_size": 32,
}


def classes(folder: Path | str) -> Recipe:
    data = ClassFolders(folder=str(folder), size=16, crop="pad", keep=True)
    return Recipe(
        name="tiny-classes",
        about="A recipe for tests",
        model=ModelChoice(name="maxvit", config={**SMALL_VIT, "num_classes": 2}),
        data=data,
        valid=data,
        valid_samples=8,
        objective=Classification(smoothing=0.1, mixup=0.2, cutmix=0.2),
        optim=Optim(kind="adamw", lr=3e-3, weight_decay=0.05, layer_decay=0.9, clip=1.0),
        run=Run(steps=30, batch=4, workers=0, log_every=1, tracker="none"),
    )
