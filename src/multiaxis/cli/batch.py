"""What ``multiaxis restore`` shows of a batch: results as they come, and the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from multiaxis.cli import console
from multiaxis.cli.codes import BAD_INPUT, OK, SOME_FAILED
from multiaxis.errors import ImageError
from multiaxis.progress import Progress

if TYPE_CHECKING:
    from multiaxis.restoration import Plan, Result


class Reporter:
    """Shows each result, and how long the rest will take at the rate so far."""

    def __init__(self, plan: Plan, show: console.OnProgress, *, quiet: bool) -> None:
        self.plan, self.show, self.quiet = plan, show, quiet
        self.results: list[Result] = []
        self.total = sum(job.pixels for job in plan.jobs)
        self.left = self.total
        self.pixels, self.seconds = 0, 0.0
        console.note(
            f"restoring {_count(len(plan.jobs), 'picture')}, {self.total / 1e6:.1f} megapixels ...",
            quiet=quiet,
        )
        self.show_fraction(0.0)

    def __call__(self, result: Result) -> None:
        """Take a result, print it and what it means for the rest."""
        self.results.append(result)
        self.left -= result.job.pixels
        if result.error is None:
            self.pixels += result.job.pixels
            self.seconds += result.seconds
        outcome = f"{result.job.output} ({result.seconds:.1f} s)" if not result.error else "failed"
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

    def show_fraction(self, fraction: float) -> None:
        """Show how much of the picture in work is done."""
        if len(self.results) < len(self.plan.jobs):
            job = self.plan.jobs[len(self.results)]
            done = self.total - self.left + fraction * job.pixels
            self.show(Progress(job.input.name, done / 1e6, self.total / 1e6, "megapixels"))


def show_plan(plan: Plan) -> int:
    """Print what would be done, and what could not."""
    for job in plan.jobs:
        replaced = ", replaced" if job.replaces and job.output.exists() else ""
        console.say(f"{job.input} -> {job.output} ({job.width}x{job.height}{replaced})")
    for path, target in plan.finished:
        console.say(f"{path} -> {target} (finished earlier)")
    pixels = sum(job.pixels for job in plan.jobs)
    console.note(
        f"would restore {_count(len(plan.jobs), 'picture')}, {pixels / 1e6:.1f} megapixels"
    )
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
    done = len(results) - sum(result.error is not None for result in results)
    pixels = sum(result.job.pixels for result in results if result.error is None)
    if len(failures) == len(results) == 1 and not plan.finished:
        raise ImageError(str(failures[0][1]))
    earlier = f", {len(plan.finished)} were finished earlier" if plan.finished else ""
    console.note(
        f"restored {done} of {done + len(failures)} pictures, {pixels / 1e6:.1f} megapixels, in "
        f"{console.duration(seconds)} on {how}{earlier}",
        quiet=quiet,
    )
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


def _count(number: int, what: str) -> str:
    return f"1 {what}" if number == 1 else f"{number} {what}s"
