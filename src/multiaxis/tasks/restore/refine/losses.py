"""What wrongly told noise costs, and how a refiner is scored."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from multiaxis.data.batch import Batch
from multiaxis.data.source import Source
from multiaxis.errors import ConfigError
from multiaxis.models.maxim import Maxim
from multiaxis.tasks.restore.losses import check_crops, start_at_input
from multiaxis.tasks.restore.refine.config import COLOURS, RefinerConfig
from multiaxis.tasks.restore.refine.diffusion import draw_levels, draw_residual
from multiaxis.tasks.restore.refine.network import RefinerNet, see, tell
from multiaxis.tasks.restore.refine.noise import addressed_noise
from multiaxis.tasks.restore.refine.objective import Refinement
from multiaxis.tasks.restore.refine.store import stated
from multiaxis.tasks.restore.samples import FIELDS
from multiaxis.train.build import build_model
from multiaxis.train.objective import Metric, Models, Objective
from multiaxis.train.recipe import ModelChoice, Recipe


class Refined(Metric):
    """Mean PSNR (dB, peak 1, RGB) of the predictions and of one refined answer each.

    A good refiner's answer scores lower: it has detail that a mean has not, and not all of it is
    where the truth has it.
    """

    def __init__(self, steps: int) -> None:
        super().__init__()
        self._steps = steps

    def add(self, models: Models, batch: Batch) -> None:
        """Score each sample of a batch."""
        network: Any = models["model"]
        degraded, target = batch["degraded"], batch["target"]
        predicted = network.predictor(degraded)
        residual = self._residual(network, degraded, predicted, batch.numbers.tolist())
        refined = predicted + residual
        for one, other in zip(
            _decibels(predicted, target), _decibels(refined, target), strict=True
        ):
            self.records.append({"predicted": one, "refined": other})

    def _residual(
        self, network: Any, degraded: Tensor, predicted: Tensor, numbers: list[int]
    ) -> Tensor:
        config = network.config.denoiser
        shown = (degraded.movedim(1, -1), predicted.movedim(1, -1))
        size = (degraded.shape[2], degraded.shape[3])

        def draw(step: int) -> Tensor:
            parts = [addressed_noise(0, number, step, size, COLOURS) for number in numbers]
            return torch.stack(parts).to(degraded.device)

        def denoise(z: Tensor, level: float) -> Tensor:
            seen = see(z, *shown, z.new_full((len(z),), level), config)
            answer = network.denoiser(seen.movedim(-1, 1)).movedim(1, -1)
            return tell(answer, z, level, config)

        found = draw_residual(denoise, draw, self._steps)
        return found.movedim(-1, 1) / config.scale


class RefinementObjective(Objective):
    """Noise in residuals, told apart.

    Parameters
    ----------
    about : Refinement
    recipe : Recipe
    """

    fields = FIELDS
    score = "refined"
    takes_input = True

    def __init__(self, about: Refinement, recipe: Recipe) -> None:
        self._about, self._recipe = about, recipe

    def build(self, choice: ModelChoice) -> dict[str, nn.Module]:
        """Build the predictor, and a denoiser that starts by taking all of z for noise."""
        predictor = build_model(choice)
        if not isinstance(predictor, Maxim):
            raise ConfigError(
                f"the model is a {type(predictor).__name__}, and pictures are restored by MAXIM: "
                "name one of its variants as model.name"
            )
        if choice.from_input and choice.weights is None:
            start_at_input(predictor)
        config = RefinerConfig(predictor=predictor.config, denoiser=self._about.denoiser)
        network = RefinerNet(predictor, config)
        if isinstance(network.denoiser, Maxim):  # a U-Net starts so by itself
            start_at_input(network.denoiser)
        return {"model": network}

    def check(self, models: Models, held_out: Source | None) -> None:
        """Refuse crops that windows do not divide; freeze the predictor where it is to stay."""
        del held_out
        network: Any = models["model"]
        for model in (network.predictor, network.denoiser):
            check_crops(self._recipe, model.config.size_multiple)
        network.predictor.requires_grad_(not self._about.frozen)

    def prepare(self, batch: Batch) -> Batch:
        """Draw a level and noise for each sample by its number."""
        target, seed = batch["target"], self._recipe.run.seed
        levels, noise = list[float](), list[Tensor]()
        for number in batch.numbers.tolist():
            rng = np.random.default_rng((seed, number, 1))
            levels.append(float(draw_levels(rng, 1)[0]))
            drawn = rng.standard_normal(tuple(target.shape[1:]), np.float32)
            noise.append(torch.from_numpy(drawn))
        drawn_levels = torch.tensor(levels, dtype=target.dtype, device=target.device)
        return batch.with_fields(noise=torch.stack(noise).to(target.device), level=drawn_levels)

    def losses(self, models: Models, batch: Batch, turn: str) -> dict[str, Tensor]:
        """Give the mean difference of what is told and what is right."""
        shown = (batch["degraded"], batch["target"], batch["noise"], batch["level"])
        _, told, wanted = models[turn](*shown)
        difference = (told.float() - wanted.float()).abs() ** self._about.power
        return {"noise": difference.flatten(1).mean(dim=1)}

    def metric(self) -> Refined:
        """Give an empty metric."""
        return Refined(self._about.steps)

    def about(self) -> dict[str, str]:
        """State that the weights are a refiner's."""
        return stated()


def _decibels(made: Tensor, target: Tensor) -> list[float]:
    error = (made.clamp(0, 1) - target).square().mean(dim=(1, 2, 3))
    return (-10 * torch.log10(error.clamp(min=1e-10))).tolist()
