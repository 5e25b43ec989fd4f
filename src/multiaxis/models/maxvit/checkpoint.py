"""Checkpoints of MaxViT: their configuration, and how they are loaded, whatever the windows."""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import torch
from torch import Tensor

from multiaxis.axis import resize_table
from multiaxis.errors import ConfigError, WeightsError
from multiaxis.models.contents import (
    COUNTER,
    CheckpointContents,
    Loaded,
    check_fit,
    keep_own,
    shapes_of,
    stated_config,
)
from multiaxis.models.maxvit.backbone import Backbone
from multiaxis.models.maxvit.config import STRIDE, MaxViTConfig, find_variant
from multiaxis.models.maxvit.names import AUTHORS, OURS, TIMM, TORCHVISION
from multiaxis.models.maxvit.names.authors import from_authors
from multiaxis.models.maxvit.names.timm import from_timm, to_timm
from multiaxis.models.maxvit.names.torchvision import from_torchvision
from multiaxis.models.maxvit.network import MaxViT, Trunk

_log = logging.getLogger(__name__)

_TABLE = ".attention.bias.table"
_HEAD = ("head.hidden.", "head.logits.")
_FIRST_SHORTCUT = "stages.0.0.mbconv.project_shortcut"
_WINDOWS = {"image_size", "window_size", "grid_size", "scale_ratio"}
_SIZELESS = (OURS, AUTHORS, TIMM)  # torchvision has one size


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


def find_config(
    contents: CheckpointContents, origin: str, given: Mapping[str, Any]
) -> MaxViTConfig:
    """Find the whole configuration from a checkpoint's shapes; windows from the bias tables.

    A checkpoint of ours states its configuration. Others do not tell the image size that they were
    tuned for if they hold the tables of 7 x 7 windows, as the authors' do at any size. Their users
    are warned, unless they set it.

    Parameters
    ----------
    contents : CheckpointContents
    origin : str
        A key of `names.ORIGINS`.
    given : mapping of str to value
        Fields that the user sets.

    Raises
    ------
    WeightsError
        If the shapes are of no MaxViT.
    """
    stated = stated_config(contents, MaxViTConfig)
    if stated is not None:
        return stated
    try:
        config = _config_from_shapes(our_tensors(contents, origin)[0])
    except (IndexError, ValueError, TypeError, ZeroDivisionError) as error:
        raise WeightsError(
            f"{contents.path} looks like {origin}, and is none that can be built ({error}): fetch "
            "it again, or create the model and load into it with load_weights"
        ) from error
    is_open = config.windows == ((7, 7), (7, 7)) and origin in _SIZELESS
    if is_open and not given.keys() & _WINDOWS:
        _log.warning(
            "%s does not state its configuration: windows of 7 x 7, as for pictures of 224 "
            "pixels, and the default window policy are assumed; pass image_size if they were "
            "others (model.save keeps all of it)",
            contents.path,
        )
    return config


def timm_form(model: Trunk) -> tuple[dict[str, Tensor], MaxViTConfig]:
    """Give a model as timm's ``maxvit_*_tf_*`` of its image size load it.

    Returns
    -------
    tensors : dict of str to Tensor
        Under timm's names, with tables for the windows that the model has.
    config : MaxViTConfig
        The model's, with tables stored like that.

    Raises
    ------
    ConfigError
        If the model computes in torchvision's way.
    """
    if model.config.flavour != "authors":
        raise ConfigError("the model is torchvision's MaxViT: timm has only the authors' models")
    config = replace(model.config, scale_ratio=1)
    tensors = model.state_dict()
    for name in [name for name in tensors if name.endswith(_TABLE)]:
        window = config.windows[f".grid{_TABLE}" in name]
        if tensors[name].shape[1:] != tuple(2 * side - 1 for side in window):
            tensors[name] = resize_table(tensors[name], window)
    return to_timm(tensors), config


