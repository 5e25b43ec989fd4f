"""What ``multiaxis restore`` shows of a batch: results as they come, and the end."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from multiaxis.cli import console
from multiaxis.cli.codes import BAD_INPUT, OK, SOME_FAILED
from multiaxis.errors import ImageError
from multiaxis.progress import Progress

if TYPE_CHECKING:
    from multiaxis.restoration import Job, Plan, Result


class Reporter:
    """Shows each result, and how long the rest will take at the rate so far."""

    def __init__(
        self, plan: Plan, show: console.OnProgress, *, quiet: bool, alone: bool = True
    ) -> None:
        """Announce a plan; `alone` tells that one picture is in work at a time."""
        self.plan, self.show, self.quiet, self.alone = plan, show, quiet, alone
        self.results: list[Result] = []
        self.is_measured = all(job.pixels for job in plan.jobs)
        self.total = sum(map(self._weight, plan.jobs))
        self.left = self.total
        self.pixels, self.seconds, self.start = 0.0, 0.0, 0.0
        console.note(f"restoring {_amount(plan)} ...", quiet=quiet)
        self.show_fraction(0.0)

    def __call__(self, result: Result) -> None:
        """Take a result, print it and what it means for the rest."""
        self.results.append(result)
        self.left -= self._weight(result.job)
        if not self.alone:
            self._take_time(result)
        elif result.error is None:
            self.pixels += self._weight(result.job)
            self.seconds += result.seconds
        outcome = f"{result.job.output} ({result.seconds:.1f} s)" if not result.error else "failed"
        if result.earlier:
            outcome = f"{result.job.output} (finished by another run)"
        done = f"[{len(self.results)}/{len(self.plan.jobs)}]"
        console.note(f"{done} {result.job.input} -> {outcome}{self._estimate()}", quiet=self.quiet)
        if result.lost:
            kept_out = ", ".join(result.lost)
            suffix = result.job.output.suffix
            console.note(f"  note: {suffix} cannot hold the {kept_out}", quiet=self.quiet)
        for remark in result.remarks:
            console.note(f"  note: {remark}", quiet=self.quiet)
        self.show_fraction(0.0)

    def _estimate(self) -> str:
        if not self.left or not self.pixels:
            return ""
        return f", about {console.duration(self.left * self.seconds / self.pixels)} left"

    def _take_time(self, result: Result) -> None:
        """Measure what several do together, from the first result on: starting is no rate."""
        if not self.start:
            self.start = time.monotonic()
            return
        self.seconds = time.monotonic() - self.start
        self.pixels += 0.0 if result.error else self._weight(result.job)

    def _weight(self, job: Job) -> float:
        """Megapixels, or 1 for each picture where some are not known before they are fetched."""
        return job.pixels / 1e6 if self.is_measured else 1.0

    def show_fraction(self, fraction: float) -> None:
        """Show how much of the picture in work is done."""
        if len(self.results) < len(self.plan.jobs):
            job = self.plan.jobs[len(self.results)]
            done = self.total - self.left + fraction * self._weight(job)
            unit = "megapixels" if self.is_measured else "pictures"
            name = job.input.name if self.alone else ""
            self.show(Progress(name, done, self.total, unit))


def show_plan(plan: Plan) -> int:
    """Print what would be done, and what could not."""
    for job in plan.jobs:
        size = f"{job.width}x{job.height}" if job.pixels else "size not known before it is fetched"
        there = job.replaces and (not isinstance(job.output, Path) or job.output.exists())
        console.say(f"{job.input} -> {job.output} ({size}{', replaced' if there else ''})")
    for path, target in plan.finished:
        console.say(f"{path} -> {target} (finished earlier)")
    console.note(f"would restore {_amount(plan)}")
    _say_left_out(plan)
    for _, reason in plan.refused:
        console.complain(reason)
    if not plan.refused:
        return OK
    return SOME_FAILED if plan.jobs or plan.finished else BAD_INPUT


def summarise(plan: Plan, results: list[Result], seconds: float, how: str, *, quiet: bool) -> int:
    """Say how a batch ended; give the exit code."""
    failures = [
        *plan.refused,
        *((result.job.input, result.error) for result in results if result.error),
    ]
    restored = [result for result in results if result.error is None and not result.earlier]
    done, pixels = len(restored), sum(result.pixels for result in restored)
    before = len(plan.finished) + sum(result.earlier for result in results)
    if failures and len(plan.jobs) + len(plan.refused) + len(plan.finished) == 1:
        raise ImageError(str(failures[0][1]))
    earlier = f", {before} were finished earlier" if before else ""
    said = (
        f"restored {done} of {done + len(failures)} pictures, {pixels / 1e6:.1f} megapixels, in "
        f"{console.duration(seconds)} on {how}"
    )
    if not results and not failures:
        said = "nothing is left to restore"
    console.note(f"{said}{earlier}", quiet=quiet)
    if not quiet:
        _say_left_out(plan)
    for _, reason in failures:
        console.complain(str(reason))
    return SOME_FAILED if failures else OK


def say_how_to_go_on(plan: Plan, results: list[Result]) -> None:
    """Say what an interrupt left, and how to finish."""
    done = sum(result.error is None for result in results) + len(plan.finished)
    total = len(plan.jobs) + len(plan.finished)
    console.complain(
        f"interrupted: {done} of {total} pictures are finished and nothing is half-written; the "
        "same command with --resume goes on"
    )


def _say_left_out(plan: Plan) -> None:
    kinds = sorted({path.suffix.lower() or path.name for path in plan.others})
    names = [path.name for path in plan.earlier]
    for count, what, examples in [
        (len(plan.others), "of other kinds", kinds),
        (len(plan.earlier), "that an earlier run wrote", names),
    ]:
        if count:
            more = ", ..." if len(examples) > 5 else ""
            console.note(
                f"left out: {_count(count, 'file')} {what} ({', '.join(examples[:5])}{more})"
            )


def _amount(plan: Plan) -> str:
    """Say how much is to be done, as far as that is known."""
    pixels = sum(job.pixels for job in plan.jobs)
    count = _count(len(plan.jobs), "picture")
    known = all(job.pixels for job in plan.jobs)
    return f"{count}, {pixels / 1e6:.1f} megapixels" if known else count


def _count(number: int, what: str) -> str:
    return f"1 {what}" if number == 1 else f"{number} {what}s"
