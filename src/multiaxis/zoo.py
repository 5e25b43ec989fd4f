"""Models by name, with weights by name."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from multiaxis.errors import ConfigError, WeightsError, unknown
from multiaxis.models.families import FAMILIES

if TYPE_CHECKING:
    from torch import nn

    from multiaxis.models.maxim.network import Maxim
    from multiaxis.models.maxvit.backbone import Backbone
    from multiaxis.models.maxvit.network import MaxViT

MaximName = Literal["maxim", "maxim_s1", "maxim_s2", "maxim_s3", "maxim_m1", "maxim_m2", "maxim_m3"]
MaxViTName = Literal[
    "maxvit",
    "maxvit_pico",
    "maxvit_nano",
    "maxvit_tiny",
    "maxvit_small",
    "maxvit_base",
    "maxvit_large",
    "maxvit_xlarge",
    "maxvit_tiny_torchvision",
]


def variants() -> dict[str, Any]:
    """Give the configuration of each published variant."""
    return {
        name: config for family in FAMILIES.values() for name, config in family.variants.items()
    }


def list_models(pattern: str = "*") -> list[str]:
    """Name the published variants that match a shell pattern.

    Examples
    --------
    >>> list_models("maxim_s*")
    ['maxim_s1', 'maxim_s2', 'maxim_s3']
    """
    return fnmatch.filter(variants(), pattern)


@overload
def create_model(name: MaximName, *, weights: str | Path | None = None, **config: Any) -> Maxim: ...


@overload
def create_model(
    name: MaxViTName,
    *,
    weights: str | Path | None = None,
    features_only: Literal[False] = False,
    **config: Any,
) -> MaxViT: ...


@overload
def create_model(
    name: MaxViTName,
    *,
    weights: str | Path | None = None,
    features_only: Literal[True],
    out_indices: Sequence[int] | None = None,
    **config: Any,
) -> Backbone: ...


@overload
def create_model(
    name: str, *, weights: str | Path | None = None, features_only: bool = False, **config: Any
) -> Any: ...


def create_model(
    name: str, *, weights: str | Path | None = None, features_only: bool = False, **config: Any
) -> Any:
    """Build a model on the CPU, in training mode as timm and torchvision do.

    Call ``.eval()`` before inference: in training mode, batch norms take each batch's own
    statistics. `Classifier` and `Restorer` evaluate by themselves.

    Parameters
    ----------
    name : str
        A variant of `list_models`; or ``"maxim"`` or ``"maxvit"`` for the checkpoint's own
        configuration, which without weights is the authors' default.
    weights : str or Path, optional
        A published checkpoint's name, which is fetched into the cache if it is not there, or a
        file. Without it, parameters are random.
    features_only : bool
        Whether to build a MaxViT's `Backbone`, whose `forward` gives feature maps: those of
        `out_indices` (all by default; 0 is the stem, 1 to 4 are the stages).
    **config
        Fields of `MaximConfig` or `MaxViTConfig` that replace the variant's. Without them, a MaxViT
        has the checkpoint's number of classes and image size.

    Returns
    -------
    Maxim, MaxViT or Backbone

    Raises
    ------
    ConfigError
        If the name or a field is unknown, or a value cannot work.
    WeightsError
        If the weights cannot be fetched or do not fit.

    Examples
    --------
    >>> create_model("maxim", features=8, num_stages=1, block_size_hr=(8, 4)).config.features
    8
    >>> create_model("maxvit_pico", num_classes=7, image_size=96).config.windows
    ((3, 3), (3, 3))
    >>> backbone = create_model("maxvit_pico", features_only=True, out_indices=(2, 3, 4))
    >>> backbone.feature_info.reduction()
    [8, 16, 32]
    """
    family = next((f for f in FAMILIES.values() if name == f.name or name in f.variants), None)
    if family is None:
        raise unknown("model", name, [*variants(), *FAMILIES])
    start = family.variants.get(name, family.default)
    accepted = [field.name for field in fields(start)]
    for field in config:
        if field not in accepted:
            raise unknown("field of " + type(start).__name__, field, accepted)
    wanted = _with_maps if features_only else replace
    if weights is None:
        return family.build(wanted(replace(start, **config)))
    from multiaxis.weights.contents import read_contents
    from multiaxis.weights.load import build, find_config

    contents = read_contents(_file_of(weights, fits=None if name == family.name else name))
    found, configured = find_config(contents)
    if name == family.name and found is family:
        start = replace(configured, **config)
    elif found is family:
        start = family.adopt(start, configured, config)
    new_head = name != family.name or bool(config)
    return build(family, wanted(start), contents, new_head=new_head).train()


def _with_maps(config: Any) -> Any:
    """Ask for a backbone: of the levels that are configured, or of all."""
    if not hasattr(config, "out_indices"):
        raise ConfigError(
            f"features_only is True, and a {type(config).__name__} has no feature maps: "
            "accepted is a MaxViT"
        )
    if config.out_indices is not None:
        return config
    return replace(config, out_indices=tuple(range(len(config.depths) + 1)))


def open_model(
    weights: str | Path, *, config: Mapping[str, Any] | None = None, **pulling: Any
) -> nn.Module:
    """Build the model of a checkpoint, with its weights, in evaluation mode on the CPU.

    Parameters
    ----------
    weights : str or Path
        A published checkpoint's name, which is fetched into the cache if it is not there, or a
        file.
    config : mapping of str to value, optional
        Fields that replace what the checkpoint shows, such as `image_size`.
    **pulling
        `offline` and `on_progress` of `multiaxis.weights.pull`.

    Raises
    ------
    ConfigError
        If the name is unknown.
    WeightsError
        If the weights cannot be fetched, or belong to no known model.
    """
    from multiaxis.weights.load import load_model

    return load_model(_file_of(weights, **pulling), **(config or {}))


def _file_of(weights: str | Path, *, fits: str | None = None, **pulling: Any) -> Path:
    """Return the file of a checkpoint given by name or path."""
    from multiaxis.weights.index import find_checkpoint, list_checkpoints
    from multiaxis.weights.pull import pull

    path = Path(weights)
    names = {row.name for row in list_checkpoints()}  # first: a folder may be called "derain"
    looks_like_a_file = len(path.parts) > 1 or path.suffix or path.exists()
    if isinstance(weights, Path) or (weights not in names and looks_like_a_file):
        return path
    checkpoint = find_checkpoint(weights)
    if fits is not None and checkpoint.model != fits:
        raise WeightsError(
            f"the weights {weights!r} are those of {checkpoint.model}, not of {fits}: "
            f"use create_model({checkpoint.model!r}, weights={weights!r})"
        )
    return pull(checkpoint, **pulling)
