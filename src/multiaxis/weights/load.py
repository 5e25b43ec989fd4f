"""A checkpoint of any known kind into a model, or into a file of ours."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from torch import nn

from multiaxis.errors import ConfigError, WeightsError
from multiaxis.models.maxim import VARIANTS as MAXIM_VARIANTS
from multiaxis.models.maxim import Maxim
from multiaxis.models.maxvit import MaxViT
from multiaxis.weights.contents import Contents, Loaded, read_contents
from multiaxis.weights.convert.maxvit_timm import to_timm
from multiaxis.weights.fit import maxim, maxvit
from multiaxis.weights.store import write_safetensors

_log = logging.getLogger(__name__)

NAMINGS = ("multiaxis", "timm")
"""Under whose names `convert_weights` can write."""


def load_weights(model: nn.Module, path: str | Path) -> Loaded:
    """Load a checkpoint into a model, in place; the file's kind is found out from its content.

    Parameters
    ----------
    model : Maxim or MaxViT
        Built by `create_model`.
    path : str or Path
        For MAXIM the authors' npz (with or without its ``opt/target/`` prefix) or a TensorFlow.js
        model (folder or tarball). For MaxViT the authors' TensorFlow checkpoint (its averaged
        weights) or an npz under their names, timm's ``maxvit_*_tf_*`` or torchvision's `maxvit_t`
        (safetensors or pth). For both safetensors of ours.

    Returns
    -------
    Loaded
        What the file was, what it lacked, what was adapted.

    Raises
    ------
    WeightsError
        If the file is unreadable, or is a checkpoint of another architecture: the first few
        mismatches are named. The model is unchanged then.

    Notes
    -----
    A MaxViT of other windows gets the bias tables stretched to them, as the authors do; one of
    another number of classes keeps its own logits. Both are logged, and told by the result.
    """
    if not isinstance(model, Maxim | MaxViT):
        raise WeightsError(
            f"cannot load weights into a {type(model).__name__}: build the model with create_model"
        )
    return load_contents(model, read_contents(Path(path)))


def load_model(path: str | Path, **config: Any) -> Maxim | MaxViT:
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
    return _build(read_contents(Path(path)), config)


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
    if naming not in NAMINGS:
        raise ConfigError(f"the naming is {naming!r}: accepted are {', '.join(NAMINGS)}")
    contents = read_contents(source)
    loaded = _build(contents, config or {})
    name = _variant(loaded)
    if model is not None and model != name:
        raise WeightsError(f"{source} is {name}, not {model}: name the variant that it is, or none")
    tensors = loaded.state_dict()
    if naming == "timm":
        if not isinstance(loaded, MaxViT) or loaded.config.flavour != "authors":
            raise ConfigError(f"{source} is {name}: timm has only the authors' MaxViT")
        tensors = to_timm(tensors)
    kept = {**contents.metadata, **(metadata or {})}
    kept.update(model=name, config=json.dumps(asdict(loaded.config)))
    write_safetensors(Path(target), tensors, kept)
    return name


def recognise(contents: Contents) -> str:
    """Find out whose names a checkpoint has: a key of `maxim.ORIGINS` or `maxvit.ORIGINS`.

    Raises
    ------
    WeightsError
        If they are nobody's that is known.
    """
    for origin, mark in {**maxim.ORIGINS, **maxvit.ORIGINS}.items():
        if any(re.search(mark, name) for name in contents.arrays):
            return origin
    shown = ", ".join(sorted(contents.arrays)[:4]) or "none"
    raise WeightsError(
        f"{contents.path} is of no model that is known here; it begins with the parameters {shown}."
        f" Accepted are {', '.join({**maxim.ORIGINS, **maxvit.ORIGINS})}"
    )


def load_contents(model: Maxim | MaxViT, contents: Contents, *, assign: bool = False) -> Loaded:
    """Load what `read_contents` gave; as `load_weights`."""
    origin = recognise(contents)
    origins = maxim.ORIGINS if isinstance(model, Maxim) else maxvit.ORIGINS
    if origin not in origins:
        kind = "MAXIM" if isinstance(model, Maxim) else "MaxViT"
        raise WeightsError(
            f"{contents.path} looks like {origin}, and the model is a {kind}: create the model "
            "that the checkpoint was made for"
        )
    if isinstance(model, Maxim):
        report = maxim.load(model, contents, origin, assign=assign)
    else:
        report = maxvit.load(model, contents, origin, assign=assign)
    _log.info("loaded %s (%s, %s)", contents.path, contents.kind, origin)
    return report


def _build(contents: Contents, config: Mapping[str, Any]) -> Maxim | MaxViT:
    origin = recognise(contents)
    if origin in maxvit.ORIGINS:
        model = MaxViT(replace(maxvit.config_of(contents, origin), **config))
    else:
        model = Maxim(replace(maxim.config_of(contents, origin), **config))
    load_contents(model, contents, assign=True)
    return model.eval()


def _variant(model: Maxim | MaxViT) -> str:
    if isinstance(model, MaxViT):
        return maxvit.name_of(model.config) or "maxvit"
    known = (name for name, config in MAXIM_VARIANTS.items() if config == model.config)
    return next(known, "maxim")
