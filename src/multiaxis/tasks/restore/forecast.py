"""What restoring a picture will take, from its size and the models' configurations. No tensors."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from multiaxis.models.maxim import VARIANTS, MaximConfig
from multiaxis.models.maxim.plan import TEMPORARIES, peak_memory, piece_size
from multiaxis.weights.index import Checkpoint, find_checkpoint

_ITEM = {"float32": 4, "bfloat16": 2, "float16": 2}
_FILE = 60
"""Bytes for each pixel of a picture beside the network: samples as read, as floats, padded,
restored, as written, and encoded."""


@dataclass(frozen=True)
class Forecast:
    """What restoring one picture takes.

    Attributes
    ----------
    megapixels : float
        Padded, as the networks see them: the time is proportional to them.
    memory : int
        Bytes beside the process and its weights.
    """

    megapixels: float
    memory: int


def forecast(
    names: Sequence[str],
    height: int,
    width: int,
    *,
    dtype: str = "float32",
    threads: int = 0,
    holds_maps: bool = True,
) -> Forecast:
    """Estimate what restoring a picture takes.

    Parameters
    ----------
    names : sequence of str
        Published checkpoints, in the order of their work.
    height, width : int
        Pixels.
    dtype : str
        Of the maps: ``"float32"``, ``"bfloat16"`` or ``"float16"``.
    threads : int
        Of the work; by default one for each core.
    holds_maps : bool
        Whether the networks' maps lie in the same memory. On a GPU they do not: there the restorer
        goes on in pieces when its memory is short, and refuses what is too large even so.

    Raises
    ------
    ConfigError
        If a name is unknown.
    """
    workspace = TEMPORARIES * piece_size(threads or os.cpu_count() or 1)
    memory, megapixels = 0, 0.0
    for name in names:
        config = config_of(find_checkpoint(name))
        sides = zip((height, width), config.size_multiple, strict=True)
        pixels = prod(-(-side // multiple) * multiple for side, multiple in sides)
        memory = max(memory, peak_memory(config, pixels, _ITEM.get(dtype, 4), workspace))
        megapixels += pixels / 1e6
    return Forecast(megapixels, (memory if holds_maps else 0) + height * width * _FILE)


def config_of(checkpoint: Checkpoint) -> MaximConfig:
    """Give the configuration of a published MAXIM, without loading it."""
    if checkpoint.model in VARIANTS:
        return VARIANTS[checkpoint.model]
    return MaximConfig(**_stated(checkpoint.packaged)) if checkpoint.packaged else MaximConfig()


@functools.cache
def _stated(path: Path) -> dict[str, Any]:
    """Read what a file of ours states of its model; of a refiner's, the predictor's share."""
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as file:
        stated = json.loads((file.metadata() or {}).get("config", "{}"))
    return stated.get("predictor", stated)
