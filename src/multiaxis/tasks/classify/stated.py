"""What the weights of a training state for whoever classifies with them, in their metadata."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from multiaxis.errors import ConfigError, WeightsError
from multiaxis.tasks.classify.rules import Preprocessing
from multiaxis.weights.contents import read_metadata

_KEY = "classifier"


@dataclass(frozen=True)
class Stated:
    """What a file says.

    Attributes
    ----------
    preprocessing : Preprocessing
    labels : tuple of str or None
        Names of the classes, where they have any.
    """

    preprocessing: Preprocessing
    labels: tuple[str, ...] | None


def write_stated(size: int, labels: Sequence[str] | None) -> dict[str, str]:
    """Put into metadata how a training showed its held-out pictures: the middle, in [-1, 1].

    Parameters
    ----------
    size : int
        Side of the squares, pixels.
    labels : sequence of str or None
        Names of the classes, where they have any.
    """
    half = (0.5, 0.5, 0.5)
    rules = Preprocessing("middle", (size, size), crop=1.0, squash=False, mean=half, std=half)
    about = {"preprocessing": asdict(rules), "labels": None if labels is None else list(labels)}
    return {_KEY: json.dumps(about)}


def read_stated(path: Path) -> Stated | None:
    """Read it back; None for files that state nothing.

    Raises
    ------
    WeightsError
        If the file cannot be read, or states what cannot be understood.
    """
    text = read_metadata(path).get(_KEY)
    if text is None:
        return None
    try:
        return _stated(json.loads(text))
    except (ValueError, KeyError, TypeError, ConfigError) as error:
        raise WeightsError(
            f"{path} states a way to classify that is unknown to this version ({error}): export "
            "it again, or update multiaxis"
        ) from error


def _stated(about: Mapping[str, object]) -> Stated:
    rules, labels = about["preprocessing"], about["labels"]
    if not isinstance(rules, dict) or not isinstance(labels, list | None):
        raise TypeError(f"it holds {about}")
    names = None if labels is None else tuple(str(name) for name in labels)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    return Stated(Preprocessing(**rules), names)  # pyright: ignore[reportUnknownArgumentType]
