"""What restoring is trained for, as a value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from multiaxis.data.limits import check_limits
from multiaxis.data.source import Source, Stream
from multiaxis.train.recipe import Recipe

if TYPE_CHECKING:
    from multiaxis.tasks.restore.losses import RestorationObjective


@dataclass(frozen=True, kw_only=True)
class Restoration:
    """Charbonnier and frequency loss, summed over stages and scales (MAXIM, section 4.1).

    Attributes
    ----------
    frequency : float
        Weight of the frequency loss.
    epsilon : float
        Of the Charbonnier loss.
    """

    frequency: float = 0.1
    epsilon: float = 1e-3

    def __post_init__(self) -> None:
        check_limits("objective", self, {"frequency": (0, 1e6), "epsilon": (0, 1)})

    def open(self, recipe: Recipe, source: Source | Stream) -> RestorationObjective:
        """Make what computes losses and scores."""
        from multiaxis.tasks.restore.losses import RestorationObjective

        del source
        return RestorationObjective(self, recipe)
