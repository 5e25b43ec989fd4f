"""What a checkpoint holds, and whether that fits a model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from multiaxis.errors import WeightsError

COUNTER = "num_batches_tracked"
"""What the only whole numbers among a model's tensors are called, PyTorch's own of batch norms."""

_LISTED = 8  # names in an error before the rest is only counted


@dataclass(frozen=True)
class CheckpointContents:
    """Named arrays of a file, under whatever names they have there.

    Attributes
    ----------
    path : Path
    kind : str
        The container, such as ``"safetensors"``.
    arrays : mapping of str to Tensor or ndarray
    metadata : dict of str to str
        Of safetensors.
    nodes : sequence of mapping
        Of TensorFlow.js: the operations of the graph, which name what the arrays do not.
    """

    path: Path
    kind: str
    arrays: Mapping[str, Tensor | NDArray[np.generic]]
    metadata: dict[str, str] = field(default_factory=dict[str, str])
    nodes: Sequence[Mapping[str, Any]] = ()

    def tensors(self) -> dict[str, Tensor]:
        """Give the arrays as tensors; floats in float32, whatever they were saved in."""
        tensors = {
            name: array if isinstance(array, Tensor) else torch.from_numpy(np.array(array))
            for name, array in self.arrays.items()
        }
        return {
            n: (t.float() if t.is_floating_point() else t).contiguous() for n, t in tensors.items()
        }


@dataclass(frozen=True)
class Loaded:
    """What `load_weights` found.

    Attributes
    ----------
    kind : str
        The container that the file turned out to be.
    origin : str
        Whose names and layouts it has.
    missing_heads : list of int
        MAXIM: scales of the last stage whose output head the file lacks; the model lost them too.
    fresh : list of str
        MaxViT: parameters of the head that the file has for another number of classes; the model
        keeps its own.
    resized : list of str
        MaxViT: bias tables that were stretched to the model's windows.
    """

    kind: str
    origin: str
    missing_heads: list[int] = field(default_factory=list[int])
    fresh: list[str] = field(default_factory=list[str])
    resized: list[str] = field(default_factory=list[str])


def check_fit(
    what: str,
    path: Path,
    tensors: Mapping[str, Tensor],
    shapes: Mapping[str, tuple[int, ...]],
    unexpected: Iterable[str] = (),
) -> None:
    """Compare names and shapes with a model's.

    Parameters
    ----------
    what : str
        The model, for the message.
    path : Path
        The checkpoint, for the message.
    tensors : mapping of str to Tensor
        Under our names.
    shapes : mapping of str to shape
        The model's.
    unexpected : iterable of str
        Foreign names that nothing was made of.

    Raises
    ------
    WeightsError
        If they differ; the first few are named.
    """
    differing = [
        f"{name} {tuple(tensor.shape)} where the model has {shapes[name]}"
        for name, tensor in tensors.items()
        if name in shapes and tuple(tensor.shape) != shapes[name]
    ]
    whole = [
        name
        for name, tensor in tensors.items()
        if not tensor.is_floating_point() and not name.endswith(COUNTER)
    ]
    parts = [
        f"{title} {_first(names)}"
        for title, names in [
            ("missing:", sorted(set(shapes) - set(tensors))),
            ("not in the model:", sorted(set(tensors) - set(shapes)) + sorted(unexpected)),
            ("of another shape:", differing),
            ("no real numbers:", whole),
        ]
        if names
    ]
    if parts:
        raise WeightsError(
            f"{path} does not fit {what}: {'; '.join(parts)}. Create the model that the "
            "checkpoint was made for (multiaxis.list_models() names the published ones)"
        )


def shapes_of(model: torch.nn.Module) -> dict[str, tuple[int, ...]]:
    """Give the shape of everything that a model's checkpoint holds."""
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}


def _first(names: list[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more
