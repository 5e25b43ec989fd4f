"""What stands before the names of a model in a file: the rule of every container.

Scripts save models inside of others, and several of them in one file: ``module.`` of parallel
training, ``model.`` of Lightning, ``encoder.`` of a segmentation model, ``model_ema`` beside
``model``. The names of a model are found by the marks of the families, wherever they begin.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from multiaxis.errors import WeightsError
from multiaxis.models.contents import CheckpointContents
from multiaxis.models.family import Origin

_log = logging.getLogger(__name__)

# Of DataParallel and AveragedModel; torch.compile; FSDP; checkpoint_wrapper. Anywhere in a name.
_WRAPPERS = {"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"}
_AVERAGES = {"ema", "averaged", "average", "avg", "swa", "shadow"}
# Where scripts keep the parameters that they go on from, if they keep others beside them.
_USUAL = ("state_dict", "model_state_dict", "model", "params")
_COUNTER = "n_averaged"  # of AveragedModel, beside the module that it wraps
_LISTED = 8


def unwrap(contents: CheckpointContents, marks: Mapping[Origin, str]) -> CheckpointContents:
    """Take the one model out of what a file holds, under its own names.

    Averaged weights are preferred to raw ones. What lies beside the model in the same state dict is
    left out, and named in the log and in `CheckpointContents.left_out`.

    Parameters
    ----------
    contents : CheckpointContents
        As a container has it.
    marks : mapping of Origin to str
        A pattern of names that only that origin has; it begins where that origin's names begin.

    Returns
    -------
    CheckpointContents
        The same where no origin is recognised.

    Raises
    ------
    WeightsError
        If it holds several models, and nothing tells which one is meant.
    """
    plain = _without_wrappers(contents.path, contents.arrays)
    found = _prefixes(plain, marks)
    if not found:
        return contents
    taken = _choose(contents.path, list(found))
    others = [prefix for prefix in found if len(prefix) > len(taken)]
    names = [
        name
        for name in plain
        if name.startswith(taken)
        and not name.startswith(tuple(others))
        and name.removeprefix(taken) != _COUNTER
    ]
    left = _left_out(contents.path, plain, taken, names, list(found))
    if taken:
        _log.info("%s: the parameters under %s are taken", contents.path, _shown(taken))
    arrays = contents.arrays
    if [name.removeprefix(taken) for name in names] != list(arrays):
        arrays = {name.removeprefix(taken): arrays[plain[name]] for name in names}
    return replace(
        contents,
        arrays=arrays,
        metadata={} if taken else contents.metadata,  # what a file states is of the whole
        origin=found[taken],
        taken_from=_shown(taken),
        left_out=left,
    )


def _without_wrappers(path: Path, names: Iterable[str]) -> dict[str, str]:
    """Map names without the segments that wrappers put into them to the names in the file."""
    plain: dict[str, str] = {}
    for name in names:
        short = plain_name(name)
        if short in plain:
            raise WeightsError(
                f"{path} holds {short} twice, as {plain[short]} and as {name}: save one of them"
            )
        plain[short] = name
    return plain


def plain_name(name: str) -> str:
    """Leave out the segments that wrappers put into a name.

    Examples
    --------
    >>> plain_name("module.stages.0.0._orig_mod.norm.weight")
    'stages.0.0.norm.weight'
    """
    parts = re.findall(r"[^./]*[./]?", name)
    return "".join(part for part in parts if part[:-1] not in _WRAPPERS)


def _prefixes(names: Iterable[str], marks: Mapping[Origin, str]) -> dict[str, Origin]:
    """Find what stands before the names of each model, and whose names those are."""
    patterns = {origin: re.compile(rf"(?:^|(?<=[./])){mark}") for origin, mark in marks.items()}
    found: dict[str, Origin] = {}
    for name in names:
        for origin, pattern in patterns.items():
            match = pattern.search(name)
            if match:
                found.setdefault(name[: match.start()], origin)
    return found


def _choose(path: Path, prefixes: list[str]) -> str:
    averaged = [prefix for prefix in prefixes if is_average(prefix)]
    if len(averaged) == 1:
        return averaged[0]
    candidates = averaged or prefixes
    for usual in _USUAL:
        of_usual = [p for p in candidates if re.split(r"[./]", p)[0] == usual]
        if of_usual:
            candidates = of_usual
            break
    if len(candidates) == 1:
        return candidates[0]
    listed = ", ".join(_shown(prefix) or "no prefix" for prefix in candidates[:_LISTED])
    raise WeightsError(
        f"{path} holds {len(candidates)} models, under {listed}: save one of them, or give its "
        "state dict to load_weights"
    )


def is_average(prefix: str) -> bool:
    """Tell whether a prefix says that weights are averaged, as ``model_ema.`` and ``netEMA.`` do.

    Examples
    --------
    >>> [is_average(prefix) for prefix in ("state_dict_ema/", "modelEma.", "cinema.")]
    [True, True, False]
    """
    words = re.findall(r"[A-Z]?[a-z]+|[A-Z]+", prefix)
    return any(word.lower() in _AVERAGES for word in words)


def _left_out(
    path: Path, plain: Mapping[str, str], taken: str, names: list[str], prefixes: list[str]
) -> list[str]:
    """Name what lies beside a model in its state dict, and say what is not taken."""
    others = [prefix for prefix in prefixes if prefix != taken]
    if others:
        of_which = "averaged " if is_average(taken) else ""
        _log.warning(
            "%s: the %sparameters under %s are taken, not those under %s",
            path,
            of_which,
            _shown(taken) or "no prefix",
            ", ".join(_shown(prefix) or "no prefix" for prefix in others[:_LISTED]),
        )
    nest, chosen = taken[: taken.rfind("/") + 1], set(names)
    if nest in others:
        return []  # another model, of which that is said
    left = [
        name
        for name in plain
        if name.startswith(nest)
        and "/" not in name.removeprefix(nest)
        and name not in chosen
        and not name.startswith(tuple(others))
        and name != nest + _COUNTER
    ]
    if left:
        shown, more = ", ".join(left[:_LISTED]), len(left) - _LISTED
        _log.warning(
            "%s: %s left out, beside the parameters under %s",
            path,
            shown + (f" and {more} more" if more > 0 else ""),
            _shown(taken),
        )
    return left


def _shown(prefix: str) -> str:
    return prefix.rstrip("./").replace("/", ".")
