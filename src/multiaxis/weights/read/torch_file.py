"""PyTorch's own files (``.pth``, ``.pt``), read without running what a pickle may ask for."""

from __future__ import annotations

import logging
import sys
import zipfile
from pathlib import Path
from typing import Any

from torch import Tensor

from multiaxis.errors import WeightsError
from multiaxis.weights.read.bounds import check_count, map_regular, quoted, readable
from multiaxis.weights.read.pickles import Call, ForbiddenError, Name, Reference, read_pickle
from multiaxis.weights.read.storages import Tensors, dtype_of, is_tensor
from multiaxis.weights.read.zips import Archive

_log = logging.getLogger(__name__)

# Where training scripts keep parameters: averages first, for they are what was evaluated.
_NESTS = (
    "state_dict_ema",
    "model_ema",
    "ema_state_dict",
    "state_dict",
    "model_state_dict",
    "model",
)
_DEEPEST = 8  # nests in each other
_WRAPPERS = ("module.", "_orig_mod.")  # of DataParallel and AveragedModel, of torch.compile
_REMEDY = (
    "if you trust the file, save its tensors where it can be loaded, with "
    "torch.save(model.state_dict(), ...) or safetensors.torch.save_file"
)
_MAGIC = 0x1950A86A20F9469CFC6C  # with which files in the older format begin
_PROTOCOL = 1001
_COUNT = 8  # bytes before each storage that state its elements


def read_torch(path: Path) -> dict[str, Tensor]:
    """Read the parameters in a file that `torch.save` wrote, in the zip format or the older one.

    Parameters
    ----------
    path : Path
        A state dict, or a training checkpoint with one in it: averaged parameters
        (``state_dict_ema``, ``model_ema``, ``ema_state_dict``) are preferred to raw ones
        (``state_dict``, ``model_state_dict``, ``model``). The prefixes that parallel training
        and compilation put before names are taken off.

    Returns
    -------
    dict of str to Tensor
        On the CPU; mapped from the file.

    Raises
    ------
    WeightsError
        If it is damaged, holds no state dict, or would run code when it is read.
    """
    what = "a whole PyTorch file of tensors"
    with readable(path, what, f"fetch it again, or {_REMEDY}"):
        try:
            found, tensors = _open_zip(path) if zipfile.is_zipfile(path) else _open_old(path)
        except ForbiddenError as error:
            raise WeightsError(
                f"{path} is a pickle that asks for {error.name} when it is read, and so could run "
                f"any code: it is refused; {_REMEDY}"
            ) from error
        state = _state_dict(found, path)
        return _unwrapped({name: tensors.make(name, value) for name, value in state.items()})


def _open_zip(path: Path) -> tuple[Any, Tensors]:
    archive = Archive(path)
    root = next((n for n in archive.entries if n.rpartition("/")[2] == "data.pkl"), None)
    if root is None:
        raise ValueError("it has no data.pkl")
    root = root.removesuffix("data.pkl")
    if f"{root}constants.pkl" in archive.entries:
        raise WeightsError(f"{path} is a TorchScript archive, which holds code: refused; {_REMEDY}")
    packed = [name for name, entry in archive.entries.items() if entry.compress_type]
    if packed:
        raise ValueError(f"{quoted(packed[0])} is compressed, which torch.save does not do")
    order = f"{root}byteorder"
    if order in archive.entries and bytes(archive.read(order)) != sys.byteorder.encode():
        raise ValueError("its numbers have the bytes of another kind of machine")
    contents = {name: archive.read(name) for name in archive.entries}  # compares the checksums
    found, _ = read_pickle(contents[f"{root}data.pkl"])
    return found, Tensors(
        lambda key: contents[f"{root}data/{key}"], sum(map(len, contents.values()))
    )


def _open_old(path: Path) -> tuple[Any, Tensors]:
    """Read the format before the zip: pickles in a row, then the storages."""
    data = map_regular(path)
    magic, at = read_pickle(data)
    if magic != _MAGIC:
        raise ValueError(f"it begins with {quoted(magic)}, not with a mark of torch.save")
    protocol, at = read_pickle(data, at)
    about, at = read_pickle(data, at)
    if protocol != _PROTOCOL or not isinstance(about, dict) or not about.get("little_endian"):
        raise ValueError("it was written by another kind of machine")
    references: list[Reference] = []
    found, at = read_pickle(data, at, references)
    keys, at = read_pickle(data, at)
    widths = {key: dtype.itemsize for dtype, key, _ in map(dtype_of, references)}
    places: dict[str, memoryview] = {}
    for key in keys:
        start = at + _COUNT
        at = start + int.from_bytes(data[at:start], "little") * widths[key]
        if at > len(data):
            raise ValueError(f"the storage {quoted(key)} is cut short")
        places[key] = data[start:at]
    return found, Tensors(places.__getitem__, len(data))


def _state_dict(found: object, path: Path) -> dict[str, object]:
    nests: list[str] = []
    while isinstance(found, dict) and len(nests) < _DEEPEST:
        nest = next((key for key in _NESTS if isinstance(found.get(key), dict)), None)
        if nest is None:
            break
        nests.append(nest)
        found = found[nest]
    if nests:
        _log.info("%s: the parameters under %s are taken", path, ".".join(nests))
    entries: dict[object, object] = found if isinstance(found, dict) else {}
    check_count(len(entries))
    state = {
        str(name): value
        for name, value in entries.items()
        if isinstance(name, str | int) and is_tensor(value)
    }
    if not state:
        keys = ", ".join(quoted(key) for key in list(entries)[:8])
        what = f"a {_kind(found)} of {keys}" if keys else f"a {_kind(found)}"
        raise WeightsError(
            f"{path} holds no state dict but {what}: accepted are named tensors, alone or under "
            f"{', '.join(_NESTS)}"
        )
    return state


def _kind(found: object) -> str:
    if is_tensor(found):
        return "tensor"
    if isinstance(found, Call) and isinstance(found.function, Name):
        return found.function.path
    return type(found).__name__


def _unwrapped(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    while True:
        # AveragedModel counts beside the module that it wraps.
        wrapped = {name: tensor for name, tensor in tensors.items() if name != "n_averaged"}
        wrapper = next((w for w in _WRAPPERS if all(n.startswith(w) for n in wrapped)), None)
        if wrapper is None or not wrapped:
            return tensors
        tensors = {name.removeprefix(wrapper): tensor for name, tensor in wrapped.items()}
