"""What people said of photographs, brought together with the files: ratings and choices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from multiaxis.data.pictures import find_pictures
from multiaxis.errors import ConfigError, DataError, MultiaxisError, counted
from multiaxis.tasks.rate.scale import STARS, STARS_AND_REJECTED, Scale, Shares, find_scale
from multiaxis.tasks.rate.stars import REJECTED, read_marks
from multiaxis.tasks.rate.tables import Choice, Scored, Table, read_table
from multiaxis.tasks.rate.tally import Tally

LEAST = 20
"""Fewest rated photographs, or choices, that anything is learnt from."""
_FOLDERS = {"0": 0.0, "1": 1.0, "2": 2.0, "3": 3.0, "4": 4.0, "5": 5.0, "-1": REJECTED}


@dataclass(frozen=True)
class Ratings:
    """Votes for photographs.

    Attributes
    ----------
    scale : Scale
    shares : mapping of Path to array, shape (values,)
        Shares of the votes for each value.
    left_out : tuple of str
        What could not be used, in a sentence each.
    """

    scale: Scale
    shares: Mapping[Path, Shares]
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class Choices:
    """Votes between two photographs each.

    Attributes
    ----------
    items : tuple of Path
        The photographs, originals included.
    rows : array of int64, shape (choices, 2)
        Which two of `items`.
    wins : array of float64, shape (choices, 2)
        Votes for each; a tie is half a vote for both.
    references : array of int64, shape (choices,), or None
        Which of `items` is the original of the two, where there is one.
    left_out : tuple of str
        What could not be used, in a sentence each.
    """

    items: tuple[Path, ...]
    rows: NDArray[np.int64]
    wins: NDArray[np.float64]
    references: NDArray[np.int64] | None = None
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class Photos:
    """Photographs, and how tables may call them.

    Attributes
    ----------
    paths : tuple of Path
    left_out : tuple of str
        What of a folder is no photograph.
    """

    paths: tuple[Path, ...]
    left_out: tuple[str, ...] = ()
    by_name: Mapping[str, Path | None] = field(default_factory=dict[str, "Path | None"], repr=False)


def find_photos(source: str | Path | Sequence[str | Path]) -> Photos:
    """List the photographs of a folder and the folders inside it, or take those that are given.

    Raises
    ------
    DataError
        If there are none.
    """
    if isinstance(source, str | Path):
        found = find_pictures(source)
        paths, folder = found.paths, found.folder
        others = [p for p in found.others if p.suffix.lower() not in (".xmp", ".csv", ".txt")]
        first = f"{counted(len(others), 'file')} without a picture's suffix, such as"
        left_out = (f"{first} {others[0]}",) if others else ()
    else:
        paths, folder, left_out = [Path(path) for path in source], None, ()
    if not paths:
        raise DataError("received no photographs: name a folder of them, or some files")
    named: dict[str, Path | None] = {}
    for path in paths:
        inside = path.relative_to(folder).as_posix() if folder else str(path)
        for name in {inside, inside.rpartition(".")[0], path.name, path.stem, str(path)}:
            named[name] = path if named.get(name, path) == path else None
    return Photos(tuple(paths), left_out, named)


def read_ratings(
    photos: Photos, source: str | Path, scale: Scale | None = None
) -> Ratings | Choices:
    """Read what people said of photographs.

    Parameters
    ----------
    photos : Photos
    source : str or Path
        ``"xmp"``: the stars in and beside the files. ``"folders"``: the names of the folders that
        they lie in, 1 to 5. Otherwise a table, or several with commas between.
    scale : Scale, optional
        By default that which the ratings seem to have.

    Raises
    ------
    DataError
        If nothing can be used, or all photographs have the same rating.
    """
    tally = Tally()
    if str(source) in ("xmp", "folders"):
        read = _read_stars if str(source) == "xmp" else _read_folders
        stars = read(photos, tally)
        return _from_scores(stars, scale or _star_scale(stars), tally, photos)
    places = [str(source)] if Path(source).is_file() else str(source).split(",")
    tables = [read_table(Path(place.strip()).expanduser(), tally) for place in places]
    if any(table.choices for table in tables):
        return resolve_choices(photos, [c for t in tables for c in t.choices], tally)
    return _from_tables(photos, tables, scale, tally)


def rate_by_name(
    photos: Photos, scores: Mapping[str, float], scale: Scale | None = None
) -> Ratings:
    """Take ratings from memory: scores by path or name, as `read_ratings`."""
    table = Table(Path("received"), tuple(Scored(str(n), float(s)) for n, s in scores.items()))
    tally = Tally()
    known = [one for one in table.scored if one.score is not None and np.isfinite(one.score)]
    for one in table.scored:
        if one not in known:
            tally.add("rating", "is no number", one.name)
    return _from_tables(photos, [Table(table.path, tuple(known))], scale, tally)


def _star_scale(stars: Mapping[Path, float]) -> Scale:
    return STARS_AND_REJECTED if REJECTED in stars.values() else STARS


def _read_stars(photos: Photos, tally: Tally) -> dict[Path, float]:
    found: dict[Path, float] = {}
    for path in photos.paths:
        try:
            marks = read_marks(path)
        except (MultiaxisError, OSError) as error:
            tally.add("photograph", "is unreadable", f"{path.name} ({error})")
            continue
        if marks.beyond:
            tally.add("photograph", "has a rating beyond -1 to 5", f"{path.name} ({marks.beyond})")
        if marks.stars is None:
            tally.add("photograph", "has no stars", path.name)
            continue
        if marks.differ:
            why = "has several ratings, of which the sidecar's or else XMP's counts"
            tally.add("photograph", why, path.name)
        found[path] = marks.stars
    return found


def _read_folders(photos: Photos, tally: Tally) -> dict[Path, float]:
    found: dict[Path, float] = {}
    for path in photos.paths:
        value = _FOLDERS.get(path.parent.name)
        if value is None:
            tally.add("photograph", "lies in no folder named 1 to 5", path.name)
        else:
            found[path] = value
    return found


def _from_scores(
    scores: Mapping[Path, float], scale: Scale, tally: Tally, photos: Photos
) -> Ratings:
    shares: dict[Path, Shares] = {}
    for path, score in scores.items():
        value = 0.0 if score == REJECTED and scale.values[0] == 0 else score
        if scale.holds(value):
            shares[path] = scale.shares(value)
        else:
            ends = f"{scale.values[0]:g} to {scale.values[-1]:g}"
            tally.add("rating", f"lies outside of {ends}", f"{path.name} ({score:g})")
    return Ratings(scale, shares, (*photos.left_out, *tally.sentences))


def _from_tables(
    photos: Photos, tables: Sequence[Table], scale: Scale | None, tally: Tally
) -> Ratings:
    notes: list[str] = []
    wanted = scale or _common_scale(tables)
    collected: dict[Path, list[tuple[Shares, float]]] = {}
    for table in tables:
        own = _scale_of(table)
        if own is not None and scale is None and own != wanted:
            ends = [f"{s.values[0]:g} to {s.values[-1]:g}" for s in (own, wanted)]
            notes.append(f"the ratings {table.path} go from {ends[0]}: stretched to {ends[1]}")
        for one in table.scored:
            path = _resolve(one.name, photos, tally)
            if path is None:
                continue
            found = _shares_of(one, table, own if scale is None else None, wanted)
            if found is None:
                tally.add("rating", "lies outside of the scale", f"{one.name} ({one.score:g})")
                continue
            collected.setdefault(path, []).append((found, sum(one.votes) or 1.0))
    shares = {path: _pooled(rows, path, tally) for path, rows in collected.items()}
    for path in photos.paths:
        if path not in shares:
            tally.add("photograph", "has no rating", path.name)
    return Ratings(wanted, shares, (*photos.left_out, *notes, *tally.sentences))


def _pooled(rows: list[tuple[Shares, float]], path: Path, tally: Tally) -> Shares:
    if len(rows) > 1 and any((one != rows[0][0]).any() for one, _ in rows):
        tally.add("photograph", "has several ratings, whose mean counts", path.name)
    total = sum(votes for _, votes in rows)
    return sum((one * votes for one, votes in rows), np.zeros(len(rows[0][0]))) / total


def _scale_of(table: Table) -> Scale | None:
    if table.values:
        return Scale(table.values)
    scores = [one.score for one in table.scored if one.score is not None]
    try:
        return find_scale([0.0 if score == REJECTED else score for score in scores])
    except (ConfigError, ValueError):
        return None


def _common_scale(tables: Sequence[Table]) -> Scale:
    scales = [scale for table in tables if (scale := _scale_of(table)) is not None]
    if not scales:
        raise DataError(
            f"the ratings {tables[0].path} hold no two different values: nothing can be learnt "
            "from one"
        )
    return scales[0]


def _shares_of(one: Scored, table: Table, own: Scale | None, wanted: Scale) -> Shares | None:
    """Put a row onto the wanted scale; from another one it is stretched."""
    if one.votes:
        votes = np.asarray(one.votes) / sum(one.votes)
        if table.values == wanted.values:
            return votes
        own = own or Scale(table.values)
        return sum(
            (
                v * wanted.shares(_stretched(x, own, wanted))
                for x, v in zip(table.values, votes, strict=True)
            ),
            np.zeros(len(wanted)),
        )
    score = one.score or 0.0
    if score == REJECTED and wanted.values[0] == 0:
        score = 0.0
    score = _stretched(score, own, wanted) if own is not None else score
    return wanted.shares(score) if wanted.holds(score) else None


def _stretched(score: float, own: Scale, wanted: Scale) -> float:
    if own == wanted:
        return score
    share = (score - own.values[0]) / (own.values[-1] - own.values[0])
    return wanted.values[0] + share * (wanted.values[-1] - wanted.values[0])


def _resolve(name: str, photos: Photos, tally: Tally) -> Path | None:
    clean = name.replace("\\", "/").removeprefix("./")
    if clean not in photos.by_name:
        tally.add("rating", "is of a photograph that is not there", name)
        return None
    path = photos.by_name[clean]
    if path is None:
        tally.add("rating", "is of a name that several photographs have", name)
    return path


def resolve_choices(photos: Photos, choices: Sequence[Choice], tally: Tally) -> Choices:
    """Bring choices together with the files.

    Parameters
    ----------
    photos : Photos
    choices : sequence of Choice
    tally : Tally
        What was counted so far.

    Raises
    ------
    DataError
        If some choices have an original and others have none.
    """
    number: dict[Path, int] = {}
    rows: list[tuple[int, int]] = []
    wins: list[tuple[float, float]] = []
    references: list[int] = []
    with_reference = [choice for choice in choices if choice.reference]
    if with_reference and len(with_reference) < len(choices):
        raise DataError(
            f"{len(with_reference)} of {len(choices)} choices name a reference: give all of them "
            "one, or none"
        )

    def place(path: Path) -> int:
        return number.setdefault(path, len(number))

    for choice in choices:
        names = [choice.a, choice.b, *([choice.reference] if with_reference else [])]
        paths = [_resolve(name, photos, tally) for name in names]
        known = [path for path in paths if path is not None]
        if len(known) < len(names):
            continue
        if known[0] == known[1]:
            tally.add("pair", "names one picture twice", f"{choice.a}, {choice.b}")
            continue
        rows.append((place(known[0]), place(known[1])))
        wins.append((choice.a_wins, choice.b_wins))
        references += [place(path) for path in known[2:]]
    _count_contradictions(rows, wins, references, list(number), tally)
    return Choices(
        tuple(number),
        np.array(rows, np.int64).reshape(-1, 2),
        np.array(wins, np.float64).reshape(-1, 2),
        np.array(references, np.int64) if with_reference else None,
        (*photos.left_out, *tally.sentences),
    )


def _count_contradictions(
    rows: list[tuple[int, int]],
    wins: list[tuple[float, float]],
    references: list[int],
    items: list[Path],
    tally: Tally,
) -> None:
    totals: dict[tuple[int, ...], list[float]] = {}
    for k, ((a, b), (wins_a, wins_b)) in enumerate(zip(rows, wins, strict=True)):
        key = (min(a, b), max(a, b), *references[k : k + 1])
        votes = totals.setdefault(key, [0.0, 0.0])
        votes[a > b] += wins_a
        votes[a < b] += wins_b
    for (a, b, *_), votes in totals.items():
        if min(votes) > 0:
            why = "has votes for both sides, which all count"
            names = (
                f"{p.parent.name}/{p.name}" if references else p.name for p in (items[a], items[b])
            )
            tally.add("pair", why, ", ".join(names))


def check_enough(count: int, noun: str, left_out: Sequence[str], least: int = LEAST) -> None:
    """Refuse to learn from too little.

    Raises
    ------
    DataError
        With what was left out, and why.
    """
    if count < least:
        why = "".join(f"; {text}" for text in left_out[:4])
        raise DataError(f"{counted(count, noun)}: too few ratings, {least} are the least{why}")


def check_said(said: Ratings | Choices) -> None:
    """Refuse to learn from too little, or from one value.

    Raises
    ------
    DataError
    """
    if isinstance(said, Choices):
        check_enough(len(said.rows), "choice", said.left_out)
        return
    check_enough(len(said.shares), "rated photograph", said.left_out)
    means = {round(said.scale.mean(shares), 9) for shares in said.shares.values()}
    if len(means) < 2:
        raise DataError(
            f"all {len(said.shares)} photographs are rated {means.pop():g}: nothing can be learnt "
            "from one value; rate some others"
        )
