"""Everything that is printed goes through here."""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    ProgressColumn,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import (
    Progress as Bar,
)

from multiaxis.progress import OnProgress, Progress

SECONDS_BETWEEN_LINES = 30
"""Where progress goes into a file or a pipe."""


def say(text: str = "") -> None:
    """Print a line of the result."""
    print(text, flush=True)


def complain(text: str) -> None:
    """Print what went wrong."""
    print(f"multiaxis: {text}", file=sys.stderr, flush=True)


def note(text: str, *, quiet: bool = False) -> None:
    """Print a remark that is not part of the result."""
    if not quiet:
        print(text, file=sys.stderr, flush=True)


def accept_any_name() -> None:
    """Let names be printed that the terminal's encoding lacks, with escapes in their place."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


@contextmanager
def progress(unit: str, *, quiet: bool = False) -> Generator[OnProgress]:
    """Show progress: a bar on a terminal, otherwise one line for each new piece of work.

    Parameters
    ----------
    unit : str
        ``"bytes"``, ``"pictures"``, ``"frames"`` or ``"megapixels"``.
    quiet : bool
        Show nothing.
    """
    terminal = Console(stderr=True)
    if quiet:
        yield lambda _: None
    elif not terminal.is_terminal:
        yield _lines()
    else:
        with Bar(*_columns(unit), console=terminal, transient=True, redirect_stdout=False) as bar:

            def show(report: Progress) -> None:
                if not bar.task_ids:
                    bar.add_task("")
                bar.update(
                    bar.task_ids[0],
                    description=report.label,
                    completed=report.done,
                    total=report.total,
                )

            yield show


def _columns(unit: str) -> list[ProgressColumn]:
    amounts = {
        "bytes": DownloadColumn(),
        "pictures": MofNCompleteColumn(),
        "frames": MofNCompleteColumn(),
        "megapixels": TextColumn("{task.completed:.1f}/{task.total:.1f} megapixels"),
    }
    return [
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),  # a file name may hold brackets
        BarColumn(),
        amounts[unit],
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    ]


def _lines() -> OnProgress:
    """Print a line for each download; of long work, one now and then with an estimate."""
    seen: set[str] = set()
    start = last = time.monotonic()

    def show(report: Progress) -> None:
        nonlocal last
        now = time.monotonic()
        if report.unit == "bytes":
            if report.label not in seen:
                seen.add(report.label)
                note(f"{report.label} ...")
        elif report.total and report.done and now - last > SECONDS_BETWEEN_LINES:
            last = now
            done = report.done / report.total
            left = (now - start) * (1 - done) / done
            note(f"  {report.label}: {done:.0%} of all work, about {duration(left)} left")

    return show


def duration(seconds: float) -> str:
    """Say how long something takes, in the unit that suits it."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes / 60:.1f} h"
