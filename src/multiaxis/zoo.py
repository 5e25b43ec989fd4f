"""Models by name, with weights by name."""

from __future__ import annotations

import fnmatch
from dataclasses import fields, replace
from pathlib import Path
from typing import Any


from multiaxis.errors import WeightsError, unknown
from multiaxis.models.maxim import VARIANTS, Maxim, MaximConfig
from multiaxis.weights import find_checkpoint, load_weights, pull
from multiaxis.weights.index import list_checkpoints

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
        A published checkpoint's name (pulled into the cache if need be) or a file. Random otherwise.
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
        load_weights(model, _weights_file(weights, name))
    return model.eval()


def _weights_file(weights: str | Path, name: str) -> Path:
    if isinstance(weights, Path) or Path(weights).exists():
        return Path(weights)
    if "/" in weights or "." in weights:
        raise WeightsError(f"there is no checkpoint file {weights}: give a file, or one of "
                           f"{', '.join(row.name for row in list_checkpoints())}")
    checkpoint = find_checkpoint(weights)
    if name in VARIANTS and checkpoint.model != name:
        raise WeightsError(
            f"the weights {weights!r} are those of {checkpoint.model}, not of {name}: "
            f"use create_model({checkpoint.model!r}, weights={weights!r})"
        )
    return pull(checkpoint)
