"""Models by name, with weights by name."""

from __future__ import annotations

import fnmatch
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from multiaxis.errors import WeightsError, unknown
from multiaxis.models.maxim import VARIANTS, Maxim, MaximConfig
from multiaxis.weights.index import find_checkpoint, list_checkpoints
from multiaxis.weights.load import load_model, load_weights
from multiaxis.weights.pull import pull

FAMILY = "maxim"


def list_models(pattern: str = "*") -> list[str]:
    """Name the published variants that match a shell pattern.

    Examples
    --------
    >>> list_models("maxim_s*")
    ['maxim_s1', 'maxim_s2', 'maxim_s3']
    """
    return fnmatch.filter(VARIANTS, pattern)


def create_model(name: str, *, weights: str | Path | None = None, **config: Any) -> Maxim:
    """Build a model, in evaluation mode on the CPU.

    Parameters
    ----------
    name : str
        A variant of `list_models`, or ``"maxim"`` for the authors' defaults.
    weights : str or Path, optional
        A published checkpoint's name (pulled into the cache if need be) or a file. Parameters are
        random without it.
    **config
        Fields of `MaximConfig` that replace the variant's, under the authors' names.

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
    """
    if name not in (FAMILY, *VARIANTS):
        raise unknown("model", name, [*VARIANTS, FAMILY])
    known = [field.name for field in fields(MaximConfig)]
    for field in config:
        if field not in known:
            raise unknown("field of MAXIM", field, known)
    model = Maxim(replace(VARIANTS.get(name, MaximConfig()), **config))
    if weights is not None:
        load_weights(model, _file_of(weights, fits=name if name in VARIANTS else None))
    return model.eval()


def open_model(weights: str | Path, **pulling: Any) -> Maxim:
    """Build whatever model a checkpoint is of, with its weights, in evaluation mode on the CPU.

    Parameters
    ----------
    weights : str or Path
        A published checkpoint's name (pulled into the cache if need be) or a file.
    **pulling
        `offline` and `on_progress` of `multiaxis.weights.pull`.

    Raises
    ------
    ConfigError
        If the name is unknown.
    WeightsError
        If the weights cannot be had, or are of no known model.
    """
    return load_model(_file_of(weights, **pulling))


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
