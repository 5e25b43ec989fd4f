"""Detectors built by name, and opened again by the configuration that their file states."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any, cast

import torch

from multiaxis.errors import ConfigError, WeightsError, unknown
from multiaxis.files.bounds import readable
from multiaxis.models.contents import CheckpointContents, check_fit, shapes_of
from multiaxis.models.maxvit.backbone import Backbone
from multiaxis.models.maxvit.config import MaxViTConfig
from multiaxis.models.pyramid import PyramidConfig
from multiaxis.tasks.detect.networks.config import (
    AnchorConfig,
    BoxLossConfig,
    DetectorConfig,
    MaskConfig,
    ProposalConfig,
    RegionConfig,
    ResNetConfig,
    RetinaConfig,
)
from multiaxis.tasks.detect.networks.network import DetectionNetwork
from multiaxis.tasks.detect.networks.variants import NETWORKS
from multiaxis.weights.contents import read_contents
from multiaxis.weights.find import find_own
from multiaxis.weights.purpose import wrong_purpose
from multiaxis.zoo import create_model

_log = logging.getLogger(__name__)
_PARTS: dict[str, type[Any]] = {
    "pyramid": PyramidConfig,
    "anchors": AnchorConfig,
    "proposals": ProposalConfig,
    "loss": BoxLossConfig,
    "masks": MaskConfig,
}
_WINDOWS = ("image_size", "window_size", "grid_size", "scale_ratio", "window_policy")


def create_network(
    name: str, *, weights: str | Path | None = None, **config: Any
) -> DetectionNetwork:
    """Build a detector on the CPU, in training mode as `create_model` does.

    Parameters
    ----------
    name : str
        One of `NETWORKS`.
    weights : str or Path, optional
        A detector's file, folder or repository; or weights of its backbone, where a published
        checkpoint's name is accepted, too.
        Without it, parameters are random. From a detector of other classes, all is taken but what
        tells classes apart.
    **config
        Fields of `DetectorConfig` that replace the variant's: values, or mappings of the fields of
        a part to values, such as ``head={"convs": 2}``.

    Raises
    ------
    ConfigError
        If the name or a field is unknown, or a value cannot work.
    WeightsError
        If the weights do not fit.

    Examples
    --------
    >>> create_network("maxvit_pico_maskrcnn", classes=1, head={"samples": 64}).config.head.samples
    64
    """
    if name not in NETWORKS:
        raise unknown("detector", name, NETWORKS)
    network = DetectionNetwork(_replaced(NETWORKS[name], config))
    if weights is None:
        return network
    path = find_own(weights)
    if not path.is_file():
        _load_backbone(network, weights)
        return network
    contents = read_contents(path)
    with readable(path):
        if _is_detector(contents):
            _load(network, contents)
        else:
            _load_backbone(network, path)
    return network


def open_network(path: str | Path) -> DetectionNetwork:
    """Open a saved detector, in evaluation mode on the CPU.

    Parameters
    ----------
    path : str or Path
        What `save_network` or a training wrote.

    Raises
    ------
    WeightsError
        If the file is unreadable, or no detector's.
    """
    path = Path(path)
    contents = read_contents(path)
    stated = contents.metadata.get("config")
    if stated is None or not _is_detector(contents):
        written = "is what a training such as multiaxis train detect-folder writes"
        raise wrong_purpose(path, "detector", written)
    with readable(path):
        try:
            config = read_config(json.loads(stated))
        except ConfigError as error:
            raise WeightsError(f"{path} states a detector that cannot be: {error}") from error
        with torch.device("meta"):
            network = DetectionNetwork(config)
        tensors = contents.tensors()
        check_fit("the detector that it states", path, tensors, shapes_of(network))
        network.load_state_dict(tensors, assign=True)
        return network.eval()


def read_config(stated: object) -> DetectorConfig:
    """Build a configuration of plain values, as JSON holds them.

    Raises
    ------
    ConfigError
        If they are another's, or cannot work.
    """
    try:
        return _built(DetectorConfig, stated)
    except (TypeError, AttributeError) as error:
        raise ConfigError(f"it states no detector that can be built ({error})") from error


def _built(kind: type[Any], stated: object) -> Any:
    if not isinstance(stated, dict):
        raise ConfigError(f"{kind.__name__} is {str(stated)[:60]!r}: accepted are its fields")
    known = [field.name for field in fields(kind)]
    given: dict[str, Any] = {}
    for name, value in stated.items():
        if name not in known:
            raise unknown(f"field of {kind.__name__}", name, known)
        part = _part(name, value) if isinstance(value, dict) else None
        given[name] = value if part is None else _built(part, value)
    return kind(**given)


def _part(name: str, value: Mapping[str, object]) -> type[Any] | None:
    """Tell what a group of fields is of, where a field takes several kinds by what they hold."""
    if name == "head":
        return RegionConfig if "ious" in value else RetinaConfig
    if name == "backbone":
        return ResNetConfig if "layers" in value else MaxViTConfig
    return _PARTS.get(name)


def _replaced(config: Any, changes: Mapping[str, Any]) -> Any:
    """Replace fields, those of parts, too."""
    known = [field.name for field in fields(config)]
    new: dict[str, Any] = {}
    for name, value in changes.items():
        if name not in known:
            raise unknown(f"field of {type(config).__name__}", name, known)
        part = getattr(config, name)
        nested = isinstance(value, Mapping) and is_dataclass(part)
        new[name] = _replaced(part, value) if nested else value
    return replace(config, **new)


def _is_detector(contents: CheckpointContents) -> bool:
    return any(name.startswith("maps.") for name in contents.arrays)


def _load(network: DetectionNetwork, contents: CheckpointContents) -> None:
    """Load a detector's tensors; what tells classes apart stays new where there are others."""
    shapes, tensors = shapes_of(network), contents.tensors()
    told_apart = {
        name
        for name, tensor in tensors.items()
        if name in shapes
        and tuple(tensor.shape) != shapes[name]
        and any(part in name for part in (".classes.", ".offsets.", "mask_fcn_logits"))
    }
    own = network.state_dict()
    fitting = {**tensors, **{name: own[name] for name in told_apart}}
    check_fit("the detector", contents.path, fitting, shapes)
    network.load_state_dict(fitting)
    if told_apart:
        _log.warning("%s has other classes: new are %s", contents.path, ", ".join(told_apart))


def _load_backbone(network: DetectionNetwork, weights: str | Path) -> None:
    body = network.config.backbone
    if not isinstance(body, MaxViTConfig):
        raise ConfigError("a ResNet starts from scratch: leave the weights out")
    backbone = network.maps.backbone
    asked = {name: getattr(body, name) for name in _WINDOWS}
    maps = cast(Backbone, backbone).out_indices
    found = create_model("maxvit", weights=weights, features_only=True, out_indices=maps, **asked)
    tensors = found.state_dict()
    check_fit("the detector's backbone", Path(weights), tensors, shapes_of(backbone))
    backbone.load_state_dict(tensors)
