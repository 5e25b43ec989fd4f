"""Checks of a configuration's fields: what a file or a user wrote there may be anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from multiaxis.errors import ConfigError

Size = tuple[int, int]
"""(rows, columns)."""

MOST = 1 << 20
"""Of anything that is counted: what is beyond is no configuration but an attack."""


def is_whole(value: object, least: int = 1, most: int = MOST) -> bool:
    """Tell whether a value is a whole number within bounds; True and False are none."""
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


@dataclass(frozen=True)
class FieldChecks:
    """Refusals of what a configuration cannot hold; each raises a `ConfigError`.

    Attributes
    ----------
    owner : str
        Whose fields they are, for messages, such as ``"MAXIM's field"``.
    """

    owner: str

    def require(self, holds: bool, name: str, value: object, accepted: str) -> None:  # noqa: FBT001 (the claim)
        """Refuse a field's value unless a claim about it holds; say what is accepted."""
        if not holds:
            raise ConfigError(f"{self.owner} {name} is {value!r}: accepted is {accepted}")

    def size(self, name: str, value: object, accepted: str) -> Size:
        """Give (rows, columns), which come as a list where they come from JSON."""
        pair: tuple[Any, ...] = tuple(value) if isinstance(value, Sequence) else ()
        self.require(len(pair) == 2 and all(map(is_whole, pair)), name, value, accepted)
        rows, columns = pair
        return rows, columns
