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
    from multiaxis.models.maxim import MaximConfig
    from multiaxis.zoo import list_models, variants

    for name in list_models(pattern):
        config = variants()[name]
        if isinstance(config, MaximConfig):
            what = f"MAXIM, {config.num_stages} stages, {config.features} features"
        else:
            blocks, widths = ("-".join(map(str, n)) for n in (config.depths, config.widths))
            what = f"MaxViT, {blocks} blocks of {widths} channels"
        console.say(f"{name:24}  {what}")
