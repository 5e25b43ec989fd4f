"""TensorFlow.js graph models: `model.json` and its binary shards, in a folder or a tarball."""

from __future__ import annotations

import json
import math
import tarfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from multiaxis.errors import WeightsError

_DTYPES = {"float32": np.dtype("<f4"), "int32": np.dtype("<i4"), "bool": np.dtype("?")}

_DAMAGE = (
    *(OSError, EOFError, tarfile.TarError, zlib.error),  # of the container
    *(LookupError, ValueError, TypeError),  # of what it says
)


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

    Raises
    ------
    WeightsError
        If it is damaged or incomplete, or quantised (which no published file is).
    """
    try:
        if path.is_dir():
            root = path if (path / "model.json").is_file() else path / "models"
            return _assemble(lambda name: (root / name).read_bytes())
        with tarfile.open(path, "r:gz") as archive:
            members = {m.name: m for m in archive.getmembers() if m.isfile()}
            model = next((n for n in members if n.split("/")[-1] == "model.json"), None)
            if model is None:
                raise WeightsError(f"the tarball {path} holds no model.json")
            folder = model.removesuffix("model.json")

            def member(name: str) -> bytes:
                file = archive.extractfile(members[folder + name])
                assert file is not None  # noqa: S101 (only plain files are in `members`)
                return file.read()

            return _assemble(member)
    except (
        OSError,
        EOFError,
        tarfile.TarError,
        zlib.error,
        LookupError,
        ValueError,
        TypeError,
    ) as error:
        raise WeightsError(
            f"{path} is not a whole TensorFlow.js model ({error}): fetch it again"
        ) from error


def _assemble(read: Callable[[str], bytes]) -> Graph:
    model = json.loads(read("model.json"))
    arrays: dict[str, NDArray[np.generic]] = {}
    for group in model["weightsManifest"]:
        data = b"".join(read(name) for name in group["paths"])
        offset = 0
        for entry in group["weights"]:
            if "quantization" in entry:
                raise ValueError(f"{entry['name']} is quantised")
            dtype = _DTYPES[entry["dtype"]]
            count = math.prod(entry["shape"])
            array = np.frombuffer(data, dtype, count, offset)
            arrays[entry["name"]] = array.reshape(entry["shape"])
            offset += array.nbytes
        if offset != len(data):
            raise ValueError(f"shards hold {len(data)} bytes, the manifest says {offset}")
    return Graph(arrays, model["modelTopology"]["node"])
