"""NumPy archives, read without pickle."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from multiaxis.errors import WeightsError

FLAX_PARAMETERS = "opt/target/"
"""Where checkpoints of Flax keep the parameters; the rest is the optimiser's state."""


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

    Raises
    ------
    WeightsError
        If the file is damaged, or an array could only be read by unpickling.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            names = [name for name in archive.files if name.startswith(prefix)]
            if names:
                return {name[len(prefix) :]: archive[name] for name in names}
            return {name: archive[name] for name in archive.files}
    except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise WeightsError(
            f"cannot read the arrays of {path} ({error}): fetch it again; archives that need "
            "pickle are refused"
        ) from error
