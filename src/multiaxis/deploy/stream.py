"""Models in bounded memory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from multiaxis.errors import ConfigError
from multiaxis.models.families import family_of

if TYPE_CHECKING:
    from multiaxis.models.maxim.network import Maxim
    from multiaxis.models.maxim.streaming import Streamed


def streamed(
    model: Maxim,
    memory: str | int | None = None,
    dtype: torch.dtype | None = None,
    *,
    spill: str | Path | None = None,
) -> Streamed:
    """Return the form of a model that runs in pieces and bounded memory.

    Parameters
    ----------
    model : Maxim
        In any dtype, on any device.
    memory : str or int, optional
        The most memory that the process may hold, such as ``"4GB"``. On a GPU, the most that a pass
        may take. By default the free memory. A picture that needs more is refused before the work.
    dtype : torch.dtype, optional
        The dtype of the maps between two steps. By default that of the parameters.
        ``torch.bfloat16`` halves the memory. If the hardware multiplies it natively, pieces are
        computed in it, too, with weights cast once; otherwise in float32. Norms, means and gates
        are always in float32.
    spill : str or Path, optional
        A folder for maps that do not fit into the memory. It is slower, and the disk limits it.

    Returns
    -------
    Streamed
        A module that is called like the model, without gradients.

    Raises
    ------
    ConfigError
        If the model has no such form, `memory` is not an amount, the folder does not exist, or the
        device does not spill.

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
