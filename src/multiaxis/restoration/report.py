"""A batch's outcome as a file that programs read."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from multiaxis.errors import ConfigError
from multiaxis.files import remote
from multiaxis.files.address import Remote, Where
from multiaxis.files.publish import publish, try_folder
from multiaxis.restoration.jobs import Plan, Result

# Controls, marks of direction and what stands for bytes that are no UTF-8, in a name.
_HIDDEN = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")

COLUMNS = ("input", "output", "state", "width", "height", "seconds", "error", "lost", "remarks")


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
    path: Where, plan: Plan, results: Sequence[Result], about: Mapping[str, Any]
) -> None:
    """Write what became of every input.

    Parameters
    ----------
    path : Path or Remote
        ``.json``: `about` and a list; ``.csv``: the list alone. A file of that name gives way.
    plan : Plan
    results : sequence of Result
        So far; jobs without one are ``"not done"``.
    about : mapping
        Settings and the like, that JSON can hold.

    Raises
    ------
    ConfigError, ImageError
        If the system or the store refuses.
    """
    rows = list_rows(plan, results)
    if path.suffix.lower() == ".json":
        text = json.dumps({**about, "pictures": rows}, indent=2, ensure_ascii=False) + "\n"
        # Outside ASCII there are only names and messages: inside strings, where escapes may stand.
        data = _HIDDEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text).encode()
    else:
        stream = io.StringIO()
        writer = csv.writer(stream)
        writer.writerow(COLUMNS)
        for row in rows:
            cells = {**row, "lost": " ".join(row["lost"]), "remarks": "; ".join(row["remarks"])}
            writer.writerow([cells[name] for name in COLUMNS])
        data = stream.getvalue().encode("utf-8", "surrogateescape")
    try:
        if isinstance(path, Remote):
            remote.publish(data, path, overwrite=True)
        else:
            publish(path, data, overwrite=True)
    except OSError as error:
        raise ConfigError(
            f"cannot write the report {path}: {error.strerror}; the pictures are kept"
        ) from error


def list_rows(plan: Plan, results: Sequence[Result]) -> list[dict[str, Any]]:
    """List every input once: restored, failed, refused, finished earlier or not done."""
    done = {result.job: result for result in results}
    rows = [_row(path, None, "refused", error=reason) for path, reason in plan.refused]
    rows += [_row(path, target, "finished earlier") for path, target in plan.finished]
    for job in plan.jobs:
        result = done.get(job)
        known = result or job
        size = {"width": known.width or job.width, "height": known.height or job.height}
        if result is None:
            rows.append(_row(job.input, job.output, "not done", **size))
            continue
        rows.append(
            _row(
                job.input,
                job.output,
                _state(result),
                **size,
                seconds=round(result.seconds, 3),
                error=result.error,
                lost=list(result.lost),
                remarks=list(result.remarks),
            )
        )
    return rows


def _state(result: Result) -> str:
    if result.earlier:
        return "finished earlier"
    return "failed" if result.error else "restored"


def _row(path: Where, target: Where | None, state: str, **more: Any) -> dict[str, Any]:
    empty: dict[str, Any] = dict.fromkeys(COLUMNS)
    known = {"input": str(path), "output": target and str(target), "state": state}
    return {**empty, "lost": [], "remarks": [], **known, **more}
