"""The lines of ``log.jsonl``: one JSON object for each report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from multiaxis.errors import TrainingError
from multiaxis.files.publish import publish

LOG = "log.jsonl"


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Read the log of a training; a last line that a stop cut short does not count.

    Raises
    ------
    TrainingError
        If another line is none of a training's.
    OSError
        If there is no such file.
    """
    if path.exists() and not path.is_file():
        raise _no_log(path, "it is not a file")
    found: list[dict[str, Any]] = []
    *whole, rest = path.read_bytes().split(b"\n")
    for number, line in enumerate(whole, start=1):
        report = _parse(line)
        if report is None:
            raise _no_log(path, f"its line {number} is not a report")
        found.append(report)
    last = _parse(rest)
    return found if last is None else [*found, last]


def cut_lines(path: Path, step: int) -> None:
    """Take the lines of later steps out, all at once.

    Raises
    ------
    TrainingError, OSError
        As `read_lines`; the log stays as it is.
    """
    if not path.exists():
        return
    kept = [json.dumps(line) + "\n" for line in read_lines(path) if line["step"] <= step]
    publish(path, "".join(kept).encode(), overwrite=True)


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        report = json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError):
        return None
    if not isinstance(report, dict) or type(report.get("step")) is not int:
        return None
    return report


def _no_log(path: Path, reason: str) -> TrainingError:
    return TrainingError(
        f"{path} is not the log of a training ({reason}): give it another name, and run the same "
        "command again"
    )