def load(
    model: Trunk,
    contents: CheckpointContents,
    origin: str,
    *,
    skip: Sequence[str] = (),
    assign: bool = False,
) -> Loaded:
    """Load a checkpoint into a model; tables are stretched, another head is left out.

    Parameters
    ----------
    model : MaxViT or Backbone
        A Backbone leaves out what it does not build.
    contents : CheckpointContents
    origin : str
        A key of `names.ORIGINS`.
    skip : sequence of str
        What the model keeps of its own; as `keep_own` takes it.
    assign : bool
        Whether the model takes the tensors as they are instead of copying them.

    Raises
    ------
    ConfigError
        If `skip` names nothing.
    WeightsError
        If names or shapes differ otherwise; the model is unchanged then.
    """
    tensors, unexpected = our_tensors(contents, origin)
    tensors, unexpected = our_tensors(contents, origin)
    state = model.state_dict()
    if isinstance(model, Backbone):
        tensors = {name: tensor for name, tensor in tensors.items() if _is_built(name, model)}
    found = set(tensors)
    for name, value in state.items():
        if name.endswith(COUNTER):  # of no use here, and in no foreign file
            start = torch.zeros_like(value, device="cpu") if value.is_meta else value
            tensors.setdefault(name, start)
    skipped = keep_own(tensors, state, skip)
    resized = _resize_tables(tensors, state)
    resized += _adapt_input(tensors, state)
    fresh = _leave_head(tensors, state)
    what = find_variant(model.config) or f"a MaxViT of {model.config.depths} blocks"
    try:
        check_fit(what, contents.path, tensors, shapes_of(model), unexpected)
    except WeightsError:
        _check_flavour(model, contents, origin, found)
        _check_part(model, contents)
        raise
    model.load_state_dict(tensors, assign=assign)
    if resized:
        _log.info("%s: %d bias tables were stretched to the windows", contents.path, len(resized))
    if fresh:
        _log.warning(
            "%s has another number of classes: the model keeps its own %s",
            contents.path,
            ", ".join(fresh),
        )
    return Loaded(str(contents.kind), origin, fresh=fresh, resized=resized, skipped=skipped)


def _is_built(name: str, model: Backbone) -> bool:
    """Whether a parameter is of the part that a backbone has, and not behind it."""
    stage = re.match(r"stages\.(\d+)\.", name)
    return not name.startswith("head.") and (stage is None or int(stage[1]) < len(model.stages))


def _check_flavour(
    model: Trunk, contents: CheckpointContents, origin: str, found: Collection[str]
) -> None:
    """Say of a checkpoint that does not fit if it is whole, and of the other flavour."""
    other = "authors" if model.config.flavour == "torchvision" else "torchvision"
    with torch.device("meta"):
        build = Backbone if isinstance(model, Backbone) else MaxViT
        names = build(replace(model.config, flavour=other)).state_dict()
    if _backbone(found) == _backbone(names):
        flavour = "'maxvit_tiny_torchvision'" if other == "torchvision" else "another variant"
        raise WeightsError(
            f"{contents.path} ({origin}) computes in the way of the {other}, the model in that of "
            f"{model.config.flavour}, which gives other results: use create_model({flavour})"
        )


def _check_part(model: Trunk, contents: CheckpointContents) -> None:
    """Say of a file that does not fit if it is the backbone of a whole model."""
    stated = stated_config(contents, MaxViTConfig)
    levels = stated.out_indices if stated else None
    if levels is not None and not isinstance(model, Backbone):
        raise WeightsError(
            f"{contents.path} is a backbone with the feature maps {levels}, the model a whole "
            "MaxViT: open the backbone with create_model(weights=...), create one with "
            f"features_only=True and out_indices={levels}, or call load_weights with skip=[...] "
            "for the parts that the model is to keep of its own, such as its head"
        )


def _backbone(names: Iterable[str]) -> set[str]:
    return {n for n in names if not n.startswith("head.") and not n.endswith(COUNTER)}


