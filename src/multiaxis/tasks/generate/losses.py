"""What deceives and what is deceived, and how generating is scored."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 (the name everyone uses)
from torch import Tensor, nn

from multiaxis.data.batch import Batch
from multiaxis.data.source import Source, Stream
from multiaxis.errors import ConfigError
from multiaxis.score.sets import frechet_distance, inception_score, kernel_distance
from multiaxis.tasks.generate.discriminator import Discriminator
from multiaxis.tasks.generate.extractors import Extractor, find_extractor
from multiaxis.tasks.generate.latents import draw_latents
from multiaxis.tasks.generate.objective import Adversarial
from multiaxis.tasks.generate.samples import FIELDS
from multiaxis.tasks.generate.store import build_network, stated
from multiaxis.train.objective import Metric, Models, Objective
from multiaxis.train.recipe import ModelChoice, Recipe

_SCORED = 1  # the part of the latents that a validation takes; the training has others
_SPLITS = 10


class SetDistance(Metric):
    """How far made pictures are from held-out ones, as sets. Lower is better.

    Parameters
    ----------
    extractor : Extractor
    latent : int
        Length of the generator's latents.
    seed : int
        Of the latents.
    """

    def __init__(self, extractor: Extractor, latent: int, seed: int) -> None:
        super().__init__()
        self._extractor, self._latent, self._seed = extractor, latent, seed

    def add(self, models: Models, batch: Batch) -> None:
        """Keep what is seen in each held-out picture, and in a made one of its number."""
        real: Tensor = batch["picture"]
        numbers = batch.numbers.tolist()
        latents = draw_latents(self._seed, numbers, self._latent, part=_SCORED).to(real.device)
        made = models["generator"](latents).float().clamp(-1, 1)
        seen = [self._extractor(pictures) for pictures in (real, made)]
        columns = [_array(one.features) for one in seen]
        if seen[1].logits is not None:
            columns.append(_array(seen[1].logits))
        self.records += zip(*columns, strict=True)

    def compute(self) -> dict[str, float]:
        """Give both distances, and the Inception score where the extractor classifies."""
        real, made, *logits = (np.stack(column) for column in zip(*self.records, strict=True))
        scores = {"frechet": frechet_distance(real, made), "kernel": kernel_distance(real, made)}
        if logits:
            splits = min(_SPLITS, len(self.records))
            scores["inception"], _ = inception_score(logits[0], splits)
        return scores


class AdversarialObjective(Objective):
    """The non-saturating logistic loss, with the penalty R1 on the discriminator.

    ``softplus(-D(real)) + softplus(D(made)) + r1 * |dD/dreal|^2`` for the discriminator, and
    ``softplus(-D(made))`` for the generator. Sources: Goodfellow et al. (2014); Mescheder et al.
    (2018); MaxViT, appendix B.4.

    Parameters
    ----------
    about : Adversarial
    recipe : Recipe
    source : Source or Stream
    """

    fields = FIELDS
    turns = ("discriminator", "generator")
    exported = "generator"
    score = "frechet"

    def __init__(self, about: Adversarial, recipe: Recipe, source: Source | Stream) -> None:
        self._about, self._seed = about, recipe.run.seed
        self._size: int | None = getattr(source, "size", None)
        self._latent = 0
        self._stated: dict[str, str] = {}
        self._extractor: Extractor | None = None

    def build(self, choice: ModelChoice) -> dict[str, nn.Module]:
        """Build a generator, and a discriminator of its pictures."""
        generator = build_network(choice.name, choice.config, weights=choice.weights)
        discriminator = Discriminator(self._about.discriminator, generator.config.size)
        return {"generator": generator, "discriminator": discriminator}

    def check(self, models: Models, held_out: Source | None) -> None:
        """Refuse pictures of another size than the generator's; learn the length of latents."""
        config: Any = models["generator"].config
        for part, size in (("data", self._size), ("valid", getattr(held_out, "size", None))):
            if size is not None and size != config.size:
                raise ConfigError(
                    f"{part} has pictures of {size} pixels, and the generator makes {config.size}: "
                    f"set {part}.size={config.size}, or choose another generator"
                )
        self._latent, self._stated = config.latent, stated(config)
        if held_out is not None:  # hours before the first validation
            device = next(models["generator"].parameters()).device
            self._extractor = find_extractor(self._about.extractor, device)

    def prepare(self, batch: Batch) -> Batch:
        """Draw two latents for each sample: one for each turn."""
        device, numbers = batch["picture"].device, batch.numbers.tolist()
        pairs = draw_latents(self._seed, numbers, 2 * self._latent).to(device).chunk(2, dim=1)
        return batch.with_fields(**dict(zip(self.turns, pairs, strict=True)))

    def losses(self, models: Models, batch: Batch, turn: str) -> dict[str, Tensor]:
        """Give those of one of the two."""
        generator, discriminator = models["generator"], models["discriminator"]
        if turn == "generator":
            with _fixed(discriminator):
                deceived = discriminator(generator(batch[turn])).float()
            return {"deceiving": F.softplus(-deceived)}
        with torch.no_grad():
            made = generator(batch[turn])
        told = discriminator(made).float()
        real = batch["picture"].detach().requires_grad_()
        known = discriminator(real).float()
        losses = {"real": F.softplus(-known), "made": F.softplus(told)}
        if self._about.r1 and torch.is_grad_enabled():  # who counts operations has no gradients
            losses["r1"] = self._about.r1 * penalty(known, real)
        return losses

    def metric(self) -> SetDistance:
        """Give an empty metric."""
        assert self._extractor is not None  # noqa: S101 (made where there is what to score on)
        return SetDistance(self._extractor, self._latent, self._seed)

    def about(self) -> dict[str, str]:
        """State that the weights are a generator's."""
        return self._stated


def penalty(logits: Tensor, pictures: Tensor) -> Tensor:
    """Give R1: the squared length of each picture's gradient, without a factor of 1/2.

    Parameters
    ----------
    logits : Tensor, shape (batch,)
        Made of `pictures`.
    pictures : Tensor, shape (batch, ...)
        With gradients.

    Returns
    -------
    Tensor, shape (batch,)
        Can be derived once more where gradients are wanted.
    """
    (gradient,) = torch.autograd.grad(logits.sum(), pictures, create_graph=True)
    return gradient.square().flatten(1).sum(dim=1)


@contextmanager
def _fixed(model: nn.Module) -> Generator[None]:
    """Compute no gradients of a model's parameters for what goes through it inside."""
    wanted = [p for p in model.parameters() if p.requires_grad]
    for parameter in wanted:
        parameter.requires_grad_(False)  # noqa: FBT003 (torch's own)
    try:
        yield
    finally:
        for parameter in wanted:
            parameter.requires_grad_(True)  # noqa: FBT003


def _array(values: Tensor) -> Any:
    return values.float().cpu().numpy()
