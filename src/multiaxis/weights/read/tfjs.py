"""TensorFlow.js graph models: `model.json` and its binary shards, in a folder or a tarball."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from multiaxis.files.bounds import (
    check_array,
    check_count,
    map_regular,
    quoted,
    read_regular,
    readable,
)
from multiaxis.weights.read.tar import read_tarball

_DTYPES = {"float32": np.dtype("<f4"), "int32": np.dtype("<i4"), "bool": np.dtype("?")}
_MODEL = "model.json"
_MOST_TEXT = 1 << 26  # bytes of model.json; the largest published one has 18 million
_MOST_VALUES = 1 << 22  # in it; the largest published one has half a million
_PLAIN = re.compile(r"[^/\\:\0]+")
_Read = Callable[[str], "memoryview | bytes"]


@dataclass(frozen=True)
class Graph:
    """A graph model.

    Attributes
    ----------
    arrays : dict of str to ndarray
        Constants by the name of their node.
    nodes : list of dict
        The graph's nodes: ``name``, ``op`` and ``input`` (names).
    """

    arrays: dict[str, NDArray[np.generic]]
    nodes: list[dict[str, Any]]


def read_tfjs(path: Path) -> Graph:
    """Read a folder that holds `model.json` (or `models/model.json`), or a gzipped tar of it.

    Shards are plain names of files beside `model.json`; a link that leads out of the folder is
    refused, for a file that came with it could show any other of the machine.

    Raises
    ------
    WeightsError
        If it is damaged or incomplete, names files elsewhere, or is quantised (which no published
        file is).
    """
    with readable(path, "a whole TensorFlow.js model"):
        return _assemble(_folder(path) if path.is_dir() else _tarball(path))


def _folder(path: Path) -> _Read:
    root = path if (path / _MODEL).is_file() else path / "models"
    inside = (path.resolve(), path.resolve() / "models")

    def read(name: str) -> memoryview | bytes:
        file = root / name
        if file.resolve().parent not in inside:
            raise ValueError(f"{quoted(name)} leads out of its folder: copy the file into it")
        if name == _MODEL:
            return read_regular(file, _MOST_TEXT)
        return map_regular(file) if os.stat(file).st_size else b""  # noqa: PTH116

    return read


def _tarball(path: Path) -> _Read:
    files = read_tarball(path)
    model = next((name for name in files if name.split("/")[-1] == _MODEL), None)
    if model is None:
        raise ValueError(f"it holds no {_MODEL}")
    folder = model.removesuffix(_MODEL)
    return lambda name: files[folder + name]


def _assemble(read: _Read) -> Graph:
    text = bytes(read(_MODEL))
    values = sum(text.count(sign) for sign in b"[{,:")
    if len(text) > _MOST_TEXT or values > _MOST_VALUES:
        raise ValueError(f"its {_MODEL} holds {values} values, and no model's more than a million")
    model = json.loads(text)
    groups = [(_paths(group["paths"]), group["weights"]) for group in model["weightsManifest"]]
    named = [name for names, _ in groups for name in names]
    if len(set(named)) < len(named):
        raise ValueError("it names a file twice")
    check_count(sum(len(weights) for _, weights in groups))
    arrays: dict[str, NDArray[np.generic]] = {}
    for names, weights in groups:
        data = memoryview(b"".join(read(name) for name in names))
        for entry in weights:
            name = entry["name"]
            if name in arrays:
                raise ValueError(f"it holds {quoted(name)} twice")
            arrays[name], data = _array(name, entry, data)
        if data:
            raise ValueError(f"shards hold {len(data)} bytes more than the manifest says")
    return Graph(arrays, model["modelTopology"]["node"])


def _paths(names: object) -> list[str]:
    if not isinstance(names, list):
        raise TypeError(f"its paths are {quoted(names)}")
    for name in names:
        if not isinstance(name, str) or name in (".", "..") or not _PLAIN.fullmatch(name):
            raise ValueError(f"it names the file {quoted(name)}: accepted are names in its folder")
    return names


def _array(
    name: str, entry: dict[str, Any], data: memoryview
) -> tuple[NDArray[np.generic], memoryview]:
    """Lay an entry of the manifest over the first bytes; returns also the bytes after it."""
    if "quantization" in entry:
        raise ValueError(f"{quoted(name)} is quantised")
    dtype, shape = _DTYPES[entry["dtype"]], entry["shape"]
    size = check_array(name, shape, dtype.itemsize, len(data))
    flat = np.frombuffer(data[:size], dtype) if size else np.empty(0, dtype)
    return flat.reshape(shape), data[size:]
