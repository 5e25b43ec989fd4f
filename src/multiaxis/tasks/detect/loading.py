"""Weights into detectors: a whole one from its file, or a backbone to start from."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from multiaxis.errors import ConfigError, WeightsError
from multiaxis.models.maxvit.config import VARIANTS, MaxViTConfig, find_variant
from multiaxis.tasks.detect.networks.config import DetectorConfig
from multiaxis.tasks.detect.networks.network import DetectionNetwork
from multiaxis.tasks.detect.stated import Stated, read_stated
from multiaxis.weights.contents import read_contents
from multiaxis.zoo import create_model

_SHOWN = 4  # names that a message lists


def load_detector(path: str | Path) -> tuple[DetectionNetwork, Stated]:
    """Build the detector of a file, with its weights, in evaluation mode on the CPU.

    Raises
    ------
    WeightsError
        If the file cannot be read, is no detector's, or holds another one than it states.
    """
    path = Path(path)
    contents = read_contents(path)
    stated = read_stated(path, contents.metadata)
    tensors = {name: torch.as_tensor(array) for name, array in contents.arrays.items()}
    _check(path, stated.config, tensors)
    network = DetectionNetwork(stated.config)
    network.load_state_dict(tensors)
    return network.eval(), stated


def _check(path: Path, config: DetectorConfig, tensors: dict[str, Tensor]) -> None:
    """Compare names and shapes before anything is allocated."""
    with torch.device("meta"):
        wanted = DetectionNetwork(config).state_dict()
    differing = sorted(
        name
        for name in wanted.keys() | tensors.keys()
        if name not in wanted or name not in tensors or wanted[name].shape != tensors[name].shape
    )
    if differing:
        shown = ", ".join(differing[:_SHOWN])
        raise WeightsError(
            f"{path} holds another detector than it states: {len(differing)} tensors differ, such "
            f"as {shown}; train again, or fetch the file again"
        )


def build_detector(config: DetectorConfig, weights: str | Path | None) -> DetectionNetwork:
    """Build a detector to be trained.

    Parameters
    ----------
    config : DetectorConfig
    weights : str or Path, optional
        Where to start: a published checkpoint of MaxViT or a file of one, for the backbone; or a
        detector's file. What depends on the number of classes starts anew where that differs.

    Raises
    ------
    ConfigError
        If the backbone is of no variant that has weights.
    WeightsError
        If the weights cannot be fetched or do not fit.
    """
    if weights is None:
        return DetectionNetwork(config)
    path = Path(weights)
    if path.is_file():
        contents = read_contents(path)
        if "detector" in contents.metadata:
            tensors = {name: torch.as_tensor(array) for name, array in contents.arrays.items()}
            return _go_on_from(path, config, tensors)
    backbone = _open_backbone(config.backbone, weights)
    network = DetectionNetwork(replace(config, backbone=backbone.config))
    network.maps.backbone.load_state_dict(backbone.state_dict())
    return network


def _go_on_from(path: Path, config: DetectorConfig, tensors: dict[str, Tensor]) -> DetectionNetwork:
    network = DetectionNetwork(config)
    own = network.state_dict()
    fitting = {n: x for n, x in tensors.items() if n in own and own[n].shape == x.shape}
    fresh = [name for name in own if name not in fitting]
    if any(name.startswith("maps.") for name in fresh):
        raise WeightsError(
            f"{path} is a detector with another backbone or pyramid ({fresh[0]}): choose its model "
            "with --set model.name, or leave model.weights out"
        )
    network.load_state_dict(fitting, strict=False)
    return network


def _open_backbone(config: object, weights: str | Path) -> Any:
    name = find_variant(config) if isinstance(config, MaxViTConfig) else None
    if not isinstance(config, MaxViTConfig) or name is None:
        raise ConfigError(
            "model.weights is for detectors on a published variant of MaxViT: leave it out, or "
            "choose such a model, such as maxvit_tiny_cascade"
        )
    variant = VARIANTS[name]
    changed = {
        field.name: getattr(config, field.name)
        for field in fields(config)
        if getattr(config, field.name) != getattr(variant, field.name)
    }
    model: nn.Module = create_model(name, weights=weights, **changed)
    return model
