"""What segmenting is trained for, as a value."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from multiaxis.data.limits import check_limits
from multiaxis.data.source import Source, Stream
from multiaxis.tasks.segment.config import DecoderConfig
from multiaxis.train.recipe import Recipe

if TYPE_CHECKING:
    from multiaxis.tasks.segment.losses import SegmentationObjective


@dataclass(frozen=True, kw_only=True)
class Segmentation:
    """Cross entropy of every pixel that counts.

    Attributes
    ----------
    decoder : DecoderConfig
        What is put on the backbone.
    smoothing : float
        Of the labels.
    """

    decoder: DecoderConfig = field(default_factory=DecoderConfig)
    smoothing: float = 0.0

    def __post_init__(self) -> None:
        check_limits("objective", self, {"smoothing": (0.0, 1.0)})

    def open(self, recipe: Recipe, source: Source | Stream) -> SegmentationObjective:
        """Make what computes losses and scores."""
        from multiaxis.tasks.segment.losses import SegmentationObjective

        return SegmentationObjective(self, recipe, source)
