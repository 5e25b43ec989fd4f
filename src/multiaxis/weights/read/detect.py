"""What kind of container a path is, from its content; suffixes are not believed."""

from __future__ import annotations

import zipfile
from enum import StrEnum
from pathlib import Path

from multiaxis.errors import WeightsError

ACCEPTED = (
    "the authors' npz, a TensorFlow.js model (folder with model.json, or the packed .tgz), "
    "or safetensors"
)


class Kind(StrEnum):
    """Containers that can be read."""

    NPZ = "npz"
    TFJS = "TensorFlow.js"
    SAFETENSORS = "safetensors"


def detect(path: Path) -> Kind:
    """Find out what a file or folder is.

    Parameters
    ----------
    path : Path

    Raises
    ------
    WeightsError
        If it is missing, empty, a pickle, or nothing that can be read.
    """
    if path.is_dir():
        if any((path / place).is_file() for place in ("model.json", "models/model.json")):
            return Kind.TFJS
        raise WeightsError(f"the folder {path} has no model.json: accepted is {ACCEPTED}")
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except OSError as error:
        raise WeightsError(f"cannot read the checkpoint {path}: {error.strerror}") from error
    if head.startswith(b"\x1f\x8b"):
        return Kind.TFJS
    if head.startswith(b"PK"):
        return _kind_of_zip(path)
    if len(head) > 9 and head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 100_000_000:
        return Kind.SAFETENSORS
    if head.startswith(b"\x80"):
        raise WeightsError(
            f"{path} is a pickle, which could run any code when it is read: refused; accepted is "
            f"{ACCEPTED}"
        )
    found = "empty" if not head else f"of an unknown kind (it begins with {head[:8]!r})"
    raise WeightsError(f"the checkpoint {path} is {found}: accepted is {ACCEPTED}")


def _kind_of_zip(path: Path) -> Kind:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError) as error:
        raise WeightsError(f"{path} is a damaged zip archive ({error}): fetch it again") from error
    if any(name.endswith(".pkl") for name in names):
        raise WeightsError(
            f"{path} is a PyTorch pickle, which is not read: save its tensors with "
            f"safetensors.torch.save_file; accepted is {ACCEPTED}"
        )
    if any(name.endswith(".npy") for name in names):
        return Kind.NPZ
    raise WeightsError(f"{path} is a zip archive without arrays: accepted is {ACCEPTED}")
