"""Rate photographs that people have rated, and score the ratings by a protocol."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from multiaxis.data.pictures import read_levels
from multiaxis.errors import ConfigError, DataError, MultiaxisError, unknown
from multiaxis.files.publish import publish
from multiaxis.progress import OnProgress, Progress
from multiaxis.score.correlation import Agreement, agreement, share_interval
from multiaxis.tasks.rate.costs import earth_movers
from multiaxis.tasks.rate.rater import Rater, Rating
from multiaxis.tasks.rate.ratings import Choices, Ratings, find_photos, read_ratings
from multiaxis.tasks.rate.scale import Scale

PROTOCOLS: dict[str, str] = {
    "mean": "SRCC, PLCC, KRCC, right pairs and error of mean ratings",
    "ava": "PLCC without a curve and SRCC of mean votes; distance of votes with r = 1; the share "
    "on the right side of the middle (NIMA, MaxViT table 5)",
    "quality": "SRCC, KRCC, and PLCC after a logistic curve of four parameters (VQEG)",
}
"""What is told of ratings, by name. Choices are scored in one way."""


@dataclass(frozen=True)
class Evaluation:
    """What a rater scored.

    Attributes
    ----------
    protocol : str
        A key of `PROTOCOLS`, or ``"choices"``.
    scores : dict of str to float
    rows : tuple of (str, float, float)
        Each photograph's name, predicted and true mean rating; of choices, both pictures and the
        share of the votes for the first.
    left_out : tuple of str
        What could not be scored, in a sentence each.
    """

    protocol: str
    scores: dict[str, float]
    rows: tuple[tuple[str, float, float], ...]
    left_out: tuple[str, ...] = ()

    def write_csv(self, path: Path) -> None:
        """Write the rows as a table.

        Raises
        ------
        ConfigError
            If it cannot be written.
        """
        stream = io.StringIO()
        writer = csv.writer(stream)
        writer.writerow(["name", "predicted", "true"])
        writer.writerows(self.rows)
        try:
            data = stream.getvalue().encode(errors="surrogateescape")
            publish(path, data, overwrite=True)
        except OSError as error:
            raise ConfigError(f"cannot write the table {path}: {error.strerror}") from error


def evaluate(
    rater: Rater,
    photos: str | Path,
    ratings: str | Path,
    *,
    protocol: str = "mean",
    on_progress: OnProgress | None = None,
) -> Evaluation:
    """Rate what people have rated, and compare.

    Parameters
    ----------
    rater : Rater
    photos : path
        A folder.
    ratings : str or Path
        As of `Rater.learn`.
    protocol : str
        Of `PROTOCOLS`; choices have one of their own.
    on_progress : callable, optional
        Receives `Progress` in pictures.

    Raises
    ------
    ConfigError
        If the protocol is unknown, or the rater is of another kind than the ratings.
    DataError
        If fewer than three can be scored.
    """
    if protocol not in PROTOCOLS:
        raise unknown("protocol", protocol, PROTOCOLS)
    kind = rater.model.config.head.kind
    said = read_ratings(find_photos(photos), ratings, rater.scale if kind == "votes" else None)
    if isinstance(said, Choices):
        return _choices(rater, said, on_progress)
    return _ratings(rater, said, protocol, on_progress)


def _ratings(
    rater: Rater, said: Ratings, protocol: str, on_progress: OnProgress | None
) -> Evaluation:
    found, failed = _each(said.shares, rater.rate_pixels, on_progress)
    if len(found) < 3:
        raise DataError(f"{len(found)} rated photographs can be scored: three are the least")
    rated: dict[Path, Rating] = dict(found)
    truth = np.array([said.scale.mean(said.shares[path]) for path in rated])
    scores = np.array([rating.score for rating in rated.values()])
    whole = agreement(scores, truth)
    rows = tuple((str(p), float(s), float(t)) for p, s, t in zip(rated, scores, truth, strict=True))
    named = _named(whole, protocol)
    if protocol == "ava":
        named |= _votes(rated, said)
    return Evaluation(protocol, named, rows, (*said.left_out, *failed))


def _named(whole: Agreement, protocol: str) -> dict[str, float]:
    if protocol == "ava":
        return {"plcc": whole.plcc, "srcc": whole.srcc}
    if protocol == "quality":
        return {"srcc": whole.srcc, "krcc": whole.krcc, "plcc_fitted": whole.plcc_fitted}
    names = ("srcc", "plcc", "krcc", "pairs", "error")
    return {name: getattr(whole, name) for name in names}


def _votes(rated: dict[Path, Rating], said: Ratings) -> dict[str, float]:
    if not all(rating.shares for rating in rated.values()):
        raise ConfigError(
            "the protocol ava compares votes, and this rater learnt from choices, which have none: "
            "use --protocol mean"
        )
    found = np.array([rating.shares for rating in rated.values()])
    truth = np.stack([said.shares[path] for path in rated])
    apart = earth_movers(torch.from_numpy(found), torch.from_numpy(truth), r=1)
    middle = (said.scale.values[0] + said.scale.values[-1]) / 2
    return {"emd": float(apart.mean()), "accuracy": _same_side(found, truth, said.scale, middle)}


def _same_side(
    found: NDArray[np.float64], truth: NDArray[np.float64], scale: Scale, middle: float
) -> float:
    values = np.asarray(scale.values)
    return float((((found @ values) > middle) == ((truth @ values) > middle)).mean())


def _choices(rater: Rater, said: Choices, on_progress: OnProgress | None) -> Evaluation:
    kind = rater.model.config.head.kind
    if (said.references is not None) != (kind == "closeness"):
        need = "choices without a reference" if said.references is not None else "a reference"
        raise ConfigError(
            f"the rater and the choices do not fit: this rater needs {need}, or another rater "
            "these choices"
        )
    scores, failed = _scores(rater, said, on_progress)
    right = total = 0.0
    rows: list[tuple[str, float, float]] = []
    for k, ((a, b), wins) in enumerate(zip(said.rows, said.wins, strict=True)):
        original = -1 if said.references is None else int(said.references[k])
        one, other = (scores.get((original, int(side))) for side in (a, b))
        if one is None or other is None:
            continue
        won = wins[0] if one > other else wins[1] if other > one else wins.sum() / 2
        right, total = right + float(won), total + float(wins.sum())
        name = f"{said.items[a]}, {said.items[b]}"
        rows.append((name, one - other, float(wins[0] / wins.sum())))
    if not total:
        raise DataError("no choice can be scored: none of the pictures could be read")
    low, high = share_interval(right / total, round(total))
    named = {"choices": right / total, "low": low, "high": high}
    return Evaluation("choices", named, tuple(rows), (*said.left_out, *failed))


def _scores(
    rater: Rater, said: Choices, on_progress: OnProgress | None
) -> tuple[dict[tuple[int, int], float], tuple[str, ...]]:
    """Score every picture that is in a choice; nearer ones higher, where there is an original."""
    originals = [-1] * len(said.rows) if said.references is None else said.references.tolist()
    wanted = {
        (int(o), int(k)): None for o, row in zip(originals, said.rows, strict=True) for k in row
    }

    def score(pair: tuple[int, int]) -> float:
        original, k = pair
        if original < 0:
            return rater.rate_pixels(read_levels(said.items[k])).score
        return -rater.distance(said.items[original], said.items[k])

    found: dict[tuple[int, int], float] = {}
    failed: list[str] = []
    for done, pair in enumerate(wanted):
        if on_progress:
            on_progress(Progress(said.items[pair[1]].name, done, len(wanted), "pictures"))
        try:
            found[pair] = score(pair)
        except ConfigError:
            raise
        except MultiaxisError as error:
            failed.append(f"{said.items[pair[1]]}: {error}")
    return found, tuple(failed)


def _each(
    paths: Iterable[Path],
    rate: Callable[[NDArray[np.uint8]], Rating],
    on_progress: OnProgress | None,
) -> tuple[list[tuple[Path, Rating]], tuple[str, ...]]:
    found: list[tuple[Path, Rating]] = []
    failed: list[str] = []
    listed = list(paths)
    for done, path in enumerate(listed):
        if on_progress:
            on_progress(Progress(path.name, done, len(listed), "pictures"))
        try:
            found.append((path, rate(read_levels(path))))
        except ConfigError:
            raise
        except MultiaxisError as error:
            failed.append(f"{path}: {error}")
    return found, tuple(failed)
