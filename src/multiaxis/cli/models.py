"""``multiaxis models``."""

from __future__ import annotations

from multiaxis.cli import console


def models(pattern: str = "*", /) -> None:
    """List the models.

    Parameters
    ----------
    pattern
        Shell pattern that names must match.
    """
    from multiaxis.models.maxim import VARIANTS
    from multiaxis.zoo import list_models

    for name in list_models(pattern):
        config = VARIANTS[name]
        console.say(f"{name:10}  MAXIM, {config.num_stages} stages, {config.features} features")
