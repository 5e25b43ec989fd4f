"""Refusing settings that make no sense, before hours are spent on them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from multiaxis.errors import ConfigError


def check_limits(part: str, settings: Any, limits: Mapping[str, tuple[float, float]]) -> None:
    """Compare fields with the least and the most that they may be; None is always accepted.

    Parameters
    ----------
    part : str
        The part of a recipe that they belong to, such as ``"optim"``.
    settings : object
        Whose fields they are.
    limits : mapping of str to (float, float)

    Raises
    ------
    ConfigError
        For the first one outside.
    """
    for name, (low, high) in limits.items():
        value = getattr(settings, name)
        each = value if isinstance(value, tuple) else (value,)
        if value is not None and not all(low <= v <= high for v in each):
            raise ConfigError(f"{part}.{name} is {value}: accepted is {low:g} to {high:g}")
