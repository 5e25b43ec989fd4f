"""``multiaxis restore``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from multiaxis.cli import console
from multiaxis.cli.options import (
    DEFAULT_LIMITS,
    DEFAULT_MODEL,
    Flag,
    LimitOptions,
    ModelOptions,
    load_restorer,
)
from multiaxis.errors import ConfigError, ImageError
from multiaxis.progress import Progress
from multiaxis.weights.index import check_task

if TYPE_CHECKING:
    from multiaxis.restoration import Plan, Result


def restore(
    inputs: list[str],
    /,
    *,
    task: str,
    output: Annotated[str | None, Parameter(alias="-o")] = None,
    overwrite: Flag = False,
    model: ModelOptions = DEFAULT_MODEL,
    limits: LimitOptions = DEFAULT_LIMITS,
    max_megapixels: float = 400.0,
    quiet: Annotated[Flag, Parameter(alias="-q")] = False,
) -> int:
    """Restore pictures: denoise, deblur, derain, dehaze, brighten or retouch them.

    The whole frame goes through the network at once, in bounded memory; tiles only on request.
    Originals are never changed.

    Parameters
    ----------
    inputs
        Files, folders (the pictures directly in them) and patterns such as "*.png".
    task
        denoise, deblur, derain, dehaze-indoor, dehaze-outdoor, enhance (brighten dark pictures) or
        retouch.
    output
        A folder, made if need be, or a file if there is a single input file. By default each output
        lies beside its input, with the task appended to its name.
    overwrite
        Replace outputs that exist; without it, they are reported and left alone.
    max_megapixels
        Refuse larger pictures before they are decoded.
    quiet
        Print errors only.
    """
    check_task(task)
    if not max_megapixels > 0:
        raise ConfigError(f"--max-megapixels is {max_megapixels:g}: accepted is a positive number")
    from multiaxis.restoration import plan_jobs, run_jobs

    plan = plan_jobs(
        inputs, output, suffix=f"_{task}", overwrite=overwrite, max_megapixels=max_megapixels
    )
    if not plan.jobs:
        for _, reason in plan.refused:
            console.complain(reason)
        return 2
    restorer = load_restorer(task, model, limits, quiet=quiet)
    start = time.monotonic()
    with console.progress("megapixels", quiet=quiet) as show:
        report = _Reporter(plan, show, quiet=quiet)
        results = run_jobs(
            restorer,
            plan.jobs,
            overwrite=overwrite,
            max_megapixels=max_megapixels,
            on_result=report,
            on_progress=report.show_fraction,
        )
    how = f"{restorer.device.type} in {str(restorer.dtype).removeprefix('torch.')}"
    if restorer.tile:
        how += f", in tiles of {restorer.tile} pixels (not the exact result)"
    return _summarise(plan, results, time.monotonic() - start, how, quiet=quiet)


class _Reporter:
    """Shows each result, and how long the rest will take at the rate so far."""

    def __init__(self, plan: Plan, show: console.OnProgress, *, quiet: bool) -> None:
        self.jobs, self.show, self.quiet = plan.jobs, show, quiet
        self.done = 0
        self.total = sum(job.pixels for job in plan.jobs)
        self.left = self.total
        self.pixels, self.seconds = 0, 0.0
        count = len(plan.jobs)
        pictures = "1 picture" if count == 1 else f"{count} pictures"
        console.note(f"restoring {pictures}, {self.total / 1e6:.1f} megapixels ...", quiet=quiet)
        self._show_next()

    def __call__(self, result: Result) -> None:
        self.done += 1
        self.left -= result.job.pixels
        if result.error is None:
            self.pixels += result.job.pixels
            self.seconds += result.seconds
        outcome = f"{result.job.output} ({result.seconds:.1f} s)" if not result.error else "failed"
        console.note(
            f"[{self.done}/{len(self.jobs)}] {result.job.input} -> {outcome}{self._estimate()}",
            quiet=self.quiet,
        )
        if result.lost:
            kept_out = ", ".join(result.lost)
            suffix = result.job.output.suffix
            console.note(f"  note: {suffix} cannot hold the {kept_out}", quiet=self.quiet)
        for remark in result.remarks:
            console.note(f"  note: {remark}", quiet=self.quiet)
        self._show_next()

    def _estimate(self) -> str:
        if not self.left or not self.pixels:
            return ""
        return f", about {console.duration(self.left * self.seconds / self.pixels)} left"

    def _show_next(self) -> None:
        self.show_fraction(0.0)

    def show_fraction(self, fraction: float) -> None:
        """Show how much of the picture in work is done."""
        if self.done < len(self.jobs):
            job = self.jobs[self.done]
            done = self.total - self.left + fraction * job.pixels
            self.show(Progress(job.input.name, done / 1e6, self.total / 1e6, "megapixels"))


def _summarise(plan: Plan, results: list[Result], seconds: float, how: str, *, quiet: bool) -> int:
    failures = [
        *plan.refused,
        *((result.job.input, result.error) for result in results if result.error),
    ]
    done = len(results) - sum(result.error is not None for result in results)
    pixels = sum(result.job.pixels for result in results if result.error is None)
    if len(failures) == len(results) == 1:
        raise ImageError(str(failures[0][1]))
    console.note(
        f"restored {done} of {done + len(failures)} pictures, {pixels / 1e6:.1f} megapixels, in "
        f"{console.duration(seconds)} on {how}",
        quiet=quiet,
    )
    if not quiet:
        _say_left_out(plan)
    for _, reason in failures:
        console.complain(str(reason))
    return 1 if failures else 0


def _say_left_out(plan: Plan) -> None:
    kinds = sorted({path.suffix.lower() or path.name for path in plan.others})
    names = [path.name for path in plan.earlier]
    for count, what, examples in [
        (len(plan.others), "of other kinds", kinds),
        (len(plan.earlier), "that an earlier run wrote", names),
    ]:
        if count:
            files = "1 file" if count == 1 else f"{count} files"
            more = ", ..." if len(examples) > 5 else ""
            console.note(f"left out: {files} {what} ({', '.join(examples[:5])}{more})")
