"""Models by name, with weights by name."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from multiaxis.errors import WeightsError, unknown
from multiaxis.models.maxim import VARIANTS as MAXIM_VARIANTS
from multiaxis.models.maxim import Maxim, MaximConfig
from multiaxis.models.maxvit import VARIANTS as MAXVIT_VARIANTS
from multiaxis.models.maxvit import MaxViT, MaxViTConfig
from multiaxis.weights.contents import read_contents
from multiaxis.weights.fit import maxim, maxvit
from multiaxis.weights.index import find_checkpoint, list_checkpoints
from multiaxis.weights.load import load_contents, load_model, recognise
from multiaxis.weights.pull import pull

FAMILIES: dict[str, MaximConfig | MaxViTConfig] = {"maxim": MaximConfig(), "maxvit": MaxViTConfig()}
"""The authors' defaults, under the family's name."""


def variants() -> dict[str, MaximConfig | MaxViTConfig]:
    """Give the configuration of each published variant."""
    return {**MAXIM_VARIANTS, **MAXVIT_VARIANTS}


def list_models(pattern: str = "*") -> list[str]:
    """Name the published variants that match a shell pattern.

    Examples
    --------
    >>> list_models("maxim_s*")
    ['maxim_s1', 'maxim_s2', 'maxim_s3']
    """
    return fnmatch.filter(variants(), pattern)


def create_model(
    name: str, *, weights: str | Path | None = None, **config: Any
) -> Any:  # which class it is, the name decides
    """Build a model, in evaluation mode on the CPU.

    Parameters
    ----------
    name : str
        A variant of `list_models`; or ``"maxim"`` or ``"maxvit"``: the checkpoint's own
        configuration, without weights the authors' defaults.
    weights : str or Path, optional
        A published checkpoint's name (pulled into the cache if need be) or a file. Parameters are
        random without it.
    **config
        Fields of `MaximConfig` or `MaxViTConfig` that replace the variant's. A MaxViT has the
        checkpoint's number of classes and image size unless they are given.

    Returns
    -------
    Maxim or MaxViT

    Raises
    ------
    ConfigError
        If the name or a field is unknown, or a value cannot work.
    WeightsError
        If the weights cannot be had or do not fit.

    Examples
    --------
    >>> create_model("maxim", features=8, num_stages=1, block_size_hr=(8, 4)).config.features
    8
    >>> create_model("maxvit_pico", num_classes=7, image_size=96).config.windows
    ((3, 3), (3, 3))
    """
    known = {**variants(), **FAMILIES}
    if name not in known:
        raise unknown("model", name, known)
    start = known[name]
    accepted = [field.name for field in fields(start)]
    for field in config:
        if field not in accepted:
            raise unknown("field of " + type(start).__name__, field, accepted)
    if weights is None:
        return _build(start, config).eval()
    contents = read_contents(_file_of(weights, fits=name if name not in FAMILIES else None))
    origin = recognise(contents)
    if isinstance(start, MaxViTConfig) and origin in maxvit.ORIGINS:
        model = MaxViT(maxvit.adopt(start, maxvit.config_of(contents, origin), config))
    elif name == "maxim" and origin in maxim.ORIGINS:
        model = Maxim(replace(maxim.config_of(contents, origin), **config))
    else:
        model = _build(start, config)
    load_contents(model, contents)
    return model.eval()


def _build(start: MaximConfig | MaxViTConfig, config: dict[str, Any]) -> Maxim | MaxViT:
    if isinstance(start, MaximConfig):
        return Maxim(replace(start, **config))
    return MaxViT(replace(start, **config))


def open_model(
    weights: str | Path, *, config: Mapping[str, Any] | None = None, **pulling: Any
) -> Maxim | MaxViT:
    """Build whatever model a checkpoint is of, with its weights, in evaluation mode on the CPU.

    Parameters
    ----------
    weights : str or Path
        A published checkpoint's name (pulled into the cache if need be) or a file.
    config : mapping of str to value, optional
        Fields that replace what the checkpoint shows, such as `image_size`.
    **pulling
        `offline` and `on_progress` of `multiaxis.weights.pull`.

    Raises
    ------
    ConfigError
        If the name is unknown.
    WeightsError
        If the weights cannot be had, or are of no known model.
    """
    return load_model(_file_of(weights, **pulling), **(config or {}))


def _file_of(weights: str | Path, *, fits: str | None = None, **pulling: Any) -> Path:
    """Return the file of a checkpoint given by name or path."""
    path = Path(weights)
    names = {row.name for row in list_checkpoints()}  # first: a folder may be called "derain"
    looks_like_a_file = len(path.parts) > 1 or path.suffix or path.exists()
    if isinstance(weights, Path) or (weights not in names and looks_like_a_file):
        return path
    checkpoint = find_checkpoint(weights)
    if fits is not None and checkpoint.model != fits:
        raise WeightsError(
            f"the weights {weights!r} are those of {checkpoint.model}, not of {fits}: "
            f"use create_model({checkpoint.model!r}, weights={weights!r})"
        )
    return pull(checkpoint, **pulling)
