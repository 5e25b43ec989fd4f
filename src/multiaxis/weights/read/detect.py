"""What kind of container a path is, from its content; suffixes are not believed."""

from __future__ import annotations

import os
import zipfile
from enum import StrEnum
from pathlib import Path

from multiaxis.errors import WeightsError
from multiaxis.files.bounds import open_regular, readable
from multiaxis.weights.read.table import MAGIC
from multiaxis.weights.read.tensorflow import is_shard
from multiaxis.weights.read.zips import Archive

ACCEPTED = (
    "the authors' npz, a TensorFlow.js model (folder with model.json, or the packed .tgz), "
    "a TensorFlow checkpoint (its prefix, .index file or folder), a PyTorch file of tensors "
    "(.pth), or safetensors"
)


class Kind(StrEnum):
    """Containers that can be read."""

    NPZ = "npz"
    TFJS = "TensorFlow.js"
    TENSORFLOW = "TensorFlow"
    TORCH = "PyTorch"
    SAFETENSORS = "safetensors"


def detect(path: Path) -> Kind:
    """Find out what a file or folder is, or the files that a path is the prefix of.

    Parameters
    ----------
    path : Path

    Raises
    ------
    WeightsError
        If it is missing, empty, or nothing that can be read.
    """
    with readable(path):
        return _kind_of_folder(path) if path.is_dir() else _kind_of(path)


def _kind_of(path: Path) -> Kind:
    # Shards are bare numbers, so their name is all that tells them.
    if is_shard(path) or (not path.exists() and path.with_name(f"{path.name}.index").is_file()):
        return Kind.TENSORFLOW
    try:
        with open_regular(path) as file:
            head = file.read(16)
            file.seek(-min(len(MAGIC), len(head)), os.SEEK_END)
            tail = file.read()
    except OSError as error:
        raise WeightsError(f"cannot read the checkpoint {path}: {error.strerror}") from error
    kind = _kind_of_file(path, head, tail)
    if kind is None:
        found = "empty" if not head else f"of an unknown kind (it begins with {head[:8]!r})"
        raise WeightsError(f"the checkpoint {path} is {found}: accepted is {ACCEPTED}")
    return kind


def _kind_of_folder(path: Path) -> Kind:
    if any((path / place).is_file() for place in ("model.json", "models/model.json")):
        return Kind.TFJS
    if (path / "checkpoint").is_file() or any(path.glob("*.index")):
        return Kind.TENSORFLOW
    raise WeightsError(
        f"the folder {path} has no model.json and no TensorFlow checkpoint: accepted is {ACCEPTED}"
    )


def _kind_of_file(path: Path, head: bytes, tail: bytes) -> Kind | None:
    if tail == MAGIC:
        return Kind.TENSORFLOW
    if head.startswith(b"\x1f\x8b"):
        return Kind.TFJS
    if head.startswith(b"PK"):
        return _kind_of_zip(path)
    if len(head) > 9 and head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 100_000_000:
        return Kind.SAFETENSORS
    if head.startswith(b"\x80"):  # a pickle: whether it is one of tensors, its reader finds out
        return Kind.TORCH
    return None


def _kind_of_zip(path: Path) -> Kind:
    try:
        names = Archive(path).entries
    except (zipfile.BadZipFile, ValueError) as error:
        raise WeightsError(f"{path} is a damaged zip archive ({error}): fetch it again") from error
    if any(name.endswith(".pkl") for name in names):
        return Kind.TORCH
    if any(name.endswith(".npy") for name in names):
        return Kind.NPZ
    raise WeightsError(f"{path} is a zip archive without arrays: accepted is {ACCEPTED}")
