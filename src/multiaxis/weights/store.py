"""Converted checkpoints: how they are written, read and checked."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from multiaxis.errors import WeightsError
from multiaxis.weights.cache import HOME_VARIABLE


class StoreError(WeightsError):
    """The disk does not take a file, and no other source would change that."""


def digest(tensors: Mapping[str, Tensor]) -> str:
    """Hash the tensors' names, types, shapes and values, whatever file they are in (sha256)."""
    total = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        total.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        total.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return total.hexdigest()


def read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read tensors and metadata.

    Raises
    ------
    WeightsError
        If the file is corrupt, truncated or cannot be opened.
    """
    metadata = read_metadata_of(path)
    with _readable(path):
        return safetensors.torch.load_file(path), metadata


def read_metadata_of(path: Path) -> dict[str, str]:
    """Read the metadata alone, as `read_safetensors`."""
    with _readable(path), safe_open(path, framework="pt") as file:
        return file.metadata() or {}


@contextmanager
def _readable(path: Path) -> Generator[None]:
    try:
        yield
    except (SafetensorError, OSError) as error:
        raise WeightsError(
            f"{path} is not a readable safetensors file ({error}): fetch or convert it again"
        ) from error


def write_safetensors(
    path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]
) -> None:
    """Write tensors and metadata under a temporary name, then rename: never half a file.

    Raises
    ------
    StoreError
        If the folder or the disk does not take the file; nothing is left behind.
    """
    stamped = {**metadata, "digest": digest(tensors)}
    whole = {name: tensor.contiguous() for name, tensor in tensors.items()}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _temporary_beside(path) as temporary:
            safetensors.torch.save_file(whole, temporary, stamped)
            umask = os.umask(0)
            os.umask(umask)
            temporary.chmod(0o666 & ~umask)  # it was made private; the cache may be shared
            temporary.replace(path)
    except (OSError, SafetensorError) as error:
        raise StoreError(
            f"cannot write {path} ({error}): check the folder and the free space, or set "
            f"{HOME_VARIABLE} to another folder"
        ) from error


def is_intact(path: Path) -> bool:
    """Whether a written file still holds what was written."""
    try:
        tensors, metadata = read_safetensors(path)
    except WeightsError:
        return False
    return metadata.get("digest") == digest(tensors)


@contextmanager
def _temporary_beside(path: Path) -> Generator[Path]:
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)
