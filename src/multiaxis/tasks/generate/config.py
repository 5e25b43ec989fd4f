"""What a generator and its discriminator can be configured to. No tensors here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from multiaxis.errors import ConfigError

ORDERS = {"gbc": ("grid", "block", "conv"), "cbg": ("conv", "block", "grid")}
"""Of the parts of a block: the paper's generator, and MaxViT's own."""

_MOST_SIDE = 4096
_MOST_WIDTH = 16_384


@dataclass(frozen=True, kw_only=True)
class GeneratorConfig:
    """A MaxViT-GAN; the defaults make pictures of 128 x 128.

    The paper publishes neither widths nor depths, windows and sizes of the latent: these defaults
    are ours. They have 18.5 million parameters, where the paper's generator has 18.6.

    Attributes
    ----------
    latent : int
        Length of the random vector z.
    tokens : int
        That z is projected to, for cross-attention.
    start : int
        Side of the first stage's map, pixels; each further stage doubles it.
    widths, depths : tuple of int
        Channels and blocks of each stage.
    head_dim : int
        Channels of an attention head; divides every width.
    window : int
        Pixels of a block's side, and cells of the grid along a side, in all stages.
    order : str
        ``gbc``: grid attention, block attention, MBConv, as the paper's generator has it. ``cbg``
        is MaxViT's order, which the paper's table 8 compares it with.
    expansion : int
        Widening inside the MLPs and MBConv.
    start_weights : str
        What random parameters start from. ``normal``: N(0, 0.02) everywhere. ``scaled``: by each
        layer's width, which learns faster where widths are small.
    """

    latent: int = 256
    tokens: int = 16
    start: int = 8
    widths: tuple[int, ...] = (256, 256, 128, 128, 64)
    depths: tuple[int, ...] = (2, 2, 2, 2, 2)
    head_dim: int = 32
    window: int = 8
    order: Literal["gbc", "cbg"] = "gbc"
    expansion: int = 4
    start_weights: Literal["normal", "scaled"] = "normal"

    def __post_init__(self) -> None:
        for name in ("widths", "depths"):  # lists, where they come from JSON
            object.__setattr__(self, name, tuple(getattr(self, name)))
        for name in ("latent", "tokens", "start", "head_dim", "window", "expansion"):
            value = getattr(self, name)
            _require(_is_size(value), "generator", name, value, f"1 to {_MOST_WIDTH}")
        _check_widths("generator", self.widths)
        fits = len(self.depths) == len(self.widths) and min(self.depths, default=0) >= 1
        wanted = f"a number from 1 on for each of {len(self.widths)} stages"
        _require(fits, "generator", "depths", self.depths, wanted)
        divides = all(width % self.head_dim == 0 for width in self.widths)
        wanted = f"one that divides every width, {self.widths}"
        _require(divides, "generator", "head_dim", self.head_dim, wanted)
        shuffled = all(width % 4 == 0 for width in self.widths[:-1])
        wanted = "multiples of 4 before the last: pixel shuffle takes 4 channels for each one"
        _require(shuffled, "generator", "widths", self.widths, wanted)
        small = self.size <= _MOST_SIDE
        wanted = f"{_MOST_SIDE} / 2 ** (stages - 1) at most"
        _require(small, "generator", "start", self.start, wanted)
        _require(self.order in ORDERS, "generator", "order", self.order, " or ".join(ORDERS))
        starts = ("normal", "scaled")
        known = self.start_weights in starts
        _require(known, "generator", "start_weights", self.start_weights, " or ".join(starts))

    @property
    def size(self) -> int:
        """Side of the pictures, pixels."""
        return self.start * 2 ** (len(self.widths) - 1)

    @classmethod
    def from_fields(cls, fields: Mapping[str, Any]) -> GeneratorConfig:
        """Read what JSON holds of a configuration.

        Raises
        ------
        ConfigError
            If a field is unknown or a value cannot work.
        """
        try:
            return cls(**fields)
        except TypeError as error:
            raise ConfigError(f"this is no configuration of a generator: {error}") from error


@dataclass(frozen=True, kw_only=True)
class DiscriminatorConfig:
    """A residual network that tells made pictures from real ones.

    Source: StyleGAN2's, as HiT uses it, whose widths are these for 128 x 128.

    Attributes
    ----------
    widths : tuple of int
        Channels at the picture's own size, half of it and so on, down to the last map.
    """

    widths: tuple[int, ...] = (128, 256, 512, 512, 512, 512)

    def __post_init__(self) -> None:
        object.__setattr__(self, "widths", tuple(self.widths))  # a list, where it comes from words
        _check_widths("discriminator", self.widths)


def _is_size(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= _MOST_WIDTH


def _check_widths(part: str, widths: tuple[int, ...]) -> None:
    fits = 1 <= len(widths) <= 12 and all(_is_size(width) for width in widths)
    _require(fits, part, "widths", widths, f"1 to 12 numbers from 1 to {_MOST_WIDTH}")


def _require(holds: bool, part: str, name: str, value: object, accepted: str) -> None:  # noqa: FBT001 (the claim)
    if not holds:
        raise ConfigError(f"a {part}'s {name} is {value!r}: accepted is {accepted}")


GENERATORS: dict[str, GeneratorConfig] = {
    "maxvit_gan_128": GeneratorConfig(),
    "maxvit_gan_64": GeneratorConfig(widths=(256, 128, 128, 64), depths=(2, 2, 2, 2)),
    "maxvit_gan_32": GeneratorConfig(
        latent=64,
        tokens=8,
        widths=(96, 48, 24),
        depths=(1, 1, 1),
        head_dim=24,
        expansion=2,
        start_weights="scaled",
    ),
}
"""By name. The first is the paper's as far as it is published; the others are ours."""
