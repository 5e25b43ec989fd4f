"""What a container holds into a model, or a model of what it holds."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from multiaxis.errors import WeightsError
from multiaxis.files.bounds import readable, unpacked_limit
from multiaxis.models.contents import CheckpointContents, Loaded, advice
from multiaxis.models.families import AnyFamily, family_of, recognise
from multiaxis.models.saved import LABELS, Saved

_log = logging.getLogger(__name__)

_HEAD = {"num_classes", "head_hidden"}
_OF_THE_FILE = {"config", "digest", "format", "model"}


def load_contents(
    model: nn.Module,
    contents: CheckpointContents,
    *,
    skip: Sequence[str] = (),
    assign: bool = False,
) -> Loaded:
    """Load what `read_contents` gave; as `load_weights`."""
    family = family_of(model, "load weights into")
    found, origin = recognise(contents)
    if found is not family:
        raise WeightsError(
            f"{contents.path} looks like {origin}, and the model is a {family.title}: create the "
            "model that the checkpoint was made for"
        )
    report = family.load(model, contents, origin, skip=skip, assign=assign)
    _remember(model, contents, report)
    _log.info("loaded %s (%s, %s)", contents.path, contents.kind, origin)
    return replace(report, taken_from=contents.taken_from, left_out=list(contents.left_out))


def _remember(model: nn.Module, contents: CheckpointContents, report: Loaded) -> None:
    """Keep what the file states of the model, but for the labels of a head that was not loaded."""
    if isinstance(model, Saved):
        model.about.update({k: v for k, v in contents.metadata.items() if k not in _OF_THE_FILE})
        if any(name.startswith("head.") for name in (*report.fresh, *report.skipped)):
            model.about.pop(LABELS, None)


def find_config(
    contents: CheckpointContents, given: Mapping[str, Any] | None = None
) -> tuple[AnyFamily, Any]:
    """Find out which family a checkpoint is of, and its configuration.

    Parameters
    ----------
    contents : CheckpointContents
    given : mapping of str to value, optional
        Fields that the user sets: nobody needs to be warned that the file does not state them.

    Raises
    ------
    WeightsError
        If it is of no model that can be built.
    """
    with readable(contents.path):
        family, origin = recognise(contents)
        config = family.find_config(contents, origin, given or {})
        least = family.least_tensors(config)
        if config not in family.variants.values() and least > len(contents.arrays):
            raise ValueError(
                f"it states a {family.title} of at least {least} tensors, and holds "
                f"{len(contents.arrays)}"
            )
        return family, config


def build(family: AnyFamily, config: Any, contents: CheckpointContents, *, new_head: bool) -> Any:
    """Build a model with a checkpoint's weights, in evaluation mode on the CPU.

    Names and shapes are compared before anything is allocated, so a file cannot ask for more than
    it holds.

    Parameters
    ----------
    family : Family
    config : object
        Of that family.
    contents : CheckpointContents
        What `read_contents` gave; the model takes its tensors as they are.
    new_head : bool
        Whether the user asked for another head than the file's, which starts anew.

    Raises
    ------
    WeightsError
        If the checkpoint does not fit.
    """
    with readable(contents.path):
        with torch.device("meta"):
            model = family.build(config)
        _check_size(model, contents)
        report = load_contents(model, contents, assign=True)
        if report.fresh and not new_head:
            raise WeightsError(
                f"{contents.path} holds another head than it states ({', '.join(report.fresh)}): "
                "convert it again, or pass num_classes and head_hidden"
            )
        if report.fresh:
            start = family.build(config).state_dict()
            own = {name: start[name] for name in report.fresh}
            model.load_state_dict(own, strict=False, assign=True)
        return model.eval()


def build_found(contents: CheckpointContents, given: Mapping[str, Any]) -> tuple[Any, AnyFamily]:
    """Build the model that a checkpoint is of, but for the fields that the user sets."""
    family, found = find_config(contents, given)
    asked = bool(given.keys() & _HEAD)
    return build(family, replace(found, **given), contents, new_head=asked), family


def _check_size(model: nn.Module, contents: CheckpointContents) -> None:
    """Let tables be stretched and heads be new, but no small file ask for a large model."""
    needed = sum(parameter.numel() * parameter.itemsize for parameter in model.parameters())
    there = sum(array.nbytes for array in contents.arrays.values())
    if needed > unpacked_limit(there):
        raise WeightsError(
            f"{contents.path} holds {there:,} bytes of parameters, and the model takes {needed:,}: "
            f"{advice(contents.arrays)}"
        )
