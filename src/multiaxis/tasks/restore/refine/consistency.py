"""What answers have to agree with, as words: ``light``, ``noise:sigma=50``, ``downscale:factor=4``.

No tensors here; `explain` has the arithmetic.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from multiaxis.errors import ConfigError, unknown


@dataclass(frozen=True)
class Light:
    """What is coarser than some 8 pixels stays as the predictor has it."""


@dataclass(frozen=True)
class Noise:
    """Input and answer differ by no more than Gaussian noise explains.

    Attributes
    ----------
    sigma : float
        Standard deviation of the noise, in levels of 0 to 255.
    """

    sigma: float

    def __post_init__(self) -> None:
        if not 0.1 <= self.sigma <= 255:
            raise ConfigError(f"the noise's sigma is {self.sigma:g}: accepted is 0.1 to 255")


@dataclass(frozen=True)
class Downscale:
    """Shrunk by means, the answer is the shrunk input.

    Attributes
    ----------
    factor : int
        Side of the squares whose means stay, pixels.
    """

    factor: int

    def __post_init__(self) -> None:
        if not 2 <= self.factor <= 64:
            raise ConfigError(f"downscale's factor is {self.factor}: accepted is 2 to 64")


Consistency = Light | Noise | Downscale

_PARAMETERS = {"light": None, "noise": "sigma", "downscale": "factor"}
ACCEPTED = "light, noise:sigma=50 or downscale:factor=4, with numbers of yours"


def parse_consistency(word: str) -> Consistency:
    """Read a word.

    Raises
    ------
    ConfigError
        If it is none, or its number cannot work.

    Examples
    --------
    >>> parse_consistency("downscale:factor=4")
    Downscale(factor=4)
    """
    name, colon, part = word.partition(":")
    if name not in _PARAMETERS:
        raise unknown("consistency", name, _PARAMETERS)
    wanted = _PARAMETERS[name]
    if wanted is None:
        if colon:
            raise ConfigError(f"{name} takes no number, and received {part!r}: pass {name} alone")
        return Light()
    key, _, text = part.partition("=")
    value = _number(text)
    if key != wanted or value is None:
        raise ConfigError(f"{word!r} says no {wanted}: accepted is {ACCEPTED}")
    if name == "noise":
        return Noise(value)
    if not value.is_integer():
        raise ConfigError(f"downscale's factor is {text}: accepted is a whole number, 2 to 64")
    return Downscale(int(value))


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
