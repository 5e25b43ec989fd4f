"""Tables of ratings: CSV files of scores, of votes, of choices between pictures; AVA's own file."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from multiaxis.errors import DataError, ImageError
from multiaxis.files.read import read_bytes
from multiaxis.tasks.rate.tally import Tally

_NAMES = ("name", "file", "filename", "file_name", "path", "photo", "picture", "image", "image_id")
_SCORES = ("score", "rating", "stars", "mean", "mos", "value")
_SIDES = (("a", "b"), ("first", "second"), ("left", "right"))
_CHOICES = ("choice", "preferred", "better")
_TIES = ("tie", "ties", "draw", "equal", "same", "0", "-", "=")
_VOTES = re.compile(r"(?:votes?[_ ]?)?(-?\d+(?:\.\d+)?)")
_ACCEPTED = (
    "accepted are columns such as name,score; name,1,2,3,4,5 (votes for each value); "
    "winner,loser,votes; a,b,choice; a,b,a_votes,b_votes,ties; each of the last three also with "
    "reference; and AVA.txt"
)
_AVA_COLUMNS, _AVA_VALUES = 15, range(1, 11)


@dataclass(frozen=True)
class Scored:
    """What a row says of one picture.

    Attributes
    ----------
    name : str
    score : float or None
        None where votes are given.
    votes : tuple of float
        For each of the table's values; empty where a score is given.
    """

    name: str
    score: float | None = None
    votes: tuple[float, ...] = ()


@dataclass(frozen=True)
class Choice:
    """What a row says of two pictures; a tie is half a vote for each.

    Attributes
    ----------
    a, b : str
    a_wins, b_wins : float
        Votes.
    reference : str
        The original of both; empty where there is none.
    """

    a: str
    b: str
    a_wins: float
    b_wins: float
    reference: str = ""


@dataclass(frozen=True)
class Table:
    """Rows that were understood.

    Attributes
    ----------
    path : Path
    scored : tuple of Scored
    values : tuple of float
        What its votes are for; empty without votes.
    choices : tuple of Choice
    """

    path: Path
    scored: tuple[Scored, ...] = ()
    values: tuple[float, ...] = ()
    choices: tuple[Choice, ...] = ()


def read_table(path: Path, tally: Tally) -> Table:
    """Read a table of ratings, and count the rows that cannot be used.

    Parameters
    ----------
    path : Path
    tally : Tally
        Gets what is left out.

    Raises
    ------
    DataError
        If it cannot be read, or its columns mean nothing.
    """
    lines = [line for line in _text(path).splitlines() if line.strip()]
    if not lines:
        raise DataError(f"the ratings {path} are empty; {_ACCEPTED}")
    words = lines[0].split()
    if len(words) == _AVA_COLUMNS and all(word.lstrip("-").isdigit() for word in words):
        return _ava(path, lines, tally)
    rows = list(csv.reader(lines, delimiter=_delimiter(lines[0])))
    head = [cell.strip().lower() for cell in rows[0]]
    named = _Rows(rows[1:], head, tally)
    if any(name in head for name in _NAMES):
        return _scores_or_votes(path, head, named)
    if {"winner", "loser"} <= set(head) or any({a, b} <= set(head) for a, b in _SIDES):
        return Table(path, choices=tuple(_choices(path, head, named)))
    if len(head) == 2 and _number(head[1]) is not None:  # no head at all
        return _scores_or_votes(path, ["name", "score"], _Rows(rows, ["name", "score"], tally))
    raise DataError(f"the ratings {path} begin with {lines[0][:60]!r}; {_ACCEPTED}")


class _Rows:
    """Rows as mappings by column."""

    def __init__(self, rows: list[list[str]], head: list[str], tally: Tally) -> None:
        self.rows, self.head, self.tally = rows, head, tally

    def __iter__(self) -> Iterator[dict[str, str]]:
        for row in self.rows:
            cells = [cell.strip() for cell in row]
            if len(cells) < len(self.head):
                self.tally.add("row", "has too few columns", ",".join(cells)[:40])
                continue
            yield dict(zip(self.head, cells, strict=False))


def _scores_or_votes(path: Path, head: list[str], rows: _Rows) -> Table:
    key = next(name for name in _NAMES if name in head)
    column = next((name for name in _SCORES if name in head), None)
    if column is not None:
        return Table(path, tuple(_scores(key, column, rows)))
    matches = {name: match for name in head if (match := _VOTES.fullmatch(name))}
    if len(matches) < 2:
        raise DataError(f"the ratings {path} have the columns {', '.join(head)[:80]}; {_ACCEPTED}")
    ordered = sorted(matches, key=lambda name: float(matches[name][1]))
    values = tuple(float(matches[name][1]) for name in ordered)
    return Table(path, tuple(_votes(key, ordered, rows)), values)


def _scores(key: str, column: str, rows: _Rows) -> Iterator[Scored]:
    for row in rows:
        value = _number(row[column])
        if value is None:
            rows.tally.add("rating", "is no number", f"{row[key]} ({row[column] or 'nothing'})")
        else:
            yield Scored(row[key], value)


def _votes(key: str, columns: list[str], rows: _Rows) -> Iterator[Scored]:
    for row in rows:
        votes = [_number(row[name] or "0") for name in columns]
        known = [vote for vote in votes if vote is not None and vote >= 0]
        if len(known) < len(votes):
            rows.tally.add("row", "has votes that are no numbers from 0 on", row[key])
        elif not sum(known):
            rows.tally.add("row", "has no votes", row[key])
        else:
            yield Scored(row[key], votes=tuple(known))


def _choices(path: Path, head: list[str], rows: _Rows) -> Iterator[Choice]:
    sides = next((pair for pair in _SIDES if set(pair) <= set(head)), ("winner", "loser"))
    column = next((name for name in _CHOICES if name in head), None)
    counted = {f"{side}_votes" for side in sides} <= set(head)
    if sides != ("winner", "loser") and column is None and not counted:
        raise DataError(f"the ratings {path} name two pictures and no choice; {_ACCEPTED}")
    for row in rows:
        a, b = (row[side] for side in sides)
        reference = row.get("reference", "")
        name = f"{a}, {b}"
        if not a or not b or a == b:
            why = "names one picture twice" if a and a == b else "lacks a picture"
            rows.tally.add("pair", why, name)
            continue
        if counted:
            ties = _number(row.get("ties") or "0")
            wins = [_number(row[f"{side}_votes"] or "0") for side in sides]
        else:
            ties, wins = 0.0, _wins(row, sides, column)
        if ties is None or None in wins or min(ties, *(w for w in wins if w is not None)) < 0:
            rows.tally.add("pair", "has a choice that is not understood", name)
            continue
        a_wins, b_wins = ((w or 0.0) + ties / 2 for w in wins)
        if not a_wins + b_wins:
            rows.tally.add("pair", "has no votes", name)
            continue
        yield Choice(a, b, a_wins, b_wins, reference)


def _wins(row: dict[str, str], sides: tuple[str, str], column: str | None) -> list[float | None]:
    votes = _number(row.get("votes") or "1")
    if votes is None or column is None:
        return [votes, 0.0]
    word = row[column].lower()
    if word in _TIES:
        return [votes / 2, votes / 2]
    for k, side in enumerate(sides):
        if word in (side, row[side].lower(), str(k + 1)):
            return [0.0, votes] if k else [votes, 0.0]
    return [None, None]


def _ava(path: Path, lines: list[str], tally: Tally) -> Table:
    """Read AVA.txt: a number, a picture, votes for 1 to 10, two tags and a challenge."""
    scored: list[Scored] = []
    for line in lines:
        words = line.split()
        numbers = [_number(word) for word in words[2:12]]
        votes = tuple(vote for vote in numbers if vote is not None and vote >= 0)
        if len(words) != _AVA_COLUMNS or len(votes) != len(_AVA_VALUES) or not sum(votes):
            tally.add("row", "is not as AVA's", line[:40])
            continue
        scored.append(Scored(words[1], votes=votes))
    return Table(path, tuple(scored), tuple(map(float, _AVA_VALUES)))


def _text(path: Path) -> str:
    try:
        return read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"the ratings {path} are no text in UTF-8: save them as CSV") from error
    except ImageError as error:
        raise DataError(f"the ratings: {error}") from error


def _delimiter(line: str) -> str:
    return max(",;\t", key=line.count)


def _number(text: str) -> float | None:
    try:
        value = float(text.replace(",", "."))
    except ValueError:
        return None
    return value if math.isfinite(value) else None
