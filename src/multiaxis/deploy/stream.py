"""Models in bounded memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from multiaxis.errors import ConfigError
from multiaxis.models.families import family_of


def streamed(
    model: nn.Module,
    memory: str | int | None = None,
    dtype: torch.dtype | None = None,
    *,
    spill: str | Path | None = None,
) -> Any:
    """Give the form of a model that runs in pieces of bounded memory.

    Parameters
    ----------
    model : Maxim
        In any dtype, on any device.
    memory : str or int, optional
        The most that the process may hold, such as ``"4GB"`` (on a GPU: that a pass may take). By
        default what is free. A picture that takes more is refused beforehand.
    dtype : torch.dtype, optional
        Of the maps between two steps; by default the parameters'. ``torch.bfloat16`` halves the
        memory. Where the hardware multiplies it natively, pieces are computed in it too, with
        weights cast once; elsewhere in float32. Norms, means and gates are in float32 either way.
    spill : str or Path, optional
        Folder for maps that do not fit into the memory: slower, but bounded by the disk.

    Returns
    -------
    Streamed
        Called like the model, without gradients.

    Raises
    ------
    ConfigError
        If the model has no such form, the amount is none, or the folder is not there, or not for
        the device.

    Examples
    --------
    >>> from multiaxis import create_model
    >>> model = create_model("maxim", features=4, block_size_hr=(2, 2), grid_size_hr=(2, 2))
    >>> streamed(model)(torch.rand(1, 3, 64, 64)).shape
    torch.Size([1, 3, 64, 64])
    """
    family = family_of(model, "stream")
    if family.streamed is None:
        raise ConfigError(f"a {family.title} has no streamed form: call the model itself")
    return family.streamed(model, memory=memory, dtype=dtype, spill=spill)
