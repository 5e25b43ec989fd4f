"""Everything that is printed goes through here."""

from __future__ import annotations

import io
import os
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import Any, TextIO, cast

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


# Controls of C0 and C1, line ends, and marks that turn the direction of writing: a name or a
# foreign message that holds them could redraw the terminal, forge lines, or be shown reversed.
_CONTROLS = [
    *range(0x20),
    *range(0x7F, 0xA0),
    *(0x61C, 0x200E, 0x200F, 0x2028, 0x2029),
    *range(0x202A, 0x202F),
    *range(0x2066, 0x206A),
]
_ESCAPES = {
    **{code: f"\\x{code:02x}" if code < 0x20 else f"\\u{code:04x}" for code in _CONTROLS},
    ord("\t"): r"\t",
    ord("\n"): r"\n",
    ord("\r"): r"\r",
}


def escaped(text: str) -> str:
    """Spell what a terminal would obey instead of showing."""
    return text.translate(_ESCAPES)


def say(*lines: str) -> None:
    """Print lines of the result. A line end inside one of them is part of a name, and escaped."""
    for line in lines:
        print(escaped(line), flush=True)


def complain(*lines: str) -> None:
    """Print what went wrong."""
    for k, line in enumerate(lines):
        print(escaped(line if k else f"multiaxis: {line}"), file=sys.stderr, flush=True)


def note(text: str, *, quiet: bool = False) -> None:
    """Print a remark that is not part of the result."""
    if not quiet:
        print(escaped(text), file=sys.stderr, flush=True)


class _Stream:
    """A standard stream whose reader may leave: the work goes on, and nobody hears of it.

    Attributes
    ----------
    failure : OSError or None
        Why what was printed did not arrive, where the reader did not choose that.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.failure: OSError | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write, or drop what nobody reads."""
        with self._checked():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Write what is held back."""
        with self._checked():
            self._stream.flush()

    @contextmanager
    def _checked(self) -> Generator[None]:
        try:
            yield
        except OSError as error:
            if not isinstance(error, BrokenPipeError):
                self.failure = self.failure or error
            with suppress(OSError, ValueError):  # what is still held back goes nowhere, too
                _discard(self._stream.fileno())
        except ValueError:  # closed
            pass


@contextmanager
def opened() -> Generator[_Stream]:
    """Make the standard streams fit for any name and any end; give the one of results.

    Characters that the encoding lacks are escaped. A stream that was closed before the start, or
    whose reader leaves, takes what is printed and drops it.
    """
    _fill_standard_descriptors()
    before = sys.stdout, sys.stderr
    for stream in before:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    # None where it was closed before the start.
    out, err = (_Stream(stream or io.StringIO()) for stream in before)
    sys.stdout, sys.stderr = cast("TextIO", out), cast("TextIO", err)
    try:
        yield out
    finally:
        out.flush()
        sys.stdout, sys.stderr = before


def _fill_standard_descriptors() -> None:
    """Open what was closed: else the next picture gets its number, and libraries print into it."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            _discard(number)


def _discard(number: int) -> None:
    nothing = os.open(os.devnull, os.O_RDWR)
    if nothing != number:
        os.dup2(nothing, number)
        os.close(nothing)


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
                    description=escaped(report.label),
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
