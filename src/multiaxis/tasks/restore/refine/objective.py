"""What a refiner is trained for, as a value."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from multiaxis.data.limits import check_limits
from multiaxis.data.source import Source, Stream
from multiaxis.tasks.restore.refine.config import DenoiserConfig
from multiaxis.train.recipe import Recipe

if TYPE_CHECKING:
    from multiaxis.tasks.restore.refine.losses import RefinementObjective


@dataclass(frozen=True, kw_only=True)
class Refinement:
    """A denoiser that tells the noise in the residuals of a predictor.

    The recipe's model is the predictor.

    Attributes
    ----------
    denoiser : DenoiserConfig
    frozen : bool
        Whether the predictor stays as it is. Otherwise both learn jointly by the one loss, as in
        the paper, where nothing else holds the predictor to the truth.
    power : int
        1 for the mean absolute difference of what is told and right, 2 for the mean square. By the
        first, answers hardly differ: it asks for medians, and most residuals are near 0.
    steps : int
        Of the answer that the held-out score draws.
    """

    denoiser: DenoiserConfig = field(default_factory=DenoiserConfig)
    frozen: bool = False
    power: int = 1
    steps: int = 10

    def __post_init__(self) -> None:
        check_limits("objective", self, {"power": (1, 2), "steps": (1, 1000)})

    def open(self, recipe: Recipe, source: Source | Stream) -> RefinementObjective:
        """Make what computes losses and scores."""
        from multiaxis.tasks.restore.refine.losses import RefinementObjective

        del source
        return RefinementObjective(self, recipe)
