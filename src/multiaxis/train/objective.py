"""What a model is trained for: its loss on a batch, its score on held-out samples."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 (the name everyone uses)
from torch import Tensor, nn

from multiaxis.data.augment import mix_batch
from multiaxis.data.source import Sample
from multiaxis.errors import ConfigError
from multiaxis.models.maxim import Maxim
from multiaxis.recipes.recipe import ClassificationLoss, RestorationLoss
from multiaxis.train.losses import multi_scale


class EveryOutput(nn.Module):
    """A MAXIM whose call gives the pictures of all stages and scales: wrappers know calls only."""

    def __init__(self, model: Maxim) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> list[list[Tensor]]:
        """Give every picture that the model has a head for."""
        return self.model.forward_available(x)


class Restoration:
    """Pictures from pictures, scored by PSNR (dB, peak 1, RGB)."""

    score = "psnr"

    def __init__(self, loss: RestorationLoss) -> None:
        self.about = loss

    def wrap(self, model: nn.Module) -> nn.Module:
        """Give the module whose call the loss is made from."""
        if not isinstance(model, Maxim):
            raise ConfigError(
                f"the model is a {type(model).__name__}, and pictures are restored by MAXIM: name "
                "one of its variants as model.name"
            )
        return EveryOutput(model)

    def mixed(self, batch: Sample, number: int) -> Sample:  # noqa: ARG002 (pairs come mixed)
        """Give the batch as it is."""
        return batch

    def loss(self, outputs: Any, target: Tensor) -> Tensor:
        """Sum the losses of all stages and scales."""
        return multi_scale(outputs, target, weight=self.about.frequency, epsilon=self.about.epsilon)

    def scores(self, model: nn.Module, x: Tensor, target: Tensor) -> Tensor:
        """Score each sample of a batch."""
        restored = model(x).clamp(0, 1)
        error = (restored - target).square().mean(dim=(1, 2, 3))
        return -10 * torch.log10(error.clamp(min=1e-10))


class Classification:
    """Classes from pictures, scored by the share (%) whose best guess is right.

    Parameters
    ----------
    loss : ClassificationLoss
    classes : int
    seed : int
        Of MixUp and CutMix.
    """

    score = "top1"

    def __init__(self, loss: ClassificationLoss, classes: int, seed: int) -> None:
        self.about, self.classes, self.seed = loss, classes, seed

    def wrap(self, model: nn.Module) -> nn.Module:
        """Give the model itself."""
        return model

    def mixed(self, batch: Sample, number: int) -> Sample:
        """Smooth the labels and mix the pictures of a batch; `number` seeds the mixing."""
        about = self.about
        shares = F.one_hot(batch.target, self.classes).float()
        shares = shares * (1 - about.smoothing) + about.smoothing / self.classes
        rng = np.random.default_rng((self.seed, 1, number))
        mixed = mix_batch(batch.input, shares, mixup=about.mixup, cutmix=about.cutmix, rng=rng)
        return Sample(*mixed, batch.complaints)

    def loss(self, outputs: Any, target: Tensor) -> Tensor:
        """Cross entropy against shares of classes."""
        if self.about.kind == "sigmoid":
            each = F.binary_cross_entropy_with_logits(outputs, target, reduction="none")
            return each.sum(dim=-1).mean()
        return F.cross_entropy(outputs, target)

    def scores(self, model: nn.Module, x: Tensor, target: Tensor) -> Tensor:
        """Score each sample of a batch: 100 or 0."""
        return (model(x).argmax(dim=-1) == target).float() * 100


Objective = Restoration | Classification
