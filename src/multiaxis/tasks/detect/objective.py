"""What detecting is trained for, as a value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from multiaxis.data.source import Source, Stream
from multiaxis.train.recipe import Recipe

if TYPE_CHECKING:
    from multiaxis.tasks.detect.losses import DetectionObjective


@dataclass(frozen=True, kw_only=True)
class Detection:
    """All losses of a detector, added; their settings are the network's (`DetectorConfig`)."""

    def open(self, recipe: Recipe, source: Source | Stream) -> DetectionObjective:
        """Make what computes losses and scores."""
        from multiaxis.tasks.detect.losses import DetectionObjective

        return DetectionObjective(recipe, source)
