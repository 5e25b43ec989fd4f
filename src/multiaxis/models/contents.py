"""What a checkpoint holds, and whether that fits a model."""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from multiaxis.errors import ConfigError, WeightsError, unknown
from multiaxis.models.family import Origin

COUNTER = "num_batches_tracked"
"""What the only whole numbers among a model's tensors are called, PyTorch's own of batch norms."""

Config = TypeVar("Config")

_ADAPTERS = (".lora_", ".base_layer.", ".modules_to_save.")  # peft's
_LISTED = 8  # names in an error before the rest is only counted


@dataclass(frozen=True)
class CheckpointContents:
    """Named arrays of a file, under whatever names they have there.

    Attributes
    ----------
    path : Path
        For messages.
    kind : str
        The container, such as ``"safetensors"``.
    arrays : mapping of str to Tensor or ndarray
    metadata : dict of str to str
        Of safetensors.
    nodes : sequence of mapping
        Of TensorFlow.js: the operations of the graph, which name what the arrays do not.
    origin : Origin or None
        None where the names are nobody's that is known.
    taken_from : str
        What stood before the names in the container, such as ``"model_ema"``.
    left_out : sequence of str
        What lies beside the model in its state dict.
    """

    path: Path
    kind: str
    arrays: Mapping[str, Tensor | NDArray[np.generic]]
    metadata: dict[str, str] = field(default_factory=dict[str, str])
    nodes: Sequence[Mapping[str, Any]] = ()
    origin: Origin | None = None
    taken_from: str = ""
    left_out: Sequence[str] = ()

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
        MaxViT: bias tables that were stretched to the model's windows, and the first convolution
        where it was fitted to another number of channels.
    taken_from : str
        What stood before the names, such as ``"model_ema"`` or ``"state_dict.model"``.
    left_out : list of str
        Tensors that lay beside the model in its state dict.
    skipped : list of str
        Parameters and buffers that the model was asked to keep.
    """

    kind: str
    origin: str
    missing_heads: list[int] = field(default_factory=list[int])
    fresh: list[str] = field(default_factory=list[str])
    resized: list[str] = field(default_factory=list[str])
    taken_from: str = ""
    left_out: list[str] = field(default_factory=list[str])
    skipped: list[str] = field(default_factory=list[str])


def stated_config(contents: CheckpointContents, kind: type[Config]) -> Config | None:
    """Read the configuration that a file of ours states; None where it states none.

    Raises
    ------
    WeightsError
        If what is stated is no configuration of that kind.
    """
    stated = contents.metadata.get("config")
    if stated is None:
        return None
    try:
        given: dict[str, Any] = json.loads(stated)
        return kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in given.items()})
    except (ValueError, TypeError, AttributeError, ConfigError) as error:
        raise WeightsError(
            f"{contents.path} states a configuration that is no {kind.__name__} of this version "
            f"({error}): update multiaxis, or convert the file again"
        ) from error


def keep_own(
    tensors: dict[str, Tensor], state: Mapping[str, Tensor], skip: Sequence[str]
) -> list[str]:
    """Put a model's own tensors in the place of those that it is asked to keep, and name them.

    Parameters
    ----------
    tensors : dict of str to Tensor
        A checkpoint's, under our names; changed in place.
    state : mapping of str to Tensor
        The model's.
    skip : sequence of str
        Names of parts or parameters, or shell patterns of parameters.

    Raises
    ------
    ConfigError
        If one names nothing.
    """
    parts = [skip] if isinstance(skip, str) else skip
    for part in parts:
        if not any(_is_of(name, part) for name in (*state, *tensors)):
            known = {".".join(n.split(".")[:k]) for n in state for k in (1, 2)}
            raise unknown("part of the model", part, sorted(known))
    for name in [name for name in tensors if any(_is_of(name, part) for part in parts)]:
        del tensors[name]
    kept = [name for name in state if any(_is_of(name, part) for part in parts)]
    tensors.update({name: state[name] for name in kept})
    return kept


def _is_of(name: str, part: str) -> bool:
    return name == part or name.startswith(f"{part}.") or fnmatch.fnmatchcase(name, part)


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
            f"{path} does not fit {what}: {'; '.join(parts)}. {advice(tensors)}, or "
            "let load_weights skip what the model is to keep of its own"
        )


def advice(names: Iterable[str]) -> str:
    """Say what to do about names that do not fit: adapters hide those that would."""
    if any(mark in name for name in names for mark in _ADAPTERS):
        return "It holds adapters: merge them before you save (peft: merge_and_unload())"
    return (
        "Create the model that the checkpoint was made for (multiaxis.list_models() names the "
        "published ones)"
    )


def shapes_of(model: torch.nn.Module) -> dict[str, tuple[int, ...]]:
    """Give the shape of everything that a model's checkpoint holds."""
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}


def _first(names: list[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more
