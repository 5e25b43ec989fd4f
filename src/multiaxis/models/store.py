"""Safetensors files of named tensors: how they are written, read and told apart."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from multiaxis.errors import ConfigError, WeightsError
from multiaxis.files.bounds import check_array, check_count, open_regular, readable
from multiaxis.files.folder import own_folder

_SUFFIX = ".safetensors"
_FOLDER = ".multiaxis-part-"
_MOST_HEAD = 1 << 24  # bytes; the largest published header has some 200,000


class StoreError(WeightsError):
    """The disk does not take a file, and no other source would change that."""


def as_named(path: str | Path) -> Path:
    """Give the path of a file that is to be written.

    Raises
    ------
    ConfigError
        If it does not end as such files do.
    """
    path = Path(path)
    if path.suffix != _SUFFIX:
        raise ConfigError(f"the file {path} must end in {_SUFFIX}: name it {path.stem}{_SUFFIX}")
    return path


def save_network(
    network: nn.Module, path: str | Path, about: Mapping[str, str] | None = None
) -> None:
    """Save a network around a model of a family, with its configuration.

    Parameters
    ----------
    network : Module
        Its ``config`` is a dataclass of plain values.
    path : str or Path
        A .safetensors file, written all or nothing; replaced if it exists.
    about : mapping of str to str, optional
        Further metadata, such as names of classes.

    Raises
    ------
    ConfigError
        If the path has another suffix.
    WeightsError
        If it cannot be written.
    """
    config: Any = network.config
    state = {name: tensor.detach().cpu() for name, tensor in network.state_dict().items()}
    write_safetensors(
        as_named(path), state, {**(about or {}), "config": json.dumps(asdict(config))}
    )


def fill(
    network: nn.Module,
    tensors: Mapping[str, Tensor],
    path: Path,
    what: str,
    *,
    assign: bool = False,
) -> None:
    """Load tensors into a network that their file states.

    Parameters
    ----------
    network : Module
    tensors : mapping of str to Tensor
    path : Path
        Of the file, for the message.
    what : str
        The network in one word.
    assign : bool
        Whether the network takes the tensors themselves, and so their dtype; as of PyTorch.

    Raises
    ------
    WeightsError
        If names or shapes differ.
    """
    wanted = network.state_dict()
    wrong = [
        name
        for name in sorted({*wanted, *tensors})
        if name not in wanted or name not in tensors or wanted[name].shape != tensors[name].shape
    ]
    if wrong:
        raise WeightsError(
            f"{path} does not fit the {what} that it states: {len(wrong)} tensors differ, such as "
            f"{', '.join(wrong[:3])}; save it again from where it came"
        )
    network.load_state_dict(tensors, assign=assign)


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
    with readable_safetensors(path):
        return safetensors.torch.load_file(path), metadata


def read_metadata_of(path: Path) -> dict[str, str]:
    """Read the metadata alone, as `read_safetensors`; the header is compared with bounds first."""
    with readable_safetensors(path):
        _check_head(path)
        with safe_open(path, framework="pt") as file:
            names = list(file.keys())
            check_count(len(names))
            for name in names:
                # That the bytes are there, the library has found.
                check_array(name, file.get_slice(name).get_shape(), 0, 0)
            return file.metadata() or {}


def _check_head(path: Path) -> None:
    with open_regular(path) as file:
        size = int.from_bytes(file.read(8), "little")
    if size > _MOST_HEAD:
        raise ValueError(f"its header has {size} bytes, and no model's more than {_MOST_HEAD}")


def readable_safetensors(path: Path) -> AbstractContextManager[None]:
    """Turn whatever is raised inside into one sentence about a safetensors file."""
    return readable(path, "a readable safetensors file", "fetch or convert it again")


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
        with own_folder(path.parent, _FOLDER) as folder:
            temporary = folder / "part.safetensors"
            safetensors.torch.save_file(whole, temporary, stamped)
            umask = os.umask(0)
            os.umask(umask)
            temporary.chmod(0o666 & ~umask)  # it was made private; the cache may be shared
            temporary.replace(path)
    except (OSError, SafetensorError) as error:
        raise StoreError(
            f"cannot write {path} ({error}): check the folder and the free space"
        ) from error
