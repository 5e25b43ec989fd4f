"""What a restored picture costs, and how restoring is scored."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F  # noqa: N812 (the name everyone uses)
from torch import Tensor, nn

from multiaxis.data.batch import Batch
from multiaxis.data.source import Source
from multiaxis.errors import ConfigError
from multiaxis.models.maxim import Maxim
from multiaxis.tasks.restore.objective import Restoration
from multiaxis.tasks.restore.samples import FIELDS
from multiaxis.train.build import build_model
from multiaxis.train.objective import Metric, Models, Objective
from multiaxis.train.recipe import ModelChoice, Recipe


class Psnr(Metric):
    """Mean PSNR (dB, peak 1, RGB)."""

    def add(self, models: Models, batch: Batch) -> None:
        """Score each sample of a batch."""
        restored = models["model"](batch["degraded"]).clamp(0, 1)
        error = (restored - batch["target"]).square().mean(dim=(1, 2, 3))
        decibels = -10 * torch.log10(error.clamp(min=1e-10))
        self.records += [{"psnr": value} for value in decibels.tolist()]


class RestorationObjective(Objective):
    """Pictures from pictures.

    Parameters
    ----------
    config : Restoration
    recipe : Recipe
    """

    fields = FIELDS
    score = "psnr"
    takes_input = True

    def __init__(self, config: Restoration, recipe: Recipe) -> None:
        self._config, self._recipe = config, recipe

    def build(self, choice: ModelChoice) -> dict[str, nn.Module]:
        """Build MAXIM; from scratch so that it begins with the input, if asked to."""
        model = build_model(choice)
        if choice.from_input and choice.weights is None and isinstance(model, Maxim):
            start_at_input(model)
        return {"model": model}

    def check(self, models: Models, held_out: Source | None) -> None:
        """Refuse other models than MAXIM, and crops that its windows do not divide."""
        del held_out
        model = models["model"]
        if not isinstance(model, Maxim):
            raise ConfigError(
                f"the model is a {type(model).__name__}, and pictures are restored by MAXIM: name "
                "one of its variants as model.name"
            )
        check_crops(self._recipe, model.config.size_multiple)

    def losses(self, models: Models, batch: Batch, turn: str) -> dict[str, Tensor]:
        """Sum the losses of all stages and scales."""
        outputs = models[turn](batch["degraded"], every=True)
        frequency, epsilon = self._config.frequency, self._config.epsilon
        return multi_scale(outputs, batch["target"], weight=frequency, epsilon=epsilon)

    def metric(self) -> Psnr:
        """Give an empty metric."""
        return Psnr()


def start_at_input(model: Maxim) -> None:
    """Let the heads of the last stage begin at zero, so that the first answer is the input."""
    with torch.no_grad():
        for parameter in model.stages[-1].heads.parameters():  # pyright: ignore[reportAttributeAccessIssue]
            parameter.zero_()


def check_crops(recipe: Recipe, size_multiple: tuple[int, int]) -> None:
    """Refuse crops that a model's windows, or its halvings, do not divide.

    Raises
    ------
    ConfigError
        With the nearest that they do.
    """
    multiple = math.lcm(*size_multiple)
    for part, data in (("data", recipe.data), ("valid", recipe.valid)):
        crop = getattr(data, "crop", None)
        if isinstance(crop, int) and crop % multiple:
            raise ConfigError(
                f"{part}.crop is {crop}: this model takes multiples of {multiple}, such as "
                f"{-(-crop // multiple) * multiple}"
            )


def charbonnier(x: Tensor, target: Tensor, epsilon: float = 1e-3) -> Tensor:
    """Mean of sqrt((x - target)^2 + epsilon^2) over each sample: shape (samples,)."""
    return torch.sqrt((x - target).square() + epsilon**2).flatten(1).mean(dim=1)


def frequency(x: Tensor, target: Tensor) -> Tensor:
    """Mean absolute difference of the 2D Fourier transforms' real and imaginary parts: (samples,).

    The transform is not normalised. MAXIM's paper writes a 1-norm; that the mean is meant is our
    reading (its code has no training).
    """
    difference = torch.fft.rfft2((x - target).float())
    return torch.view_as_real(difference).abs().flatten(1).mean(dim=1)


def multi_scale(
    outputs: list[list[Tensor]], target: Tensor, *, weight: float, epsilon: float
) -> dict[str, Tensor]:
    """Charbonnier and frequency loss, summed over stages and scales (MAXIM, section 4.1).

    Parameters
    ----------
    outputs : list of list of Tensor
        ``outputs[stage][scale]``, (samples, channels, height, width) each.
    target : Tensor
        At full size; shrunk bilinearly, with antialiasing, to each scale.
    weight : float
        Of the frequency loss; 0 leaves it out.
    epsilon : float
        Of the Charbonnier loss.

    Returns
    -------
    dict of str to Tensor, shape (samples,)
        ``charbonnier`` and ``frequency``, weighted.
    """
    losses = {"charbonnier": target.new_zeros(len(target))}
    if weight:
        losses["frequency"] = target.new_zeros(len(target))
    for picture in (picture for stage in outputs for picture in stage):
        wanted = target
        if picture.shape[-2:] != target.shape[-2:]:
            size = list(picture.shape[-2:])
            wanted = F.interpolate(target, size, mode="bilinear", antialias=True)
        losses["charbonnier"] = losses["charbonnier"] + charbonnier(picture, wanted, epsilon)
        if weight:
            losses["frequency"] = losses["frequency"] + weight * frequency(picture, wanted)
    return losses
