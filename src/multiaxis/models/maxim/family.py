"""What other rooms ask of MAXIM."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from multiaxis.models.family import Family
from multiaxis.models.maxim.config import VARIANTS, MaximConfig
from multiaxis.models.maxim.names import ORIGINS

if TYPE_CHECKING:
    from torch import nn

    from multiaxis.models.contents import CheckpointContents, Loaded
    from multiaxis.models.maxim.network import Maxim


def _describe(config: MaximConfig) -> str:
    return f"MAXIM, {config.num_stages} stages, {config.features} features"


def _least_tensors(config: MaximConfig) -> int:
    """Count one for each resize between two levels, and one for each part of a level."""
    parts = 2 * config.depth**2 + config.depth * config.num_groups + config.num_bottleneck_blocks
    return config.num_stages * parts


def _build(config: MaximConfig) -> Maxim:
    from multiaxis.models.maxim.network import Maxim

    return Maxim(config)


def _find_config(
    contents: CheckpointContents, origin: str, given: Mapping[str, Any]
) -> MaximConfig:
    from multiaxis.models.maxim.checkpoint import find_config

    del given  # it shows all that it needs
    return find_config(contents, origin)


def _adopt(start: MaximConfig, found: MaximConfig, given: Mapping[str, Any]) -> MaximConfig:
    """Keep the variant: a checkpoint of another does not fit."""
    del found
    return replace(start, **given)


def _load(model: Maxim, contents: CheckpointContents, origin: str, **options: Any) -> Loaded:
    from multiaxis.models.maxim.checkpoint import load

    return load(model, contents, origin, **options)


def _find_variant(config: MaximConfig) -> str | None:
    return next((name for name, variant in VARIANTS.items() if variant == config), None)


def _group_parameters(
    model: nn.Module, *, lr: float, weight_decay: float, layer_decay: float = 1.0
) -> list[dict[str, Any]]:
    from multiaxis.models.groups import group_parameters

    return group_parameters(model, lr=lr, weight_decay=weight_decay, layer_decay=layer_decay)


def _fold(model: Maxim) -> None:
    """Leave it: there is no batch norm."""


def _streamed(model: Maxim, **options: Any) -> Any:
    from multiaxis.models.maxim.streaming import streamed

    return streamed(model, **options)


MAXIM = Family(
    name="maxim",
    title="MAXIM",
    default=MaximConfig(),
    variants=VARIANTS,
    describe=_describe,
    least_tensors=_least_tensors,
    build=_build,
    origins=ORIGINS,
    find_config=_find_config,
    adopt=_adopt,
    load=_load,
    find_variant=_find_variant,
    foreign_forms={},
    group_parameters=_group_parameters,
    fold=_fold,
    task="image-to-image",
    output="restored",
    streamed=_streamed,
)
