"""A checkpoint of any container, read before it is known what model it is of."""

from __future__ import annotations

import logging
from pathlib import Path

from multiaxis.models.contents import CheckpointContents
from multiaxis.weights.read import (
    FLAX_PARAMETERS,
    Kind,
    averaged,
    detect,
    read_npz,
    read_tensorflow,
    read_tfjs,
    read_torch,
)
from multiaxis.weights.read.bounds import readable
from multiaxis.weights.store import read_metadata_of, read_safetensors

_log = logging.getLogger(__name__)


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
