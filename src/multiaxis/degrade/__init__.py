"""Degradations: what spoils a picture, as small seeded values that can be chained."""

from multiaxis.degrade.apply import Degradation, degrade, degrade_picture
from multiaxis.degrade.spell import DEGRADATIONS, parse_chain, spell

__all__ = [
    "DEGRADATIONS",
    "Degradation",
    "degrade",
    "degrade_picture",
    "parse_chain",
    "spell",
]
