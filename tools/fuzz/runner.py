"""Run many cases in a process of its own that may take so much memory, and so long for each."""

from __future__ import annotations

import argparse
import collections
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

READ, REFUSED, DONE = "read", "refused in words", "read and used"
GOOD = (READ, REFUSED, DONE)

Case = Callable[[int, Path], tuple[str, str]]
"""Makes a case by its number in a folder and tries it; returns what it was and what came of it.

Case 0 is tried first and counts for nothing: it loads what all others need."""


def run(case: Case, description: str) -> None:
    """Ask for the number of cases, run them, print counts; faulty cases are named by number."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--memory", type=int, default=1024, help="MiB beside what is loaded")
    parser.add_argument("--seconds", type=float, default=20, help="for one case")
    options = parser.parse_args()
    counts: collections.Counter[tuple[str, str]] = collections.Counter()
    start, number, end = time.monotonic(), options.first, options.first + options.cases
    with tempfile.TemporaryDirectory() as name:
        while number < end:
            number = _series(case, range(number, end), options, Path(name), counts)
    for (kind, outcome), count in sorted(counts.items()):
        print(f"{kind:24} {outcome:60} {count}")
    good = sum(count for (_, outcome), count in counts.items() if outcome in GOOD)
    total = sum(counts.values())
    print(f"{total} cases in {time.monotonic() - start:.0f} s, {total - good} faults")


def _series(
    case: Case,
    numbers: range,
    options: argparse.Namespace,
    folder: Path,
    counts: collections.Counter[tuple[str, str]],
) -> int:
    """Run cases in one process until one kills it or takes too long; returns the next number."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=_work, args=(case, numbers, options.memory, folder, theirs)
    )
    process.start()
    theirs.close()
    ours.recv()  # it is ready
    for number in numbers:
        try:
            kind, outcome = ours.recv() if ours.poll(options.seconds) else ("", "takes too long")
        except EOFError:
            kind, outcome = "", "the process dies"
        counts[kind, outcome] += 1
        if outcome not in GOOD:
            print(f"case {number}: {kind} {outcome}", flush=True)
        if not kind:
            process.kill()
            process.join()
            return number + 1
    process.join()
    return numbers.stop


def _work(case: Case, numbers: range, memory: int, folder: Path, answers: Connection) -> None:
    case(0, folder)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + (memory << 20)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    answers.send("ready")
    for number in numbers:
        answers.send(case(number, folder))
