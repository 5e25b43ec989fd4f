"""PyTorch's own files (``.pth``, ``.pt``), read without running what a pickle may ask for."""

from __future__ import annotations

import sys
import zipfile
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from torch import Tensor

from multiaxis.errors import WeightsError
from multiaxis.files.bounds import (
    MOST_ARRAYS,
    MOST_NAME,
    check_count,
    map_regular,
    quoted,
    readable,
)
from multiaxis.weights.read.pickles import Call, ForbiddenError, Name, Reference, read_pickle
from multiaxis.weights.read.storages import Tensors, dtype_of, is_tensor
from multiaxis.weights.read.zips import Archive

NEST = "/"
"""Between the keys of dicts in each other, in the name of a tensor in them."""

_DEEPEST = 8  # dicts in each other
_SHARE = 10  # entries of all dicts, for one that may be a tensor
_REMEDY = (
    "if you trust the file, save its tensors where it can be loaded, with "
    "torch.save(model.state_dict(), ...) or safetensors.torch.save_file"
)
_MAGIC = 0x1950A86A20F9469CFC6C  # with which files in the older format begin
_PROTOCOL = 1001
_COUNT = 8  # bytes before each storage that state its elements


class TorchArrays(Mapping[str, Tensor]):
    """The tensors of a file by name; each is made when it is asked for, on the CPU.

    Raises
    ------
    WeightsError
        If a tensor that is asked for does not fit its storage.
    """

    def __init__(self, path: Path, values: Mapping[str, object], tensors: Tensors) -> None:
        self._path, self._values, self._tensors = path, values, tensors
        self._made: dict[str, Tensor] = {}

    def __getitem__(self, name: str) -> Tensor:
        if name not in self._made:
            value = self._values[name]
            with _readable(self._path):
                self._made[name] = self._tensors.make(name, value)
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


def read_torch(path: Path) -> TorchArrays:
    """Read the tensors in a file that `torch.save` wrote, in the zip format or the older one.

    Parameters
    ----------
    path : Path
        A state dict, or dicts in each other with some in them, such as a training's checkpoint.

    Returns
    -------
    mapping of str to Tensor
        Mapped from the file. A tensor in a nested dict has the keys above it before its name, as
        in ``model_ema/stem.weight``.

    Raises
    ------
    WeightsError
        If it is damaged, holds no named tensor, or would run code when it is read.
    """
    with _readable(path):
        try:
            found, tensors = _open_zip(path) if zipfile.is_zipfile(path) else _open_old(path)
        except ForbiddenError as error:
            raise WeightsError(
                f"{path} is a pickle that asks for {error.name} when it is read, and so could run "
                f"any code: it is refused; {_REMEDY}"
            ) from error
        values = flattened(found, is_tensor)
        if not values:
            raise _no_state_dict(path, found)
        return TorchArrays(path, values, tensors)


def _readable(path: Path) -> AbstractContextManager[None]:
    return readable(path, "a whole PyTorch file of tensors", f"fetch it again, or {_REMEDY}")


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


def flattened(found: object, wanted: Callable[[object], bool]) -> dict[str, object]:
    """Name the wanted values of dicts in each other by the keys that lead to them.

    Parameters
    ----------
    found : object
        A dict, or anything else, which holds none.
    wanted : callable
        Tells the wanted values.

    Raises
    ------
    ValueError
        If there are more entries than any checkpoint has.
    """
    values: dict[str, object] = {}
    nests: deque[tuple[str, int, object]] = deque([("", 0, found)])
    count = 0
    while nests:
        above, depth, nest = nests.popleft()
        if not isinstance(nest, Mapping) or depth > _DEEPEST:
            continue
        if depth and len(nest) > MOST_ARRAYS:
            continue  # a record of something, and no model
        count += len(nest)
        check_count(count // _SHARE if depth else count)
        for name, value in nest.items():
            if not isinstance(name, str | int) or len(str(name)) > MOST_NAME:
                continue
            if wanted(value):
                values.setdefault(f"{above}{name}", value)
            else:
                nests.append((f"{above}{name}{NEST}", depth + 1, value))
    check_count(len(values))
    return values


def _no_state_dict(path: Path, found: object) -> WeightsError:
    keys = ", ".join(quoted(key) for key in list(found)[:8]) if isinstance(found, dict) else ""
    what = f"a {_kind(found)} of {keys}" if keys else f"a {_kind(found)}"
    return WeightsError(
        f"{path} holds no state dict but {what}: accepted are named tensors, alone or in dicts "
        f"such as 'state_dict', 'model' and 'model_ema'; {_REMEDY}"
    )


def _kind(found: object) -> str:
    if is_tensor(found):
        return "tensor"
    if isinstance(found, Call) and isinstance(found.function, Name):
        return found.function.path
    return type(found).__name__
