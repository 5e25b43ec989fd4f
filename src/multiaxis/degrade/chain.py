"""Degradations by name, and chains of them as words: ``motion-blur:length=20,gaussian-noise``."""

from __future__ import annotations

from dataclasses import fields

from multiaxis.degrade.apply import Degradation
from multiaxis.degrade.blur import Defocus, MotionBlur
from multiaxis.degrade.noise import CameraNoise, GaussianNoise, PoissonNoise, SensorNoise
from multiaxis.degrade.parameters import Range
from multiaxis.degrade.tone import Jpeg, Levels, LowLight, Shrink
from multiaxis.degrade.weather import Drops, Haze, Rain
from multiaxis.errors import ConfigError, unknown

DEGRADATIONS: dict[str, type[Degradation]] = {
    "gaussian-noise": GaussianNoise,
    "poisson-noise": PoissonNoise,
    "sensor-noise": SensorNoise,
    "camera-noise": CameraNoise,
    "motion-blur": MotionBlur,
    "defocus": Defocus,
    "rain": Rain,
    "drops": Drops,
    "haze": Haze,
    "low-light": LowLight,
    "jpeg": Jpeg,
    "levels": Levels,
    "shrink": Shrink,
}
"""In the order in which they happen to a picture: noise follows light, a file is written last."""


def parse_chain(words: str) -> tuple[Degradation, ...]:
    """Read a chain such as ``"rain:layers=3:angle=-10..10,jpeg:quality=60"``.

    Raises
    ------
    ConfigError
        If a name or a parameter is unknown, or a value cannot work.

    Examples
    --------
    >>> parse_chain("gaussian-noise:sigma=0..55")
    (GaussianNoise(sigma=(0.0, 55.0)),)
    """
    return tuple(_parse(word.strip()) for word in words.split(",") if word.strip())


def format_chain(chain: tuple[Degradation, ...]) -> str:
    """Write a chain as `parse_chain` reads it."""
    names = {kind: name for name, kind in DEGRADATIONS.items()}
    words: list[str] = []
    for link in chain:
        parts = [names[type(link)]]
        for field in fields(link):
            value = getattr(link, field.name)
            ends = value if isinstance(value, tuple) else (value,)
            parts.append(f"{field.name}=" + "..".join(f"{v:g}" for v in ends))
        words.append(":".join(parts))
    return ",".join(words)


def _parse(word: str) -> Degradation:
    name, *parts = word.split(":")
    if name not in DEGRADATIONS:
        raise unknown("degradation", name, DEGRADATIONS)
    kind = DEGRADATIONS[name]
    known = [field.name for field in fields(kind)]
    chosen: dict[str, Range] = {}
    for part in parts:
        key, equals, text = part.partition("=")
        if key not in known or not equals:
            raise unknown(f"parameter of {name}", key, known)
        chosen[key] = _range(part, text)
    return kind(**chosen)


def _range(part: str, text: str) -> Range:
    try:
        ends = [float(end) for end in text.split("..")]
    except ValueError:
        ends = []
    if len(ends) not in (1, 2):
        raise ConfigError(f"{part!r} is not a number: accepted is NAME=NUMBER or NAME=LOW..HIGH")
    return ends[0] if len(ends) == 1 else (ends[0], ends[1])
