"""What other rooms ask of MaxViT."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from multiaxis.models.family import Family
from multiaxis.models.maxvit.config import VARIANTS, MaxViTConfig, adopt, find_variant
from multiaxis.models.maxvit.names import ORIGINS

if TYPE_CHECKING:
    from torch import Tensor, nn

    from multiaxis.models.contents import CheckpointContents, Loaded
    from multiaxis.models.maxvit.backbone import Backbone
    from multiaxis.models.maxvit.network import MaxViT, Trunk


def _describe(config: MaxViTConfig) -> str:
    depths, widths = ("-".join(map(str, n)) for n in (config.depths, config.widths))
    return f"MaxViT, {depths} blocks of {widths} channels"


def _least_tensors(config: MaxViTConfig) -> int:
    """Count for each block its 8 norms, the 8 dense layers of both attentions, 4 convolutions."""
    return 20 * sum(config.depths[: config.built_stages])


def _build(config: MaxViTConfig) -> MaxViT | Backbone:
    from multiaxis.models.maxvit.backbone import Backbone
    from multiaxis.models.maxvit.network import MaxViT

    return MaxViT(config) if config.out_indices is None else Backbone(config)


def _find_config(
    contents: CheckpointContents, origin: str, given: Mapping[str, Any]
) -> MaxViTConfig:
    from multiaxis.models.maxvit.checkpoint import find_config

    return find_config(contents, origin, given)


def _load(model: Trunk, contents: CheckpointContents, origin: str, **options: Any) -> Loaded:
    from multiaxis.models.maxvit.checkpoint import load

    return load(model, contents, origin, **options)


def _timm_form(model: Trunk) -> tuple[dict[str, Tensor], MaxViTConfig]:
    from multiaxis.models.maxvit.checkpoint import timm_form

    return timm_form(model)


def _group_parameters(
    model: nn.Module, *, lr: float, weight_decay: float, layer_decay: float = 1.0
) -> list[dict[str, Any]]:
    from multiaxis.models.maxvit.groups import parameter_groups

    return parameter_groups(model, lr=lr, weight_decay=weight_decay, layer_decay=layer_decay)


def _fold(model: Trunk) -> None:
    from multiaxis.models.maxvit.folding import fold_norms
    from multiaxis.models.maxvit.fused import fuse_activations

    fold_norms(model)
    fuse_activations(model, model.config)


MAXVIT = Family(
    name="maxvit",
    title="MaxViT",
    default=MaxViTConfig(),
    variants=VARIANTS,
    describe=_describe,
    least_tensors=_least_tensors,
    build=_build,
    origins=ORIGINS,
    find_config=_find_config,
    adopt=adopt,
    load=_load,
    find_variant=find_variant,
    foreign_forms={"timm": _timm_form},
    group_parameters=_group_parameters,
    fold=_fold,
    task="image-classification",
    output="logits",
)
