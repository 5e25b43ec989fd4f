"""A checkpoint of any known kind into a model, or into a file of ours."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from multiaxis.errors import ConfigError, WeightsError
from multiaxis.models.contents import CheckpointContents, Loaded
from multiaxis.models.families import FAMILIES, AnyFamily, family_of, recognise
from multiaxis.weights.contents import read_contents
from multiaxis.weights.read.bounds import readable, unpacked_limit
from multiaxis.weights.store import write_safetensors

_log = logging.getLogger(__name__)

OURS = "multiaxis"


def namings() -> tuple[str, ...]:
    """List under whose names `convert_weights` can write."""
    return (OURS, *sorted({name for family in FAMILIES.values() for name in family.foreign_names}))


def load_weights(model: nn.Module, path: str | Path) -> Loaded:
    """Load a checkpoint into a model, in place. The content of the file tells its kind.

    Parameters
    ----------
    model : Maxim or MaxViT
        Built by `create_model`.
    path : str or Path
        MAXIM: the authors' npz (with or without its ``opt/target/`` prefix) or a TensorFlow.js
        model (folder or tarball). MaxViT: the authors' TensorFlow checkpoint (its averaged weights)
        or an npz under their names, timm's ``maxvit_*_tf_*`` or torchvision's `maxvit_t`
        (safetensors or pth). Both: multiaxis' own safetensors.

    Returns
    -------
    Loaded
        What the file was, what it lacked, and what was adapted.

    Raises
    ------
    ConfigError
        If the model is neither a MAXIM nor a MaxViT of multiaxis.
    WeightsError
        If the file is unreadable, or a checkpoint of another architecture. The message names the
        first mismatches, and the model stays unchanged.

    Notes
    -----
    For a MaxViT with other windows, the bias tables are stretched, as the authors do. A MaxViT
    with another number of classes keeps its own head. The log and the result state both.
    """
    family_of(model, "load weights into")
    contents = read_contents(Path(path))
    with readable(contents.path):
        return load_contents(model, contents)


def load_model(path: str | Path, **config: Any) -> nn.Module:
    """Build the model that a checkpoint is of, with its weights, for evaluation.

    Parameters
    ----------
    path : str or Path
        As in `load_weights`.
    **config
        Fields of `MaxViTConfig` that replace what the checkpoint shows, such as `image_size`.

    Raises
    ------
    WeightsError
        If the file is unreadable, or of no model that can be built.
    """
    return _build(read_contents(Path(path)), config)[0]


def convert_weights(
    source: str | Path,
    target: str | Path,
    *,
    model: str | None = None,
    naming: str = "multiaxis",
    config: Mapping[str, Any] | None = None,
    metadata: Mapping[str, str] | None = None,
) -> str:
    """Convert a checkpoint of any known kind to safetensors.

    Parameters
    ----------
    source : str or Path
        As in `load_weights`.
    target : str or Path
        File to write, atomically; replaced if it exists.
    model : str, optional
        Name of the variant that it must be; found out from the parameters where it is not given.
    naming : str
        ``"multiaxis"``, or ``"timm"`` to write a MaxViT that timm's ``maxvit_*_tf_*`` load.
    config : mapping of str to value, optional
        As in `load_model`: what the file is to state and does not show, such as the image size.
    metadata : mapping of str to str, optional
        Kept in the file.

    Returns
    -------
    str
        Name of the variant; the family's, ``"maxim"`` or ``"maxvit"``, where it is none of them.

    Raises
    ------
    ConfigError
        If the naming is unknown, or not for this model.
    WeightsError
        If the file is unreadable, of another variant, or the target cannot be written.
    """
    source = Path(source)
    if naming not in namings():
        raise ConfigError(f"the naming is {naming!r}: accepted are {', '.join(namings())}")
    contents = read_contents(source)
    loaded, family = _build(contents, config or {})
    name = family.find_variant(loaded.config) or family.name
    if model is not None and model != name:
        raise WeightsError(f"{source} is {name}, not {model}: name {name}, or leave the model out")
    if naming == OURS:
        tensors = loaded.state_dict()
    elif naming in family.foreign_names:
        tensors = family.foreign_names[naming](loaded)
    else:
        raise ConfigError(f"{source} is {name}, which {naming} does not have: leave --naming out")
    kept = {**contents.metadata, **(metadata or {})}
    kept.update(model=name, config=json.dumps(asdict(loaded.config)))
    write_safetensors(Path(target), tensors, kept)
    return name


def load_contents(
    model: nn.Module, contents: CheckpointContents, *, assign: bool = False
) -> Loaded:
    """Load what `read_contents` gave; as `load_weights`."""
    family = family_of(model, "load weights into")
    found, origin = recognise(contents)
    if found is not family:
        raise WeightsError(
            f"{contents.path} looks like {origin}, and the model is a {family.title}: create the "
            "model that the checkpoint was made for"
        )
    report = family.load(model, contents, origin, assign=assign)
    _log.info("loaded %s (%s, %s)", contents.path, contents.kind, origin)
    return report


def find_config(contents: CheckpointContents) -> tuple[AnyFamily, Any]:
    """Find out which family a checkpoint is of, and its configuration.

    Raises
    ------
    WeightsError
        If it is of no model that can be built.
    """
    with readable(contents.path):
        family, origin = recognise(contents)
        config = family.find_config(contents, origin)
        least = family.least_tensors(config)
        if config not in family.variants.values() and least > len(contents.arrays):
            raise ValueError(
                f"it states a {family.title} of at least {least} tensors, and holds "
                f"{len(contents.arrays)}"
            )
        return family, config


def build(family: AnyFamily, config: Any, contents: CheckpointContents, *, new_head: bool) -> Any:
    """Build a model with a checkpoint's weights, in evaluation mode on the CPU.

    Names and shapes are compared before anything is allocated, so a file cannot ask for more than
    it holds.

    Parameters
    ----------
    family : Family
    config : object
        Of that family.
    contents : CheckpointContents
        What `read_contents` gave; the model takes its tensors as they are.
    new_head : bool
        Whether the user asked for another head than the file's, which starts anew.

    Raises
    ------
    WeightsError
        If the checkpoint does not fit.
    """
    with readable(contents.path):
        with torch.device("meta"):
            model = family.build(config)
        _check_size(model, contents)
        report = load_contents(model, contents, assign=True)
        if report.fresh and not new_head:
            raise WeightsError(
                f"{contents.path} holds another head than it states ({', '.join(report.fresh)}): "
                "convert it again, or pass num_classes and head_hidden"
            )
        if report.fresh:
            start = family.build(config).state_dict()
            own = {name: start[name] for name in report.fresh}
            model.load_state_dict(own, strict=False, assign=True)
        return model.eval()


def _check_size(model: nn.Module, contents: CheckpointContents) -> None:
    """Let tables be stretched and heads be new, but no small file ask for a large model."""
    needed = sum(parameter.numel() * parameter.itemsize for parameter in model.parameters())
    there = sum(array.nbytes for array in contents.arrays.values())
    if needed > unpacked_limit(there):
        raise ValueError(f"it holds {there} bytes of parameters, and its model takes {needed}")


def _build(contents: CheckpointContents, config: Mapping[str, Any]) -> tuple[Any, AnyFamily]:
    family, found = find_config(contents)
    asked = bool(config.keys() & {"num_classes", "head_hidden"})
    return build(family, replace(found, **config), contents, new_head=asked), family
