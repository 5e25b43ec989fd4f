"""Checkpoints of MaxViT: their configuration, and how they are loaded, whatever the windows."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import torch
from torch import Tensor

from multiaxis.axis import resize_table
from multiaxis.errors import ConfigError, WeightsError
from multiaxis.models.contents import COUNTER, CheckpointContents, Loaded, check_fit, shapes_of
from multiaxis.models.maxvit.backbone import Backbone
from multiaxis.models.maxvit.config import STRIDE, MaxViTConfig, find_variant
from multiaxis.models.maxvit.names import AUTHORS, OURS, TIMM, TORCHVISION
from multiaxis.models.maxvit.names.authors import from_authors
from multiaxis.models.maxvit.names.timm import from_timm, to_timm
from multiaxis.models.maxvit.names.torchvision import from_torchvision
from multiaxis.models.maxvit.network import Trunk

_log = logging.getLogger(__name__)

_TABLE = ".attention.bias.table"
_HEAD = ("head.hidden.", "head.logits.")


def our_tensors(contents: CheckpointContents, origin: str) -> tuple[dict[str, Tensor], list[str]]:
    """Bring a checkpoint under our names; returns also the foreign names that are left over."""
    tensors = contents.tensors()
    if origin == OURS:
        return tensors, []
    if origin == AUTHORS:
        # Slots of the optimiser and counters lie between the variables: they are no misfit.
        return from_authors(tensors)[0], []
    if origin == TIMM:
        return from_timm(tensors)
    if origin == TORCHVISION:
        return from_torchvision(tensors)
    raise ValueError(f"{origin!r} has no reader")


def find_config(contents: CheckpointContents, origin: str) -> MaxViTConfig:
    """Find the whole configuration from a checkpoint's shapes; windows from the bias tables.

    A checkpoint of ours states its configuration. Foreign ones do not tell the image size that they
    were tuned for: the authors' hold the tables of 7 x 7 windows at any.

    Raises
    ------
    WeightsError
        If the shapes are of no MaxViT.
    """
    stated = contents.metadata.get("config")
    try:
        if origin == OURS and stated:
            return _config_from(json.loads(stated))
        return _config_from_shapes(our_tensors(contents, origin)[0])
    except (KeyError, IndexError, ValueError, TypeError, ZeroDivisionError) as error:
        raise WeightsError(
            f"{contents.path} looks like {origin}, and is none that can be built ({error}): fetch "
            "it again, or create the model and load into it with load_weights"
        ) from error


def timm_tensors(model: Trunk) -> dict[str, Tensor]:
    """Give a model's tensors under timm's names, which its ``maxvit_*_tf_*`` load.

    Raises
    ------
    ConfigError
        If the model computes in torchvision's way.
    """
    if model.config.flavour != "authors":
        raise ConfigError("the model is torchvision's MaxViT: timm has only the authors' models")
    return to_timm(model.state_dict())


def load(
    model: Trunk, contents: CheckpointContents, origin: str, *, assign: bool = False
) -> Loaded:
    """Load a checkpoint into a model; tables are stretched, another head is left out.

    Parameters
    ----------
    model : MaxViT or Backbone
        A Backbone leaves out what it does not build.
    contents : CheckpointContents
    origin : str
        A key of `names.ORIGINS`.
    assign : bool
        Whether the model takes the tensors as they are instead of copying them.

    Raises
    ------
    WeightsError
        If names or shapes differ otherwise; the model is unchanged then.
    """
    tensors, unexpected = our_tensors(contents, origin)
    _check_flavour(model, contents, origin, tensors)
    state = model.state_dict()
    if isinstance(model, Backbone):
        tensors = {name: tensor for name, tensor in tensors.items() if _is_built(name, model)}
    for name, value in state.items():
        if name.endswith(COUNTER):  # of no use here, and in no foreign file
            start = torch.zeros_like(value, device="cpu") if value.is_meta else value
            tensors.setdefault(name, start)
    resized = _resize_tables(tensors, state)
    fresh = _leave_head(tensors, state)
    what = find_variant(model.config) or f"a MaxViT of {model.config.depths} blocks"
    check_fit(what, contents.path, tensors, shapes_of(model), unexpected)
    model.load_state_dict(tensors, assign=assign)
    if resized:
        _log.info("%s: %d bias tables were stretched to the windows", contents.path, len(resized))
    if fresh:
        _log.warning(
            "%s has another number of classes: the model keeps its own %s",
            contents.path,
            ", ".join(fresh),
        )
    return Loaded(str(contents.kind), origin, fresh=fresh, resized=resized)


def _is_built(name: str, model: Backbone) -> bool:
    """Whether a parameter is of the part that a backbone has, and not behind it."""
    stage = re.match(r"stages\.(\d+)\.", name)
    return not name.startswith("head.") and (stage is None or int(stage[1]) < len(model.stages))


def _check_flavour(
    model: Trunk, contents: CheckpointContents, origin: str, tensors: Mapping[str, Tensor]
) -> None:
    found = "authors" if "stem.conv1.bias" in tensors else "torchvision"
    if found != model.config.flavour:
        flavour = "'maxvit_tiny_torchvision'" if found == "torchvision" else "another variant"
        raise WeightsError(
            f"{contents.path} ({origin}) computes in the way of the {found}, the model in that of "
            f"{model.config.flavour}, which gives other results: use create_model({flavour})"
        )


def _resize_tables(tensors: dict[str, Tensor], state: Mapping[str, Tensor]) -> list[str]:
    resized: list[str] = []
    for name in [name for name in tensors if name.endswith(_TABLE) and name in state]:
        table, wanted = tensors[name], state[name].shape
        same_heads = table.ndim == len(wanted) and table.shape[0] == wanted[0]
        if same_heads and table.shape != wanted:
            tensors[name] = resize_table(table, [(side + 1) // 2 for side in wanted[1:]])
            resized.append(name)
    return resized


def _leave_head(tensors: dict[str, Tensor], state: Mapping[str, Tensor]) -> list[str]:
    """Leave the head out where the model's is another; returns what the model keeps of its own."""
    both = {n for n in (*tensors, *state) if n.startswith(_HEAD)}
    kept: list[str] = []
    for part in _HEAD:
        names = sorted(name for name in both if name.startswith(part))
        if any(_differs(tensors.get(name), state.get(name)) for name in names):
            kept += [name for name in names if name in state]
            for name in names:
                tensors.pop(name, None)
                if name in state:
                    tensors[name] = state[name]
    return kept


