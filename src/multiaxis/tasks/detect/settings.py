"""Detectors by name, changed field by field, and as text. No tensors here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

from multiaxis.errors import ConfigError, unknown
from multiaxis.models.maxvit.config import MaxViTConfig
from multiaxis.tasks.detect.networks.config import (
    DetectorConfig,
    MaskConfig,
    RegionConfig,
    ResNetConfig,
    RetinaConfig,
)
from multiaxis.tasks.detect.networks.variants import NETWORKS

# A field with one of several types: a name that only one type has tells which it is.
_CHOICES: dict[str, tuple[tuple[str, type[Any]], ...]] = {
    "backbone": (("layers", ResNetConfig), ("widths", MaxViTConfig)),
    "head": (("gamma", RetinaConfig), ("ious", RegionConfig)),
    "masks": (("samples", MaskConfig),),
}


def configure(name: str, changes: Mapping[str, Any], *, classes: int) -> DetectorConfig:
    """Configure a detector.

    Parameters
    ----------
    name : str
        A key of `NETWORKS`.
    changes : mapping of str to value
        Fields of `DetectorConfig` that replace the detector's; of parts, such as ``head``, again a
        mapping.
    classes : int
        How many kinds of things there are.

    Raises
    ------
    ConfigError
        If a name is unknown, or a value cannot work.
    """
    if name not in NETWORKS:
        raise unknown("detector", name, NETWORKS)
    return replace(_changed(NETWORKS[name], changes), classes=classes)


def from_mapping(about: Mapping[str, Any]) -> DetectorConfig:
    """Give the detector whose `dataclasses.asdict` went through JSON.

    Raises
    ------
    ConfigError, TypeError, ValueError
        If it is none.
    """
    start = DetectorConfig()
    for name, kinds in _CHOICES.items():
        part = about.get(name)
        if isinstance(part, Mapping):
            kind = next((kind for mark, kind in kinds if mark in part), None)
            if kind is None:
                raise ConfigError(f"the {name} of a detector has none of the known kinds")
            start = replace(start, **{name: kind()})
    return _changed(start, about)


def _changed(node: Any, changes: Mapping[str, Any]) -> Any:
    known = {field.name for field in fields(node)}
    made: dict[str, Any] = {}
    for name, value in changes.items():
        if name not in known:
            raise unknown(f"field of {type(node).__name__}", name, sorted(known))
        part = getattr(node, name)
        if isinstance(value, Mapping):
            if part is None and name == "masks":
                part = MaskConfig()
            if not is_dataclass(part):
                raise ConfigError(f"{name} has no fields, and received {dict(value)}")
            made[name] = _changed(part, value)
        elif is_dataclass(part) and value is not None:
            raise ConfigError(f"{name} is a group of fields: set one of them, {name}.FIELD")
        else:
            made[name] = tuple(value) if isinstance(value, list) else value
    return replace(node, **made)
