"""What classifying is trained for, as a value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from multiaxis.data.limits import check_limits
from multiaxis.data.source import Source, Stream
from multiaxis.train.recipe import Recipe

if TYPE_CHECKING:
    from multiaxis.tasks.classify.losses import ClassificationObjective


@dataclass(frozen=True, kw_only=True)
class Classification:
    """Cross entropy of mixed pictures (MaxViT, table 12).

    Attributes
    ----------
    kind : str
        ``softmax``; or ``sigmoid``: each class by itself, as for ImageNet-21K.
    smoothing : float
        Of the labels.
    mixup, cutmix : float
        Parameters of the Beta distributions; 0 switches one off.
    """

    kind: Literal["softmax", "sigmoid"] = "softmax"
    smoothing: float = 0.1
    mixup: float = 0.0
    cutmix: float = 0.0

    def __post_init__(self) -> None:
        limits = {"smoothing": (0.0, 1.0), "mixup": (0.0, 100.0), "cutmix": (0.0, 100.0)}
        check_limits("objective", self, limits)

    def open(self, recipe: Recipe, source: Source | Stream) -> ClassificationObjective:
        """Make what computes losses and scores."""
        from multiaxis.tasks.classify.losses import ClassificationObjective

        return ClassificationObjective(self, recipe, source)