def _differs(one: Tensor | None, other: Tensor | None) -> bool:
    return one is None or other is None or one.shape != other.shape


def _config_from(stated: Mapping[str, Any]) -> MaxViTConfig:
    known = {field.name for field in fields(MaxViTConfig)}
    given: dict[str, Any] = {
        k: tuple(v) if isinstance(v, list) else v for k, v in stated.items() if k in known
    }
    return MaxViTConfig(**given)


def _config_from_shapes(tensors: Mapping[str, Tensor]) -> MaxViTConfig:
    blocks = {tuple(map(int, n.split(".")[1:3])) for n in tensors if n.startswith("stages.")}
    stages = range(max(stage for stage, _ in blocks) + 1)
    projects = [tensors[f"stages.{s}.0.mbconv.project.weight"] for s in stages]
    widths = tuple(weight.shape[0] for weight in projects)
    table = tensors[f"stages.0.0.block{_TABLE}"]
    grid_table = tensors[f"stages.0.0.grid{_TABLE}"]
    stem = [tensors[f"stem.conv{k}.weight"] for k in (1, 2)]
    squeezed = tensors["stages.0.0.mbconv.squeeze_excite.squeeze.weight"].shape[0]
    logits = tensors.get("head.logits.weight")
    hidden = tensors.get("head.hidden.weight")
    config = MaxViTConfig(
        stem_widths=tuple(weight.shape[0] for weight in stem),
        depths=tuple(sum(stage == s for stage, _ in blocks) for s in stages),
        widths=widths,
        head_dim=widths[0] // table.shape[0],
        num_classes=0 if logits is None else logits.shape[0],
        head_hidden=0 if hidden is None else hidden.shape[0],
        window_size=_window(table),
        grid_size=_window(grid_table),
        in_channels=stem[0].shape[1],
        expansion_rate=projects[0].shape[1] // widths[0],
        se_ratio=squeezed / widths[0],
        kernel_size=stem[0].shape[2],
        flavour="authors" if "stem.conv1.bias" in tensors else "torchvision",
        out_indices=None if "head.norm.weight" in tensors else tuple(range(len(projects) + 1)),
    )
    if config.hidden == config.widths[-1]:
        config = replace(config, head_hidden=-1)
    side = config.windows[0][0]
    if config.windows != ((side, side), (side, side)):
        return config
    # Leave the windows to the image size, so that another one can be asked for.
    ratio = None if side == 7 else 1
    return replace(
        config, window_size=None, grid_size=None, image_size=STRIDE * side, scale_ratio=ratio
    )


def _window(table: Tensor) -> tuple[int, int]:
    rows, columns = ((side + 1) // 2 for side in table.shape[1:])
    if table.shape[1] % 2 == 0 or table.shape[2] % 2 == 0:
        raise ConfigError(f"a bias table has the shape {tuple(table.shape)}")
    return rows, columns
