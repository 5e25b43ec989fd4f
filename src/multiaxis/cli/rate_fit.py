"""``multiaxis rate fit``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from cyclopts import Parameter

from multiaxis.cli import console
from multiaxis.cli.codes import OK
from multiaxis.cli.options import Flag
from multiaxis.errors import DataError


def fit(
    pairs: Path,
    /,
    *,
    model: Literal["bradley-terry", "thurstone"] = "bradley-terry",
    prior: float = 0.0,
    as_json: Annotated[Flag, Parameter(name="--json")] = False,
    quiet: Annotated[Flag, Parameter(alias="-q")] = False,
) -> int:
    """Fit a strength to each of several things, from who was preferred to whom.

    For each thing, the strongest first: its strength, half of a 95 % confidence interval, and its
    votes. The mean strength is 0. Nothing is needed but the table.

    Parameters
    ----------
    pairs
        A table with the columns winner,loser; or a,b,choice; or a,b,a_votes,b_votes,ties. A column
        votes counts rows several times. References are not looked at.
    model
        bradley-terry: strengths differ by the logarithm of the odds. thurstone: they differ by
        standard deviations (case V).
    prior
        Votes that both sides of every compared pair get on top, such as 0.5. Needed where one wins,
        or loses, every comparison.
    as_json
        Print one line of JSON for each thing.
    quiet
        Print results and errors only.
    """
    from multiaxis.score.preferences import fit_strengths
    from multiaxis.tasks.rate.tables import read_table
    from multiaxis.tasks.rate.tally import Tally

    tally = Tally()
    choices = read_table(pairs, tally).choices
    for text in tally.sentences:
        console.note(f"note: {text}", quiet=quiet)
    if not choices:
        raise DataError(f"{pairs} holds no choice that can be used: accepted are two names a row")
    names = list(dict.fromkeys(name for choice in choices for name in (choice.a, choice.b)))
    number = {name: k for k, name in enumerate(names)}
    rows = np.array([[number[choice.a], number[choice.b]] for choice in choices])
    wins = np.array([[choice.a_wins, choice.b_wins] for choice in choices])
    found = fit_strengths(rows, wins, len(names), model=model, prior=prior, names=names)
    for k in np.argsort(-found.values, kind="stable"):
        value, half = float(found.values[k]), 1.96 * float(found.errors[k])
        votes = float(found.votes[k])
        if as_json:
            row = {"name": names[k], "strength": value, "half_interval": half, "votes": votes}
            console.say(json.dumps(row))
        else:
            console.say(f"{value:8.3f} +- {half:.3f}  {votes:>8g} votes  {names[k]}")
    return OK
