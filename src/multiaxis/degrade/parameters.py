"""Parameters of degradations: a number, or a range that one is drawn from."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray

from multiaxis.errors import ConfigError

Array = NDArray[np.float32]
"""A picture (height, width, 3) of sRGB values in [0, 1]."""

Range = float | tuple[float, float]
"""A number, or the ends of a range that it is drawn from evenly."""

S = TypeVar("S", bound="Settings")


@dataclass(frozen=True)
class Settings:
    """What all degradations share: every field is a `Range` with limits.

    Attributes
    ----------
    limits : dict of str to (float, float)
        The least and the most that each field may be.
    whole : tuple of str
        Fields that are whole numbers.
    """

    limits: ClassVar[dict[str, tuple[float, float]]] = {}
    whole: ClassVar[tuple[str, ...]] = ()

    @property
    def reach(self) -> int:
        """Pixels around a crop that its own pixels depend on."""
        return 0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            ends = value if isinstance(value, tuple) else (value, value)
            low, high = self.limits[field.name]
            good = (
                len(ends) == 2
                and all(isinstance(v, int | float) and math.isfinite(v) for v in ends)
                and low <= ends[0] <= ends[1] <= high
            )
            if not good:
                raise ConfigError(
                    f"{type(self).__name__}'s {field.name} is {value!r}: accepted is a number from "
                    f"{low:g} to {high:g}, or a range LOW..HIGH inside it"
                )

    def drawn(self: S, rng: np.random.Generator) -> S:
        """Return the same with a number in the place of each range."""
        chosen: dict[str, Any] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, tuple):
                value = float(rng.uniform(*value))
            chosen[field.name] = round(value) if field.name in self.whole else float(value)
        return replace(self, **chosen)


def most(value: Range) -> float:
    """Give the largest value that can be drawn."""
    return max(value) if isinstance(value, tuple) else value


def number(value: Range) -> float:
    """Take a parameter that was drawn."""
    if isinstance(value, tuple):
        raise ConfigError(f"the range {value} was not drawn: call .drawn(rng) first")
    return value
