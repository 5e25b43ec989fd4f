"""What the weights of a detector state for whoever uses them, in their metadata."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from multiaxis.errors import ConfigError, WeightsError
from multiaxis.tasks.detect.networks.config import DetectorConfig
from multiaxis.tasks.detect.settings import from_mapping
from multiaxis.tasks.detect.truth import Category

_KEY = "detector"


@dataclass(frozen=True)
class Stated:
    """What a file says.

    Attributes
    ----------
    config : DetectorConfig
    size : int
        Longer side of a picture as the network sees it, pixels.
    classes : tuple of Category
        By label; their ids are those of the annotations that were trained on.
    """

    config: DetectorConfig
    size: int
    classes: tuple[Category, ...]


def write_stated(size: int, classes: tuple[Category, ...]) -> dict[str, str]:
    """Put into metadata what is beside the configuration, which a training states by itself."""
    named = [{"id": category.id, "name": category.name} for category in classes]
    return {_KEY: json.dumps({"size": size, "classes": named})}


def read_stated(path: Path, metadata: Mapping[str, str]) -> Stated:
    """Read it back.

    Raises
    ------
    WeightsError
        If the file states nothing, or what cannot be understood.
    """
    if _KEY not in metadata or "config" not in metadata:
        raise WeightsError(
            f"{path} is no detector: accepted are weights that multiaxis train wrote with a recipe "
            "of detection, such as detect-folder"
        )
    try:
        return _stated(json.loads(metadata[_KEY]), json.loads(metadata["config"]))
    except (ValueError, KeyError, TypeError, ConfigError) as error:
        raise WeightsError(
            f"{path} states a detector that is unknown to this version ({error}): train again, or "
            "update multiaxis"
        ) from error


def _stated(about: Mapping[str, Any], config: Mapping[str, Any]) -> Stated:
    found = from_mapping(config)
    classes = tuple(Category(int(one["id"]), str(one["name"])) for one in about["classes"])
    if len(classes) != found.classes:
        raise ValueError(f"it names {len(classes)} classes and tells {found.classes} apart")
    size = int(about["size"])
    if not 1 <= size <= 65536:
        raise ValueError(f"it states the size {size}")
    return Stated(found, size, classes)
