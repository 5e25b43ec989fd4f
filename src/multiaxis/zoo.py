"""Models by name, with weights by name."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Unpack, cast, overload

from multiaxis.errors import ConfigError, unknown
from multiaxis.models.families import FAMILIES, AnyFamily

if TYPE_CHECKING:
    from torch import nn

    from multiaxis.models.maxim.fields import MaximFields
    from multiaxis.models.maxim.network import Maxim
    from multiaxis.models.maxvit.backbone import Backbone
    from multiaxis.models.maxvit.fields import MaxViTFields
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
ModelName = MaximName | MaxViTName


def variants() -> dict[str, Any]:
    """Give the configuration of each published variant."""
    return {
        name: config for family in FAMILIES.values() for name, config in family.variants.items()
    }


def list_models(pattern: str = "*") -> list[ModelName]:
    """Name the published variants that match a shell pattern.

    Examples
    --------
    >>> list_models("maxim_s*")
    ['maxim_s1', 'maxim_s2', 'maxim_s3']
    """
    return cast(list[ModelName], fnmatch.filter(variants(), pattern))


@overload
def create_model(
    name: MaximName, *, weights: str | Path | None = None, **config: Unpack[MaximFields]
) -> Maxim: ...


@overload
def create_model(
    name: MaxViTName,
    *,
    weights: str | Path | None = None,
    features_only: Literal[False] = False,
    **config: Unpack[MaxViTFields],
) -> MaxViT: ...


@overload
def create_model(
    name: MaxViTName,
    *,
    weights: str | Path | None = None,
    features_only: Literal[True],
    **config: Unpack[MaxViTFields],
) -> Backbone: ...


@overload
def create_model(
    name: None = None, *, weights: str | Path, features_only: Literal[False] = False, **config: Any
) -> Maxim | MaxViT: ...


@overload
def create_model(
    name: None = None, *, weights: str | Path, features_only: Literal[True], **config: Any
) -> Backbone: ...


def create_model(
    name: ModelName | None = None,
    *,
    weights: str | Path | None = None,
    features_only: bool = False,
    **config: Any,
) -> Any:
    """Build a model on the CPU, in training mode as timm and torchvision do.

    Call ``.eval()`` before inference: in training mode, batch norms take each batch's own
    statistics. `Classifier` and `Restorer` evaluate by themselves.

    Parameters
    ----------
    name : str, optional
        A variant of `list_models`. ``"maxim"``, ``"maxvit"`` or no name stand for the checkpoint's
        own configuration; without weights, the first two are the authors' default.
    weights : str or Path, optional
        A published checkpoint's name, ours or timm's, which is fetched into the cache if it is not
        there; or a file. Without it, parameters are random.
    features_only : bool
        Whether to build a MaxViT's `Backbone`, whose `forward` gives feature maps: those of
        `out_indices` (all by default; 0 is the stem, 1 to 4 are the stages).
    **config
        Fields of `MaximConfig` or `MaxViTConfig` that replace the variant's. Without them, a MaxViT
        has what the checkpoint states, or its number of classes and image size.

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
    return create_named(name, weights, config, features_only=features_only)


def create_named(
    name: str | None,
    weights: str | Path | None,
    config: Mapping[str, Any],
    *,
    features_only: bool = False,
) -> Any:
    """Build a model by a name that only the run knows; as `create_model`."""
    named = None if name is None else _family_of(name)
    if named is not None:
        _check_fields(named, config)
    wanted = _with_maps if features_only else replace
    if weights is None:
        if named is None:
            raise ConfigError("received neither a model's name nor weights: give one of them")
        start = named.variants.get(name or "", named.default)
        return named.build(wanted(replace(start, **config)))
    from multiaxis.models.build import build, find_config
    from multiaxis.weights.contents import read_model
    from multiaxis.weights.find import find_file

    is_variant = named is not None and name in named.variants
    contents = read_model(find_file(weights, fits=name if is_variant else None))
    found, configured = find_config(contents, config)
    family = named or found
    _check_fields(family, config)
    if found is not family:  # which building the default refuses in words
        start = replace(family.variants.get(name or "", family.default), **config)
    elif is_variant:
        start = family.adopt(family.variants[name or ""], configured, config)
    else:
        start = replace(configured, **config)
    new_head = is_variant or bool(config.keys() & {"num_classes", "head_hidden"})
    return build(family, wanted(start), contents, new_head=new_head).train()


def _family_of(name: str) -> AnyFamily:
    for family in FAMILIES.values():
        if name == family.name or name in family.variants:
            return family
    from multiaxis.weights.index import find_checkpoint, is_known

    if is_known(name):
        checkpoint = find_checkpoint(name)
        if checkpoint.task == "refine":
            raise ConfigError(
                f"{name!r} names weights of a refiner, not a model: use "
                "multiaxis.Restorer('denoise', sampling=multiaxis.Sampling())"
            )
        model = checkpoint.model
        raise ConfigError(
            f"{name!r} names weights, not a model: use create_model({model!r}, weights={name!r})"
        )
    raise unknown("model", name, [*variants(), *FAMILIES])


def _check_fields(family: AnyFamily, config: Mapping[str, Any]) -> None:
    accepted = [field.name for field in fields(family.default)]
    for field in config:
        if field not in accepted:
            raise unknown("field of " + type(family.default).__name__, field, accepted)


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
    from multiaxis.weights.find import find_file
    from multiaxis.weights.load import load_model

    return load_model(find_file(weights, **pulling), **(config or {}))
