"""What a rater can be configured to. No tensors here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from multiaxis.errors import ConfigError, unknown
from multiaxis.models.maxvit.config import MaxViTConfig
from multiaxis.tasks.rate.scale import AVA, Scale

Triple = tuple[float, float, float]
View = Literal["whole", "detail", "statistics"]
_CHOICES = {"kind": ("votes", "score", "closeness"), "pool": ("last", "levels")}
_VIEWS = ("whole", "detail", "statistics")


@dataclass(frozen=True, kw_only=True)
class HeadConfig:
    """What is put on a backbone.

    Attributes
    ----------
    kind : str
        ``votes``: shares of votes on a scale (MaxViT, A.3: pool, dropout, one layer, softmax).
        ``score``: one number, whose differences say which of two pictures is preferred.
        ``closeness``: how far a picture is from its original.
    pool : str
        ``last``: the mean of the last map, as in the paper. ``levels``: mean and standard deviation
        of every map, for a backbone that stays as it is.
    dropout : float
        Before the layer.
    scale : Scale
        Of the votes.
    views : tuple of str
        What of a picture is looked at. ``whole``: all of it, resized. ``detail``: the three tiles
        of most contrast at the picture's own size, which show whether it is sharp. ``statistics``:
        some classical numbers, such as brightness and colourfulness.
    size : int
        Of the resized picture: its area is that of a square of this side, in pixels.
    mean, std : tuple of float
        What channels, scaled to [0, 1], are normalised by.
    """

    kind: Literal["votes", "score", "closeness"] = "votes"
    pool: Literal["last", "levels"] = "last"
    dropout: float = 0.75
    scale: Scale = field(default_factory=lambda: AVA)
    views: tuple[View, ...] = ("whole",)
    size: int = 224
    mean: Triple = (0.5, 0.5, 0.5)
    std: Triple = (0.5, 0.5, 0.5)

    def __post_init__(self) -> None:
        for name in ("views", "mean", "std"):  # lists, where they come from JSON
            object.__setattr__(self, name, tuple(getattr(self, name)))
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise unknown(f"{name} of a rater's head", getattr(self, name), choices)
        for view in self.views:
            if view not in _VIEWS:
                raise unknown("view", view, _VIEWS)
        if not self.views or len(set(self.views)) < len(self.views):
            raise ConfigError(
                f"a rater's views are {self.views}: accepted is one or more, each once"
            )
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"a rater's dropout is {self.dropout}: accepted is 0 to below 1")
        if not 32 <= self.size <= 4096:
            raise ConfigError(f"a rater's size is {self.size}: accepted is 32 to 4096 pixels")
        if len(self.mean) != 3 or len(self.std) != 3 or min(self.std) <= 0:
            raise ConfigError(
                f"a rater normalises by {self.mean} and {self.std}: accepted are three numbers "
                "each, the second ones above 0"
            )

    @property
    def outputs(self) -> int:
        """How many numbers the last layer gives."""
        return len(self.scale) if self.kind == "votes" else 1


@dataclass(frozen=True, kw_only=True)
class RaterConfig:
    """A whole network.

    Attributes
    ----------
    backbone : MaxViTConfig
        With the maps that are pooled: ``out_indices``.
    head : HeadConfig
    """

    backbone: MaxViTConfig
    head: HeadConfig

    @classmethod
    def from_fields(cls, fields: Mapping[str, Any]) -> RaterConfig:
        """Read what JSON holds of a configuration.

        Raises
        ------
        ConfigError
            If a field is unknown or a value cannot work.
        """
        try:
            head: dict[str, Any] = {**fields["head"]}
            head["scale"] = Scale(**head["scale"])
            return cls(backbone=MaxViTConfig(**fields["backbone"]), head=HeadConfig(**head))
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigError(f"this is no configuration of a rater: {error}") from error


def pooled_levels(config: MaxViTConfig, head: HeadConfig) -> MaxViTConfig:
    """Ask a backbone for the maps that a head pools."""
    last = len(config.depths)
    levels = (last,) if head.pool == "last" and head.kind != "closeness" else range(last + 1)
    return replace(config, out_indices=tuple(levels))
