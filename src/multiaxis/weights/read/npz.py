"""NumPy archives, read without pickle."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from multiaxis.files.bounds import check_array, quoted, readable
from multiaxis.weights.read.zips import Archive

FLAX_PARAMETERS = "opt/target/"
"""Where checkpoints of Flax keep the parameters; the rest is the optimiser's state."""

_SUFFIX = ".npy"
_KINDS = "fiub"
_WIDEST = 8  # bytes of a number: longer floats differ from machine to machine
_HEAD = 1 << 16  # bytes that hold any header of an array of numbers


def read_npz(path: Path, prefix: str = "") -> dict[str, NDArray[np.generic]]:
    """Read the arrays of an npz whose names begin with a prefix, and cut the prefix off.

    Parameters
    ----------
    path : Path
    prefix : str
        Where no name begins with it, every array is read under its own name.

    Returns
    -------
    dict of str to ndarray
        Mapped from the file where they are stored as they are; changes never reach it.

    Raises
    ------
    WeightsError
        If the file is damaged, states what it does not hold, or an array is none of numbers: those
        could only be read by unpickling.
    """
    with readable(path, "a whole npz", "fetch it again; archives that need pickle are refused"):
        archive = Archive(path)
        names = [n.removesuffix(_SUFFIX) for n in archive.entries if n.endswith(_SUFFIX)]
        chosen = [name for name in names if name.startswith(prefix)]
        cut = len(prefix) if chosen else 0
        return {name[cut:]: _array(name, archive.read(name + _SUFFIX)) for name in chosen or names}


def _array(name: str, data: memoryview) -> NDArray[np.generic]:
    head = io.BytesIO(data[:_HEAD])
    version = np.lib.format.read_magic(head)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"{quoted(name)} is an array of version {version}")
    read = (
        np.lib.format.read_array_header_1_0
        if version == (1, 0)
        else np.lib.format.read_array_header_2_0
    )
    shape, is_fortran, dtype = read(head)
    if dtype.kind not in _KINDS or dtype.itemsize > _WIDEST:
        raise ValueError(f"{quoted(name)} holds {quoted(str(dtype))}, not numbers")
    body = data[head.tell() :]
    if check_array(name, shape, dtype.itemsize, len(body)) != len(body):
        raise ValueError(f"{quoted(name)} of the shape {quoted(shape)} has {len(body)} bytes")
    flat = np.frombuffer(body, dtype)
    if not dtype.isnative:
        flat = flat.astype(dtype.newbyteorder("="))
    return flat.reshape(shape, order="F" if is_fortran else "C")
