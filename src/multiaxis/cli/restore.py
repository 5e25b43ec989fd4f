"""``multiaxis restore``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from multiaxis.cli import console
from multiaxis.cli.options import DEFAULT_MODEL, Flag, ModelOptions, check_task, load_restorer
from multiaxis.errors import ConfigError, ImageError
from multiaxis.progress import Progress

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
    max_megapixels: float = 400.0,
    quiet: Annotated[bool, Parameter(alias="-q", negative=())] = False,
) -> int:
    """Restore pictures: denoise, deblur, derain, dehaze, brighten or retouch them.

    The whole frame goes through the network at once, never in tiles. Originals are never changed.

    Parameters
    ----------
    inputs
        Files, folders and patterns.
    task
        denoise, deblur, derain, dehaze-indoor, dehaze-outdoor, enhance or retouch.
    output
        A folder, or a file for a single input. By default each output lies beside its input, with
        the task appended to its name.
    overwrite
        Replace outputs that exist.
    max_megapixels
        Refuse larger files before they are decoded.
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
        raise ImageError("; ".join(reason for _, reason in plan.refused))
    restorer = load_restorer(task, model, quiet=quiet)
    start = time.monotonic()
    with console.progress("pictures", quiet=quiet) as show:
        report = _Reporter(plan, show, quiet=quiet)
        results = run_jobs(
            restorer,
            plan.jobs,
            overwrite=overwrite,
            max_megapixels=max_megapixels,
            on_result=report,
        )
    return _summarise(plan, results, time.monotonic() - start, restorer.device.type, quiet=quiet)


class _Reporter:
    """Shows each result, and how long the rest will take at the rate so far."""

    def __init__(self, plan: Plan, show: console.OnProgress, *, quiet: bool) -> None:
        self.show, self.quiet = show, quiet
        self.count, self.done = len(plan.jobs), 0
        self.pixels_left = sum(job.pixels for job in plan.jobs)
        self.pixels, self.seconds = 0, 0.0
        pictures = "1 picture" if self.count == 1 else f"{self.count} pictures"
        megapixels = self.pixels_left / 1e6
        console.note(f"restoring {pictures}, {megapixels:.1f} megapixels ...", quiet=quiet)
        show(Progress(plan.jobs[0].input.name, 0, self.count, "pictures"))

    def __call__(self, result: Result) -> None:
        self.done += 1
        self.pixels += result.job.pixels
        self.seconds += result.seconds
        self.pixels_left -= result.job.pixels
        left = self.pixels_left * self.seconds / max(self.pixels, 1)
        estimate = f", about {_duration(left)} left" if self.pixels_left else ""
        outcome = f"{result.job.output} ({result.seconds:.1f} s)" if not result.error else "failed"
        console.note(
            f"[{self.done}/{self.count}] {result.job.input} -> {outcome}{estimate}",
            quiet=self.quiet,
        )
        if result.lost:
            kept_out = ", ".join(result.lost)
            console.note(f"  note: {result.job.output.suffix} cannot hold the {kept_out}")
        self.show(Progress("restoring", self.done, self.count, "pictures"))


def _summarise(
    plan: Plan, results: list[Result], seconds: float, device: str, *, quiet: bool
) -> int:
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
        f"{_duration(seconds)} on {device}",
        quiet=quiet,
    )
    for _, reason in failures:
        console.complain(str(reason))
    return 1 if failures else 0


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes / 60:.1f} h"
