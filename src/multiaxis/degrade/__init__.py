"""Degradations: what spoils a picture, as small seeded values that can be chained."""

from multiaxis.degrade.apply import Degradation, degrade, degrade_picture
from multiaxis.degrade.chain import DEGRADATIONS, format_chain, parse_chain

__all__ = [
    "DEGRADATIONS",
    "Degradation",
    "degrade",
    "degrade_picture",
    "format_chain",
    "parse_chain",
]
