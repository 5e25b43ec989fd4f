"""A checkpoint of any container, read before it is known what model it is of."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from multiaxis.errors import WeightsError
from multiaxis.files.bounds import readable
from multiaxis.models.contents import CheckpointContents
from multiaxis.models.families import marks
from multiaxis.models.wrapping import unwrap
from multiaxis.weights.read import (
    FLAX_PARAMETERS,
    Kind,
    averaged,
    detect,
    flattened,
    read_npz,
    read_tensorflow,
    read_tfjs,
    read_torch,
)
from multiaxis.weights.store import read_metadata_of, read_safetensors

_log = logging.getLogger(__name__)

Weights = str | Path | Mapping[str, Any]
"""A published checkpoint's name, a file, or a state dict, alone or in other dicts."""

STATED = {
    "detector": ("a detector", "multiaxis detect"),
    "segmenter": ("a segmenter", "multiaxis segment"),
    "rater": ("a rater", "multiaxis rate"),
    "refiner": ("a refiner", "multiaxis restore --samples"),
    "generator": ("a generator", "multiaxis generate"),
}
"""What files of whole networks around a model of a family state something under."""


def read_contents(path: Path) -> CheckpointContents:
    """Read a checkpoint of any container.

    Raises
    ------
    WeightsError
        If it is unreadable, or of no known container.
    """
    kind = detect(path)
    with readable(path):
        return _contents(path, kind)


def read_model(path: Path) -> CheckpointContents:
    """Read the one model of a checkpoint, whatever it is wrapped in and lies beside.

    Raises
    ------
    WeightsError
        As `read_contents`; or if it holds several models, and nothing prefers one.
    """
    contents = read_contents(path)
    with readable(path):
        try:
            return unwrap(contents, marks())
        except WeightsError:
            for key in STATED.keys() & contents.metadata.keys():
                thing, command = STATED[key]
                raise WeightsError(
                    f"{path} is {thing}, for {command}: accepted is a file of one MAXIM or MaxViT"
                ) from None
            raise


def read_state_dict(tensors: Mapping[str, Any]) -> CheckpointContents:
    """Take a state dict as a container: tensors by name, alone or in dicts in each other.

    Raises
    ------
    WeightsError
        If there are no tensors in it, or several models and nothing that prefers one.
    """
    path = Path("the state dict")
    with readable(path):
        arrays = flattened(tensors, lambda value: isinstance(value, Tensor | np.ndarray))
        if not arrays:
            keys = ", ".join(map(repr, list(tensors)[:8])) or "nothing"
            raise WeightsError(
                f"the state dict has no tensors but {keys}: give model.state_dict(), or a dict "
                "with one in it"
            )
        values: dict[str, Any] = {
            name: value.detach() if isinstance(value, Tensor) else value
            for name, value in arrays.items()
        }
        return unwrap(CheckpointContents(path, "state dict", values), marks())


def _contents(path: Path, kind: Kind) -> CheckpointContents:
    match kind:
        case Kind.NPZ:
            return CheckpointContents(path, kind, averaged(read_npz(path, FLAX_PARAMETERS))[0])
        case Kind.TFJS:
            graph = read_tfjs(path)
            return CheckpointContents(path, kind, graph.arrays, nodes=graph.nodes)
        case Kind.TENSORFLOW:
            arrays, is_averaged = averaged(read_tensorflow(path))
            if not is_averaged:
                _log.warning("%s has no averaged weights: using the raw ones", path)
            return CheckpointContents(path, kind, arrays)
        case Kind.TORCH:
            return CheckpointContents(path, kind, read_torch(path))
        case Kind.SAFETENSORS:
            tensors, metadata = read_safetensors(path)
            return CheckpointContents(path, kind, tensors, metadata)


def read_metadata(path: Path) -> dict[str, str]:
    """Read what a file says of itself, without its tensors; only safetensors say anything.

    Raises
    ------
    WeightsError
        As `read_contents`.
    """
    return read_metadata_of(path) if detect(path) is Kind.SAFETENSORS else {}
