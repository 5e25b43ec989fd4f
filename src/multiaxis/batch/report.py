"""A batch's outcome as a file that programs read."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from multiaxis.batch.job import Finished, Job, Plan, Result
from multiaxis.batch.verb import Verb
from multiaxis.errors import ConfigError
from multiaxis.files import remote
from multiaxis.files.address import Remote, Where
from multiaxis.files.publish import publish, try_folder

# Controls, marks of direction and what stands for bytes that are no UTF-8, in a name.
_HIDDEN = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")

_BEFORE, _AFTER = ("input", "output", "state"), ("seconds", "error", "lost", "remarks")


def check_report(path: Where, *, dry_run: bool = False) -> None:
    """Find out before the work whether a report can be written.

    Parameters
    ----------
    path : Path or Remote
    dry_run : bool
        Look at the name alone: the trial makes the folder where it is missing.

    Raises
    ------
    ConfigError
        If the suffix is another than .json and .csv, or the folder takes no files.
    """
    if path.suffix.lower() not in (".json", ".csv"):
        raise ConfigError(f"the report {path}: accepted are names that end in .json or .csv")
    if dry_run:
        return
    try:
        if isinstance(path, Remote):
            remote.try_folder(path.parent)
        else:
            try_folder(path.parent)
    except OSError as error:
        raise ConfigError(
            f"cannot write the report {path}: {error.strerror}; choose another folder"
        ) from error


def write_report(
    path: Where, verb: Verb, plan: Plan, results: Sequence[Result], summary: Mapping[str, Any]
) -> None:
    """Write what became of every input.

    Parameters
    ----------
    path : Path or Remote
        ``.json``: `summary` and a list; ``.csv``: the list alone. A file of that name gives way.
    verb : Verb
    plan : Plan
    results : sequence of Result
        So far; jobs without one are ``"not done"``.
    summary : mapping
        Settings and the like, that JSON can hold.

    Raises
    ------
    ConfigError, ImageError
        If the system or the store refuses.
    """
    rows = list_rows(verb, plan, results)
    if path.suffix.lower() == ".json":
        named = {**summary, f"{verb.wording.noun}s": rows}
        text = json.dumps(named, indent=2, ensure_ascii=False) + "\n"
        # Outside ASCII there are only names and messages: inside strings, where escapes may stand.
        data = _HIDDEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text).encode()
    else:
        columns = (*_BEFORE, *verb.columns, *_AFTER)
        stream = io.StringIO()
        writer = csv.writer(stream)
        writer.writerow(columns)
        for row in rows:
            writer.writerow([_cell(name, row[name]) for name in columns])
        data = stream.getvalue().encode("utf-8", "surrogateescape")
    try:
        if isinstance(path, Remote):
            remote.publish(data, path, overwrite=True)
        else:
            publish(path, data, overwrite=True)
    except OSError as error:
        raise ConfigError(
            f"cannot write the report {path}: {error.strerror}; the results are kept"
        ) from error


def list_rows(verb: Verb, plan: Plan, results: Sequence[Result]) -> list[dict[str, Any]]:
    """List every input once: done, failed, refused, finished earlier or not done."""
    empty: dict[str, Any] = dict.fromkeys((*_BEFORE, *verb.columns, *_AFTER))
    empty |= {"lost": [], "remarks": []}
    done = {result.job: result for result in results}
    rows = [_named(path, None, "refused", error=reason) for path, reason in plan.refused]
    rows += [_finished(one) for one in plan.finished]
    rows += [_row(verb, job, done.get(job)) for job in plan.jobs]
    filled = [{**empty, **row} for row in rows]
    verb.complete(filled)
    return filled


def _finished(one: Finished) -> dict[str, Any]:
    return {**_named(one.input, one.output, "finished earlier"), **one.record}


def _row(verb: Verb, job: Job, result: Result | None) -> dict[str, Any]:
    facts = {**job.header.facts}
    if result is None:
        return {**_named(job.input, job.output, "not done"), **facts}
    return {
        **_named(job.input, job.output, _state(verb, result)),
        **facts,
        **result.header.facts,
        **result.record,
        "seconds": round(result.seconds, 3),
        "error": result.error,
        "lost": list(result.lost),
        "remarks": list(result.remarks),
    }


def _state(verb: Verb, result: Result) -> str:
    if result.earlier:
        return "finished earlier"
    return "failed" if result.error else verb.wording.done


def _named(path: Where, target: Where | None, state: str, **more: Any) -> dict[str, Any]:
    return {"input": str(path), "output": target and str(target), "state": state, **more}


def _cell(name: str, value: Any) -> Any:
    """Give what a cell of a table holds: lists joined, other structure as JSON."""
    if name in ("lost", "remarks"):
        return (" " if name == "lost" else "; ").join(value)
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else value
