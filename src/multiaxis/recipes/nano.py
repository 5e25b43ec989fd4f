"""Small models that learn on a processor."""

from __future__ import annotations

from multiaxis.data.restoration import CleanPhotographs
from multiaxis.degrade.noise import GaussianNoise
from multiaxis.recipes.recipe import ModelChoice, Optim, Recipe, RestorationLoss, Run

NANO: dict[str, object] = {
    "features": 12,
    "depth": 3,
    "num_stages": 1,
    "num_groups": 1,
    "num_supervision_scales": 1,
    "num_bottleneck_blocks": 1,
    "block_size_hr": (8, 8),
    "grid_size_hr": (8, 8),
    "block_size_lr": (8, 8),
}


def nano_denoise() -> Recipe:
    """Denoise colour photographs, blind to the strength of the noise."""
    photographs = CleanPhotographs(
        folder="photos/train",
        degrade=(GaussianNoise(sigma=(0.0, 55.0)),),
        crop=64,
        repeat=1000,
        shrink=(1, 2),
    )
    return Recipe(
        name="nano-denoise",
        about="multiaxis train nano-denoise --set data.folder=PHOTOGRAPHS",
        model=ModelChoice(name="maxim", config=NANO),
        data=photographs,
        loss=RestorationLoss(frequency=0.0),
        optim=Optim(lr=1e-3, final_lr=1e-6, warmup=100, clip=1.0),
        run=Run(steps=20_000, batch=16, ema=0.999, workers=0),
    )
