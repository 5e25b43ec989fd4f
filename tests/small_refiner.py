"""A refiner that knows nothing yet, on a tiny MAXIM."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from multiaxis.degrade.noise import GaussianNoise
from multiaxis.models.maxim import Maxim, MaximConfig
from multiaxis.tasks.restore.losses import start_at_input
from multiaxis.tasks.restore.refine.config import DenoiserConfig, RefinerConfig
from multiaxis.tasks.restore.refine.network import RefinerNet
from multiaxis.tasks.restore.refine.objective import Refinement
from multiaxis.tasks.restore.refine.store import save_refiner
from multiaxis.tasks.restore.refine.unet import Unet
from multiaxis.tasks.restore.samples import CleanPhotographs
from multiaxis.train.recipe import ModelChoice, Optim, Recipe, Run
from small_recipe import TINY

DENOISER = DenoiserConfig(features=4, depth=2, window=2, gating=False)
UNET = DenoiserConfig(kind="unet", features=4, depth=2)


def write_refiner(
    path: Path, *, from_input: bool = False, denoiser: DenoiserConfig = DENOISER
) -> Path:
    torch.manual_seed(4)
    predictor = MaximConfig(**TINY)  # pyright: ignore[reportArgumentType]
    config = RefinerConfig(predictor=predictor, denoiser=denoiser)
    network = RefinerNet(Maxim(predictor), config)
    if from_input:
        start_at_input(network.predictor)
    if isinstance(network.denoiser, Unet):  # which would take all for noise
        torch.nn.init.normal_(network.denoiser.last.weight, std=0.1)
    save_refiner(network, path)
    return path


def refiner_recipe(
    folder: Path, *, frozen: bool = False, denoiser: DenoiserConfig = DENOISER, **run: Any
) -> Recipe:
    rest = {"log_every": 1, "save_every": 1000, "validate_every": 1000, "tracker": "none", **run}
    data = CleanPhotographs(
        folder=str(folder), degrade=(GaussianNoise(sigma=30.0),), crop=16, repeat=4
    )
    return Recipe(
        name="refine",
        about="A recipe for tests",
        model=ModelChoice(name="maxim", config=dict(TINY), from_input=True),
        data=data,
        valid=data,
        valid_samples=3,
        objective=Refinement(denoiser=denoiser, frozen=frozen, steps=2),
        optim=Optim(lr=1e-3),
        run=Run(**{"steps": 6, "batch": 2, "ema": 0.9, "workers": 0, **rest}),
    )
