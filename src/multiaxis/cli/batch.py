"""What commands over many files share: their options, what they show, how they end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self

from cyclopts import Parameter

from multiaxis.batch import Watcher
from multiaxis.cli import console
from multiaxis.cli.codes import BAD_INPUT, INTERRUPTED, OK, SOME_FAILED
from multiaxis.cli.options import Flag
from multiaxis.errors import ImageError, counted
from multiaxis.progress import Progress

if TYPE_CHECKING:
    from multiaxis.batch import Batch, Job, Plan, Request, Result, Verb


@Parameter(name="*")
@dataclass(frozen=True)
class BatchOptions:
    """How a batch of files is processed.

    Attributes
    ----------
    recursive
        Also take the files in subfolders. The output keeps their tree.
    resume
        Resume a batch that was stopped: leave alone what an earlier run finished from the same
        content with the same settings, and do the rest. A command without outputs also needs
        --report.
    dry_run
        Show the plan, and write nothing.
    report
        Write the outcome of every input to this file, .json or .csv.
    workers
        Share the files between this many processes, which helps with many small pictures: 1 by
        default. With ray, the number of files in work at once: by default one for each core or GPU.
    engine
        local uses this machine. ray (an extra) uses the Ray cluster that RAY_ADDRESS names, or
        starts Ray on this machine. Files must be in a folder that all machines share, or at
        addresses.
    """

    recursive: Annotated[Flag, Parameter(alias="-r")] = False
    resume: Flag = False
    dry_run: Flag = False
    report: str | None = None
    workers: int | None = None
    engine: Literal["local", "ray"] = "local"

    def request(
        self, inputs: list[str], output: str | None = None, *, overwrite: bool = False
    ) -> Request:
        """Ask for a batch over some inputs."""
        from multiaxis.batch import Request

        return Request(
            inputs,
            output,
            recursive=self.recursive,
            resume=self.resume,
            overwrite=overwrite,
            report=self.report,
            workers=self.workers,
            engine=self.engine,
        )


DEFAULT_BATCH = BatchOptions()

Lines = Callable[["Result"], Iterable[str]]
"""Gives what is printed of a result that is a record."""


Complaints = Callable[["Batch"], Iterable[str]]
"""Does what is left to do once a batch is done, and gives what of it failed."""


def run_batch(
    verb: Verb,
    request: Request,
    *,
    dry_run: bool,
    quiet: bool,
    lines: Lines | None = None,
    at_end: Complaints | None = None,
) -> int:
    """Run a batch, show it, and give the exit code.

    Parameters
    ----------
    verb : Verb
    request : Request
    dry_run : bool
        Show the plan alone.
    quiet : bool
        Print results and errors only.
    lines : callable, optional
        Prints results, as lines of their own.
    at_end : callable, optional
        Receives the batch when it is done; its complaints are printed.
    """
    from multiaxis.batch import plan, run

    if dry_run:
        return _show_plan(verb, plan(verb, request))
    with Reporter(verb, quiet=quiet, lines=lines) as reporter:
        try:
            batch = run(verb, request, reporter)
        except KeyboardInterrupt as stop:
            if reporter.plan is None:
                raise
            _say_how_to_go_on(reporter, getattr(stop, "__notes__", []))
            return INTERRUPTED
    complaints = list(at_end(batch)) if at_end else []
    code = _summarise(verb, batch, quiet=quiet)
    for complaint in complaints:
        console.complain(complaint)
    return code or (SOME_FAILED if complaints else OK)


class Reporter(Watcher):
    """Shows each result, and how long the rest will take at the rate so far."""

    def __init__(self, verb: Verb, *, quiet: bool, lines: Lines | None) -> None:
        self.verb, self.quiet, self.lines = verb, quiet, lines
        self.plan: Plan | None = None
        self.results: list[Result] = []
        self._shown = ExitStack()
        self._show: console.OnProgress = lambda _: None
        self._one_by_one = True
        self._total = self._left = self._done = self._seconds = self._start = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._shown.close()

    def on_plan(self, plan: Plan) -> None:
        """Remember it, and get ready to show how far models are fetched."""
        self.plan = plan
        if plan.jobs:
            self._open("bytes")

    def on_loading(self, progress: Progress) -> None:
        """Show how far models are fetched."""
        self._show(progress)

    def on_place(self, text: str) -> None:
        """Say what is looked for, and found."""
        console.note(text, quiet=self.quiet)

    def on_start(self, plan: Plan, *, one_by_one: bool) -> None:
        """Announce the work."""
        self._one_by_one = one_by_one
        self._total = self._left = sum(map(self._weight, plan.jobs))
        self._open("megapixels" if plan.is_measured else "pictures")
        console.note(f"{self.verb.wording.doing} {_amount(self.verb, plan)} ...", quiet=self.quiet)
        for job in plan.jobs:
            for remark in job.header.remarks:
                console.note(f"  note: {job.input}: {remark}", quiet=self.quiet)
        self.on_fraction(0.0)

    def on_fraction(self, fraction: float) -> None:
        """Show how much of the file in work is done."""
        if self.plan is None or len(self.results) >= len(self.plan.jobs):
            return
        job = self.plan.jobs[len(self.results)]
        done = self._total - self._left + fraction * self._weight(job)
        unit = "megapixels" if self.plan.is_measured else "pictures"
        self._show(Progress(job.input.name if self._one_by_one else "", done, self._total, unit))

    def on_result(self, result: Result) -> None:
        """Print a result, and what it means for the rest."""
        assert self.plan is not None  # noqa: S101 (a plan comes first)
        self.results.append(result)
        self._left -= self._weight(result.job)
        self._take_time(result)
        done = f"[{len(self.results)}/{len(self.plan.jobs)}]"
        name = result.job.input
        console.note(f"{done} {name} -> {_outcome(result)}{self._estimate()}", quiet=self.quiet)
        if result.lost and result.job.output is not None:
            suffix = result.job.output.suffix
            console.note(
                f"  note: {suffix} cannot hold the {', '.join(result.lost)}", quiet=self.quiet
            )
        for remark in result.remarks:
            if remark not in result.job.header.remarks:  # those were said before the work
                console.note(f"  note: {remark}", quiet=self.quiet)
        if self.lines is not None and result.error is None and not result.earlier:
            console.say(*self.lines(result))
        self.on_fraction(0.0)

    def _open(self, unit: str) -> None:
        self._shown.close()
        self._show = self._shown.enter_context(console.progress(unit, quiet=self.quiet))

    def _estimate(self) -> str:
        if self._left < 1e-9 or not self._done:
            return ""
        return f", about {console.duration(self._left * self._seconds / self._done)} left"

    def _take_time(self, result: Result) -> None:
        """Measure the rate; of several at once, from the first result on: starting is no rate."""
        weight = 0.0 if result.error else self._weight(result.job)
        if self._one_by_one:
            self._seconds += result.seconds if weight else 0.0
            self._done += weight
        elif not self._start:
            self._start = time.monotonic()
        else:
            self._seconds = time.monotonic() - self._start
            self._done += weight

    def _weight(self, job: Job) -> float:
        """Megapixels, or 1 for each file where some are not known before they are fetched."""
        is_measured = self.plan is not None and self.plan.is_measured
        return job.header.amount if is_measured else 1.0


def _outcome(result: Result) -> str:
    if result.error:
        return "failed"
    if result.earlier:
        return f"{result.job.output} (finished by another run)"
    where = "" if result.job.output is None else f"{result.job.output} "
    frames = f"{result.record['frames']} frames, " if "frames" in result.record else ""
    return f"{where}({frames}{result.seconds:.1f} s)"


def _show_plan(verb: Verb, plan: Plan) -> int:
    """Print what would be done, and what could not."""
    for job in plan.jobs:
        size = job.header.text or "size not known before it is fetched"
        there = job.replaces and (not isinstance(job.output, Path) or job.output.exists())
        size += ", replaced" if there else ""
        console.say(f"{_way(job.input, job.output)} ({size})")
        for remark in job.header.remarks:
            console.note(f"  note: {remark}")
    for one in plan.finished:
        console.say(f"{_way(one.input, one.output)} (finished earlier)")
    console.note(f"would {verb.wording.verb} {_amount(verb, plan)}")
    _say_left_out(plan)
    for _, reason in plan.refused:
        console.complain(reason)
    if not plan.refused:
        return OK
    return SOME_FAILED if plan.jobs or plan.finished else BAD_INPUT


def _way(source: object, target: object | None) -> str:
    return str(source) if target is None else f"{source} -> {target}"


def _summarise(verb: Verb, batch: Batch, *, quiet: bool) -> int:
    """Say how a batch ended; give the exit code."""
    plan, results = batch.plan, batch.results
    failures = [
        *plan.refused,
        *((result.job.input, result.error) for result in results if result.error),
    ]
    if batch.report_error:
        console.complain(batch.report_error)
    if not plan.jobs and not plan.finished:
        for _, reason in failures:
            console.complain(str(reason))
        return BAD_INPUT
    if failures and len(plan.jobs) + len(plan.refused) + len(plan.finished) == 1:
        raise ImageError(str(failures[0][1]))
    done = [result for result in results if result.error is None and not result.earlier]
    before = len(plan.finished) + sum(result.earlier for result in results)
    earlier = f", {before} were finished earlier" if before else ""
    wording = verb.wording
    amount = sum(result.header.amount for result in done)
    megapixels = f", {amount:.1f} megapixels" if amount else ""
    count = wording.count([result.job.input for result in done] + [path for path, _ in failures])
    said = f"{wording.done} {len(done)} of {count}{megapixels}"
    if results:
        said += f", in {console.duration(batch.seconds)} on {batch.where}"
    if not results and not failures:
        said = f"nothing is left to {wording.verb}"
    console.note(f"{said}{earlier}", quiet=quiet)
    if not quiet:
        _say_left_out(plan)
    for _, reason in failures:
        console.complain(str(reason))
    return SOME_FAILED if failures or batch.report_error else OK


def _say_how_to_go_on(reporter: Reporter, notes: list[str]) -> None:
    """Say what an interrupt left, and how to finish."""
    plan = reporter.plan
    assert plan is not None  # noqa: S101 (asked for only then)
    done = sum(result.error is None for result in reporter.results) + len(plan.finished)
    count = reporter.verb.wording.count([one.input for one in (*plan.jobs, *plan.finished)])
    console.complain(
        f"interrupted: {done} of {count} are finished and none is half-written; run the "
        "same command with --resume to continue"
    )
    for note in notes:
        console.complain(note)


def _say_left_out(plan: Plan) -> None:
    kinds = sorted({path.suffix.lower() or path.name for path in plan.others})
    names = [path.name for path in plan.earlier]
    for count, what, examples in [
        (len(plan.others), "of other kinds", kinds),
        (len(plan.earlier), "that an earlier run wrote", names),
    ]:
        if count:
            console.note(f"left out: {counted(count, 'file')} {what} ({_first(examples)})")
    if plan.folders:
        inside = _first([path.name for path in plan.folders])
        count = counted(len(plan.folders), "folder")
        console.note(f"left out: {count} inside ({inside}): add --recursive to take them")


def _first(names: list[str]) -> str:
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")


def _amount(verb: Verb, plan: Plan) -> str:
    """Say how much is to be done, as far as that is known."""
    count = verb.wording.count([job.input for job in plan.jobs])
    if not plan.is_measured:
        return count
    return f"{count}, {sum(job.header.amount for job in plan.jobs):.1f} megapixels"
