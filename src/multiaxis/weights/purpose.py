"""What a file of weights is for: a use that cannot take it says which one can."""

from __future__ import annotations

from pathlib import Path

from multiaxis.errors import WeightsError
from multiaxis.models.families import FAMILIES
from multiaxis.weights.contents import STATED, read_metadata, read_model
from multiaxis.weights.find import find_file

_COMMANDS = {
    "image-classification": "multiaxis classify",
    "image-to-image": "multiaxis restore",
}
_BACKBONE = "a backbone without a head, for create_model and as a start of trainings"


def stated_purpose(path: Path) -> str | None:
    """Say what a network around a model of a family is, and what it is for; None for others.

    Raises
    ------
    WeightsError
        If the file cannot be read.
    """
    metadata = read_metadata(path)
    return next(
        (f"{thing}, for {command}" for key, (thing, command) in STATED.items() if key in metadata),
        None,
    )


def purpose(weights: str | Path) -> str:
    """Say what weights are of and for, such as "a detector, for multiaxis detect".

    Parameters
    ----------
    weights : str or Path
        A file, or a published checkpoint's name that has been fetched.

    Raises
    ------
    WeightsError
        If they cannot be read.
    """
    path = find_file(weights, offline=True)
    if stated := stated_purpose(path):
        return stated
    contents = read_model(path)
    if contents.origin is None:
        return "of no model that multiaxis knows"
    family = FAMILIES[contents.origin.family]
    config = family.find_config(contents, contents.origin.name, {})
    if getattr(config, "out_indices", None) is not None:
        return _BACKBONE
    return f"a {family.title}, for {_COMMANDS[family.task]}"


def wrong_purpose(weights: str | Path, wanted: str, accepted: str) -> WeightsError:
    """Make the error of a use that is given weights of another.

    Parameters
    ----------
    weights : str or Path
        As of `purpose`.
    wanted : str
        What they are not, such as "detector".
    accepted : str
        What the use takes instead.
    """
    return WeightsError(f"{weights} is no {wanted}, but {purpose(weights)}: accepted {accepted}")
