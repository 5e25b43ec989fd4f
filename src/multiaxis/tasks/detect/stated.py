"""What the weights of a detector state for whoever uses them, in their metadata."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from multiaxis.errors import WeightsError
from multiaxis.tasks.detect.truth import Category
from multiaxis.weights.contents import read_metadata

_KEY = "detector"


@dataclass(frozen=True)
class Stated:
    """What a file says.

    Attributes
    ----------
    size : int
        Longer side of a picture as the network sees it, pixels.
    classes : tuple of Category
        By label; their ids are those of the annotations that were trained on.
    """

    size: int
    classes: tuple[Category, ...]


def write_stated(size: int, classes: tuple[Category, ...]) -> dict[str, str]:
    """Put it into metadata, beside the configuration that a training states by itself."""
    named = [{"id": category.id, "name": category.name} for category in classes]
    return {_KEY: json.dumps({"size": size, "classes": named})}


def read_stated(path: Path, classes: int) -> Stated:
    """Read it back.

    Parameters
    ----------
    path : Path
    classes : int
        How many the network tells apart.

    Raises
    ------
    WeightsError
        If the file states nothing, or what cannot be understood.
    """
    text = read_metadata(path).get(_KEY)
    if text is None:
        raise WeightsError(
            f"{path} does not name its classes: accepted are weights that multiaxis train wrote "
            "with a recipe of detection, such as detect-folder"
        )
    try:
        return _stated(json.loads(text), classes)
    except (ValueError, KeyError, TypeError) as error:
        raise WeightsError(
            f"{path} states a detector that is unknown to this version ({error}): train again, or "
            "update multiaxis"
        ) from error


def _stated(about: Mapping[str, Any], count: int) -> Stated:
    classes = tuple(Category(int(one["id"]), str(one["name"])) for one in about["classes"])
    if len(classes) != count:
        raise ValueError(f"it names {len(classes)} classes and tells {count} apart")
    size = int(about["size"])
    if not 1 <= size <= 65536:
        raise ValueError(f"it states the size {size}")
    return Stated(size, classes)
