"""What rating is trained for, as values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from multiaxis.data.limits import check_limits
from multiaxis.data.source import Source, Stream
from multiaxis.tasks.rate.config import HeadConfig
from multiaxis.train.recipe import Recipe

if TYPE_CHECKING:
    from multiaxis.tasks.rate.losses import ChoiceObjective, VoteObjective


@dataclass(frozen=True, kw_only=True)
class Votes:
    """Earth mover's distance to the votes on a scale (MaxViT paper, A.3).

    Attributes
    ----------
    head : HeadConfig
        Its scale is the data's.
    r : float
        Of the distance: 2 in the paper's training.
    """

    head: HeadConfig = field(default_factory=HeadConfig)
    r: float = 2.0

    def __post_init__(self) -> None:
        check_limits("objective", self, {"r": (1.0, 16.0)})

    def open(self, recipe: Recipe, source: Source | Stream) -> VoteObjective:
        """Make what computes losses and scores."""
        from multiaxis.tasks.rate.losses import VoteObjective

        return VoteObjective(self, recipe, source)


@dataclass(frozen=True, kw_only=True)
class Preferences:
    """Cross entropy of choices between two pictures, which count by their votes.

    Attributes
    ----------
    head : HeadConfig
        ``score`` for choices between pictures, ``closeness`` where they have an original.
    model : str
        ``bradley-terry`` or ``thurstone``.
    """

    head: HeadConfig = field(default_factory=lambda: HeadConfig(kind="score", dropout=0.5))
    model: Literal["bradley-terry", "thurstone"] = "bradley-terry"

    def open(self, recipe: Recipe, source: Source | Stream) -> ChoiceObjective:
        """Make what computes losses and scores."""
        from multiaxis.tasks.rate.losses import ChoiceObjective

        return ChoiceObjective(self, recipe, source)
