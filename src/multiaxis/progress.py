"""How long work tells its caller how far it is. Rooms below the command never print."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """One report.

    Attributes
    ----------
    label : str
        What is being done.
    done : float
        Finished part, in `unit`.
    total : float or None
        The whole, where it is known.
    unit : str
        ``"bytes"``, ``"pictures"`` or ``"megapixels"``.
    """

    label: str
    done: float
    total: float | None
    unit: str


OnProgress = Callable[[Progress], None]
"""Receives reports; must return quickly."""

OnFraction = Callable[[float], None]
"""Receives how much of a piece of work is done, from 0 to 1; must return quickly."""


def part_of(on_progress: OnFraction | None, index: int, count: int) -> OnFraction | None:
    """Give the receiver of progress for one of several equal parts."""
    if on_progress is None:
        return None
    return lambda fraction: on_progress((index + fraction) / count)


def between(on_progress: OnFraction | None, start: float, end: float) -> OnFraction | None:
    """Give the receiver of progress for the part of a work between two fractions of it."""
    if on_progress is None:
        return None
    return lambda fraction: on_progress(start + (end - start) * fraction)
