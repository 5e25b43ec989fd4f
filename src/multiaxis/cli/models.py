"""``multiaxis models``."""

from __future__ import annotations

import fnmatch

from multiaxis.cli import console


def models(pattern: str = "*", /) -> None:
    """List the models.

    Parameters
    ----------
    pattern
        A shell pattern that names must match, such as "maxvit*".
    """
    from multiaxis.models.families import FAMILIES

    for family in FAMILIES.values():
        for name in fnmatch.filter(family.variants, pattern):
            console.say(f"{name:24}  {family.describe(family.variants[name])}")
