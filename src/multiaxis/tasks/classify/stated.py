"""What a file states for whoever classifies with it: preprocessing and names of classes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from multiaxis.errors import ConfigError, WeightsError
from multiaxis.models.saved import LABELS
from multiaxis.tasks.classify.rules import Preprocessing

_PREPROCESSING = "preprocessing"


@dataclass(frozen=True)
class Stated:
    """What a file says.

    Attributes
    ----------
    preprocessing : Preprocessing or None
    labels : tuple of str or None
        Names of the classes.
    """

    preprocessing: Preprocessing | None
    labels: tuple[str, ...] | None


def write_stated(preprocessing: Preprocessing, labels: Sequence[str] | None) -> dict[str, str]:
    """Put it into metadata.

    Parameters
    ----------
    preprocessing : Preprocessing
    labels : sequence of str or None
        Names of the classes, where they have any.
    """
    about = {_PREPROCESSING: json.dumps(asdict(preprocessing))}
    return about if labels is None else {**about, LABELS: json.dumps(list(labels))}


def as_validated(size: int) -> Preprocessing:
    """Give the way in which a training shows its held-out pictures: the middle, in [-1, 1].

    Parameters
    ----------
    size : int
        Side of the squares, pixels.
    """
    half = (0.5, 0.5, 0.5)
    return Preprocessing("middle", (size, size), crop=1.0, squash=False, mean=half, std=half)


def read_stated(about: Mapping[str, str], where: object) -> Stated:
    """Read it back; where nothing is stated, there is nothing in it.

    Parameters
    ----------
    about : mapping of str to str
        Metadata of a file, or what a model keeps of it.
    where : object
        What to call it in a message.

    Raises
    ------
    WeightsError
        If what it states cannot be understood.
    """
    try:
        rules = json.loads(about.get(_PREPROCESSING, "null"))
        labels = json.loads(about.get(LABELS, "null"))
        if not isinstance(labels, list | None):
            raise TypeError(f"labels are {labels!r}")
        return Stated(
            None if rules is None else Preprocessing(**rules),
            None if labels is None else tuple(str(name) for name in labels),  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
        )
    except (ValueError, KeyError, TypeError, ConfigError) as error:
        raise WeightsError(
            f"{where} states a way to classify that is unknown to this version ({error}): export "
            "it again, or update multiaxis"
        ) from error
