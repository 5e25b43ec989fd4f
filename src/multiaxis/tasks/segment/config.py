"""What a segmenter can be configured to. No tensors here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from multiaxis.errors import ConfigError
from multiaxis.models.maxvit.config import MaxViTConfig

_MOST_CLASSES = 65_535


@dataclass(frozen=True, kw_only=True)
class DecoderConfig:
    """How a backbone's maps become classes; the defaults are those of the authors' segmenters.

    Source: TensorFlow model garden, ``official/projects/maxvit/configs/semantic_segmentation.py``.

    Attributes
    ----------
    kind : str
        ``fpn``: a feature pyramid and convolutions on its finest level. ``unet``: from the coarsest
        map, each finer one is put beside what came so far.
    level : int
        Where classes are told, in both: its pixels are 2 ** level of the picture's. Bilinear
        interpolation gives the picture's own pixels. 1 (the stem) to the backbone's last; ``unet``
        also takes 0.
    channels : int
        ``fpn``: of the pyramid and of the convolutions.
    fusion : str
        ``fpn``: ``sum`` or ``concat``.
    convs : int
        ``fpn``: 3 x 3 convolutions on the finest level.
    widths : tuple of int
        ``unet``: channels of each step from the coarsest level on, at least as many as there are.
    bn_epsilon, bn_momentum : float
        Of batch norms; the momentum is PyTorch's, 1 - TensorFlow's.
    """

    kind: Literal["fpn", "unet"] = "fpn"
    level: int = 3
    channels: int = 256
    fusion: Literal["sum", "concat"] = "sum"
    convs: int = 3
    widths: tuple[int, ...] = (256, 128, 64, 32, 16)
    bn_epsilon: float = 1e-3
    bn_momentum: float = 0.01

    def __post_init__(self) -> None:
        object.__setattr__(self, "widths", tuple(self.widths))  # a list, where it comes from JSON
        for name, choices in (("kind", ("fpn", "unet")), ("fusion", ("sum", "concat"))):
            value = getattr(self, name)
            _require(value in choices, name, value, " or ".join(choices))
        least = 0 if self.kind == "unet" else 1
        _require(least <= self.level <= 12, "level", self.level, f"{least} to the backbone's last")
        _require(self.channels >= 1, "channels", self.channels, "1 or more")
        _require(self.convs >= 0, "convs", self.convs, "0 or more")
        _require(min(self.widths, default=0) >= 1, "widths", self.widths, "numbers from 1 on")
        _require(0 < self.bn_epsilon < 1, "bn_epsilon", self.bn_epsilon, "a number in (0, 1)")
        _require(0 < self.bn_momentum <= 1, "bn_momentum", self.bn_momentum, "a number in (0, 1]")


@dataclass(frozen=True, kw_only=True)
class SegmenterConfig:
    """A whole network.

    Attributes
    ----------
    num_classes : int
    backbone : MaxViTConfig
    decoder : DecoderConfig
    """

    num_classes: int
    backbone: MaxViTConfig
    decoder: DecoderConfig

    def __post_init__(self) -> None:
        accepted = f"1 to {_MOST_CLASSES}"
        _require(1 <= self.num_classes <= _MOST_CLASSES, "num_classes", self.num_classes, accepted)

    @classmethod
    def from_fields(cls, fields: Mapping[str, Any]) -> SegmenterConfig:
        """Read what JSON holds of a configuration.

        Raises
        ------
        ConfigError
            If a field is unknown or a value cannot work.
        """
        try:
            return cls(
                num_classes=fields["num_classes"],
                backbone=MaxViTConfig(**fields["backbone"]),
                decoder=DecoderConfig(**fields["decoder"]),
            )
        except (KeyError, TypeError) as error:
            raise ConfigError(f"this is no configuration of a segmenter: {error}") from error


def _require(holds: bool, name: str, value: object, accepted: str) -> None:  # noqa: FBT001 (the claim)
    if not holds:
        raise ConfigError(f"a segmenter's {name} is {value!r}: accepted is {accepted}")
