"""Restore a folder and score it against another, under named protocols."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from multiaxis.errors import ConfigError, ImageError, explain
from multiaxis.files.read import read_bytes
from multiaxis.images import decode_picture, from_unit, grey_to_rgb, seen_by_model, to_unit
from multiaxis.progress import OnProgress, Progress
from multiaxis.score import (
    Pair,
    Protocol,
    ScoreRow,
    ScoreTable,
    get_protocol,
    pair_folders,
    score_pair,
)
from multiaxis.tasks.restore.restorer import Restorer

_log = logging.getLogger(__name__)
_CONVERTED = "compared in sRGB and without hidden colour, as restore sees it"


def evaluate(
    restorer: Restorer,
    inputs: str | Path,
    targets: str | Path,
    *,
    protocols: Sequence[str] = ("rgb",),
    on_pair: Callable[[Pair, list[ScoreRow]], None] | None = None,
    on_progress: OnProgress | None = None,
) -> list[ScoreTable]:
    """Restore every picture of a folder and score it against its target.

    A pair that fails is recorded, and the others are scored. Inputs and targets are compared as
    `multiaxis restore` sees them: upright and in sRGB, whatever their profiles.

    Parameters
    ----------
    restorer : Restorer
    inputs, targets : path
        Folders; pictures belong together by name (`multiaxis.score.pair_folders`).
    protocols : sequence of str
        Names in `multiaxis.score.PROTOCOLS`; each picture is restored once for all of them.
    on_pair : callable, optional
        Receives each scored pair and its scores, one for each protocol.
    on_progress : callable, optional
        Receives `Progress` in pictures.

    Returns
    -------
    list of ScoreTable
        One for each protocol. All have the same pairs, `failed` and `remarks`.

    Raises
    ------
    ConfigError
        If a protocol is unknown.
    ImageError
        If a folder or a partner is missing, or no pair can be scored.
    """
    rules = [get_protocol(name) for name in protocols]
    if not rules:
        raise ConfigError("no protocol was given: name at least one, such as 'rgb'")
    pairs = pair_folders(Path(inputs), Path(targets))
    scored: list[list[ScoreRow]] = []
    failed: list[tuple[str, str]] = []
    remarks: list[tuple[str, str]] = []
    for done, pair in enumerate(pairs):
        if on_progress:
            on_progress(Progress(pair.name, done, len(pairs), "pictures"))
        try:
            rows, about = _score(restorer, pair, rules)
        except Exception as error:  # noqa: BLE001 (whatever it is, the other scores are not lost)
            _log.debug("%s failed", pair.input, exc_info=True)
            failed.append((pair.name, explain(error)))
        else:
            scored.append(rows)
            remarks += about
            if on_pair:
                on_pair(pair, rows)
    if not scored:
        raise ImageError(f"none of the {len(pairs)} pairs can be scored; the first: {failed[0][1]}")
    columns = zip(*scored, strict=True)
    return [
        ScoreTable(rule.name, rows, tuple(failed), tuple(remarks))
        for rule, rows in zip(rules, columns, strict=True)
    ]


def _score(
    restorer: Restorer, pair: Pair, rules: list[Protocol]
) -> tuple[list[ScoreRow], list[tuple[str, str]]]:
    (degraded, about_input), (target, about_target) = _see(pair.input), _see(pair.target)
    if degraded.shape != target.shape:
        raise ImageError(
            f"{pair.input} has {degraded.shape[0]} x {degraded.shape[1]} pixels, its target "
            f"{pair.target} {target.shape[0]} x {target.shape[1]}: crop them to the same frame"
        )
    restored = restorer.restore_values(degraded)
    levels = from_unit(target, np.uint8)
    rows = [ScoreRow(pair.name, score_pair(restored, levels, rule)) for rule in rules]
    return rows, about_input + about_target


def _see(path: Path) -> tuple[NDArray[np.float32], list[tuple[str, str]]]:
    """Give what a network sees of a file, as when it restores, and what that changes."""
    picture = decode_picture(read_bytes(path), str(path))
    if picture.pixels.dtype != np.uint8:
        raise ImageError(f"{path} has {picture.pixels.dtype} values: protocols score 8-bit files")
    remarks, seen = list(picture.remarks), seen_by_model(picture)
    if not np.array_equal(seen, to_unit(picture.pixels)):
        remarks.append(_CONVERTED)
    return grey_to_rgb(seen), [(str(path), remark) for remark in remarks]
