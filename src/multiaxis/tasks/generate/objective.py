"""What generating is trained for, as a value."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from multiaxis.data.limits import check_limits
from multiaxis.data.source import Source, Stream
from multiaxis.tasks.generate.config import DiscriminatorConfig
from multiaxis.train.recipe import Recipe

if TYPE_CHECKING:
    from multiaxis.tasks.generate.losses import AdversarialObjective


@dataclass(frozen=True, kw_only=True)
class Adversarial:
    """A generator that learns to deceive a discriminator, which learns not to be deceived.

    Attributes
    ----------
    discriminator : DiscriminatorConfig
    r1 : float
        Weight of the squared gradient of the discriminator at real pictures. It has no factor of
        1/2, as in the paper's reference; others' ``gamma`` is twice this.
    extractor : str
        What the Frechet distance is taken of: ``random`` (a network of fixed random weights),
        ``pixels`` (means of 8 x 8 parts), ``inception`` (Inception v3, as published tables), or
        the weights of a MaxViT that classifies, as a file or by name.
    """

    discriminator: DiscriminatorConfig = field(default_factory=DiscriminatorConfig)
    r1: float = 10.0
    extractor: str = "random"

    def __post_init__(self) -> None:
        check_limits("objective", self, {"r1": (0.0, 1e6)})

    def open(self, recipe: Recipe, source: Source | Stream) -> AdversarialObjective:
        """Make what computes losses and scores."""
        from multiaxis.tasks.generate.losses import AdversarialObjective

        return AdversarialObjective(self, recipe, source)