def _resize_tables(tensors: dict[str, Tensor], state: Mapping[str, Tensor]) -> list[str]:
    resized: list[str] = []
    for name in [name for name in tensors if name.endswith(_TABLE) and name in state]:
        table, wanted = tensors[name], state[name].shape
        same_heads = table.ndim == len(wanted) and table.shape[0] == wanted[0]
        if same_heads and table.shape != wanted:
            tensors[name] = resize_table(table, [(side + 1) // 2 for side in wanted[1:]])
            resized.append(name)
    return resized


def _adapt_input(tensors: dict[str, Tensor], state: Mapping[str, Tensor]) -> list[str]:
    """Let a first convolution of three channels serve another number, as timm does.

    One channel gets the sum of the three. Others repeat them, scaled by three over their number, so
    that pictures of equal channels give what they gave.
    """
    name = "stem.conv1.weight"
    weight, wanted = tensors.get(name), state[name].shape[1]
    if weight is None or weight.ndim != 4 or weight.shape[1] != 3 or wanted == 3:
        return []
    if wanted == 1:
        tensors[name] = weight.sum(1, keepdim=True)
    else:
        tensors[name] = weight.repeat(1, -(-wanted // 3), 1, 1)[:, :wanted] * (3 / wanted)
    _log.warning("%s: fitted from 3 channels to %d", name, wanted)
    return [name]


def _leave_head(tensors: dict[str, Tensor], state: Mapping[str, Tensor]) -> list[str]:
    """Leave the head out where the model's is another; returns what the model keeps of its own."""
    both = {n for n in (*tensors, *state) if n.startswith(_HEAD)}
    kept: list[str] = []
    for part in _HEAD:
        names = sorted(name for name in both if name.startswith(part))
        in_both = all(any(n in some for n in names) for some in (tensors, state))
        weights = [some.get(f"{part}weight") for some in (tensors, state)]
        if not in_both or _differ(*weights):
            kept += [name for name in names if name in state]
            for name in names:
                tensors.pop(name, None)
                if name in state:
                    tensors[name] = state[name]
    return kept


def _differ(one: Tensor | None, other: Tensor | None) -> bool:
    return one is not None and other is not None and one.shape != other.shape


class _Tensors(dict[str, Tensor]):
    """Tensors of which one that lacks is named."""

    def __missing__(self, name: str) -> Tensor:
        raise ValueError(f"it lacks {name}")


def _config_from_shapes(found: Mapping[str, Tensor]) -> MaxViTConfig:
    tensors = _Tensors(found)
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
    headed = any(name.startswith("head.") for name in tensors)
    config = MaxViTConfig(
        stem_widths=tuple(weight.shape[0] for weight in stem),
        depths=tuple(sum(stage == s for stage, _ in blocks) for s in stages),
        widths=widths,
        head_dim=widths[0] // table.shape[0],
        num_classes=0 if logits is None else logits.shape[0],
        head_hidden=0 if hidden is None else hidden.shape[0],
        keep_hidden=hidden is not None and logits is None,
        window_size=_window(table),
        grid_size=_window(grid_table),
        in_channels=stem[0].shape[1],
        expansion_rate=projects[0].shape[1] // widths[0],
        se_ratio=squeezed / widths[0],
        kernel_size=stem[0].shape[2],
        flavour=_flavour(tensors, widths[0]),
        out_indices=None if headed else tuple(range(len(projects) + 1)),
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


def _flavour(tensors: Mapping[str, Tensor], width: int) -> Literal["authors", "torchvision"]:
    """Tell the flavour by all that only the authors' has: one missing tensor decides nothing."""
    biases = ("stem.conv1.bias", "head.logits.bias")
    same_width = tensors["stem.conv2.weight"].shape[0] == width
    bare_shortcut = same_width and f"{_FIRST_SHORTCUT}.weight" not in tensors
    return "authors" if bare_shortcut or any(b in tensors for b in biases) else "torchvision"


def _window(table: Tensor) -> tuple[int, int]:
    rows, columns = ((side + 1) // 2 for side in table.shape[1:])
    if table.shape[1] % 2 == 0 or table.shape[2] % 2 == 0:
        raise ConfigError(f"a bias table has the shape {tuple(table.shape)}")
    return rows, columns
