"""``multiaxis restore``."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from multiaxis.cli import batch, clips, console
from multiaxis.cli.codes import BAD_INPUT, INTERRUPTED, OK
from multiaxis.cli.options import (
    DEFAULT_LIMITS,
    DEFAULT_MODEL,
    DEFAULT_QUALITY,
    Flag,
    LimitOptions,
    ModelOptions,
    QualityOptions,
    chosen_weights,
    load_restorer,
    restorer_arguments,
)
from multiaxis.errors import ConfigError, MultiaxisError

if TYPE_CHECKING:
    from multiaxis.restoration import Output, Plan, Result


@Parameter(name="*")
@dataclass(frozen=True)
class OutputOptions:
    """How results are written: like their inputs, unless asked otherwise.

    Attributes
    ----------
    format
        png, jpg, tif, webp or avif; by default the input's (HEIC becomes PNG, camera raw TIFF).
    quality
        1 to 100, for jpg, avif and webp: 95 by default, and webp lossless.
    depth
        8, 16 or float; by default the input's.
    strip
        Leave out EXIF, XMP and IPTC (date, place, camera). The colour profile stays.
    overwrite
        Replace outputs that exist; without it, they are reported and left alone.
    """

    format: str | None = None
    quality: int | None = None
    depth: str | None = None
    strip: Flag = False
    overwrite: Flag = False


@Parameter(name="*")
@dataclass(frozen=True)
class BatchOptions:
    """How many files are gone through.

    Attributes
    ----------
    recursive
        Take the pictures of folders inside folders too; their tree is kept below the output.
    resume
        Go on with a batch that was stopped: what is finished, by content and settings, is left
        alone; the rest is done.
    dry_run
        Show what would be done, and do nothing.
    report
        A file for the outcome of every input: .json or .csv.
    workers
        How many processes share the work. Worth it for many small pictures.
    max_megapixels
        Refuse larger pictures before they are decoded.
    """

    recursive: Annotated[Flag, Parameter(alias="-r")] = False
    resume: Flag = False
    dry_run: Flag = False
    report: Path | None = None
    workers: int = 1
    max_megapixels: float = 400.0


def restore(
    inputs: list[str],
    /,
    *,
    task: str,
    output: Annotated[str | None, Parameter(alias="-o")] = None,
    model: ModelOptions = DEFAULT_MODEL,
    quality: QualityOptions = DEFAULT_QUALITY,
    limits: LimitOptions = DEFAULT_LIMITS,
    written: OutputOptions = OutputOptions(),
    files: BatchOptions = BatchOptions(),
    video: clips.ClipOptions = clips.ClipOptions(),  # noqa: B008 (frozen)
    quiet: Annotated[Flag, Parameter(alias="-q")] = False,
) -> int:
    """Restore pictures and clips: denoise, deblur, derain, dehaze, brighten or retouch them.

    The whole frame goes through the network at once, in bounded memory; tiles only on request.
    Originals are never changed.

    Parameters
    ----------
    inputs
        Pictures, folders (the pictures directly in them), patterns such as "*.png"; and clips, each
        by its name.
    task
        denoise, deblur, derain, dehaze-indoor, dehaze-outdoor, enhance (brighten dark pictures) or
        retouch; or several in a row with commas between: denoise,enhance.
    output
        A folder, made if need be, or a file if there is a single input file. By default each output
        lies beside its input, with the task appended to its name.
    quiet
        Print errors only.
    """
    from multiaxis.restoration import Output
    from multiaxis.restoration.ledger import settings_digest
    from multiaxis.restoration.restorer import check_weights, split_tasks

    tasks = split_tasks(task)
    check_weights(chosen_weights(task, model, quality), tasks)
    _check(files)
    options = Output(**asdict(written))
    settings = _settings(task, model, quality, limits, options)
    digest = settings_digest(settings)
    suffix = "_" + "_".join(tasks)
    arguments = restorer_arguments(task, model, limits, quality)
    pictures, films = clips.split(inputs)
    code = OK
    if films:
        how = {"overwrite": written.overwrite, "dry_run": files.dry_run, "quiet": quiet}
        code = clips.restore_clips(films, output, suffix, arguments, video, digest, **how)
    if not pictures or code == INTERRUPTED:
        return code
    plan = _plan(pictures, output, suffix, options, files, digest)
    if files.dry_run:
        return max(code, batch.show_plan(plan))
    if not plan.jobs and not plan.finished:
        for _, reason in plan.refused:
            console.complain(reason)
        return BAD_INPUT
    note = digest if files.resume or len(plan.jobs) > 1 else None
    about = {"settings": settings, "started": time.strftime("%Y-%m-%dT%H:%M:%S%z")}
    return max(code, _run(plan, options, arguments, files, note, about, quiet=quiet))


def _plan(
    pictures: list[str],
    output: str | None,
    suffix: str,
    options: Output,
    files: BatchOptions,
    digest: str,
) -> Plan:
    from multiaxis.restoration import plan_jobs
    from multiaxis.restoration.ledger import clear_parts

    plan = plan_jobs(
        pictures,
        output,
        suffix=suffix,
        options=options,
        recursive=files.recursive,
        resume=digest if files.resume else None,
        max_megapixels=files.max_megapixels,
    )
    if files.resume and not files.dry_run:
        for folder in {job.output.parent for job in plan.jobs}:
            clear_parts(folder)
    return plan


def _run(
    plan: Plan,
    options: Output,
    arguments: dict[str, Any],
    files: BatchOptions,
    note: str | None,
    about: dict[str, Any],
    *,
    quiet: bool,
) -> int:
    from multiaxis.restoration.report import write_report

    start = time.monotonic()
    results: list[Result] = []

    def report() -> None:
        if files.report:
            whole = {**about, "seconds": round(time.monotonic() - start, 3)}
            write_report(files.report, plan, results, whole)

    how = "nothing"
    try:
        if plan.jobs:
            how = _restore(plan, options, arguments, files, note, results, quiet=quiet)
    except KeyboardInterrupt:
        with suppress(MultiaxisError):
            report()
        batch.say_how_to_go_on(plan, results)
        return INTERRUPTED
    report()
    return batch.summarise(plan, results, time.monotonic() - start, how, quiet=quiet)


def _restore(
    plan: Plan,
    options: Output,
    arguments: dict[str, Any],
    files: BatchOptions,
    note: str | None,
    results: list[Result],
    *,
    quiet: bool,
) -> str:
    """Do the jobs; fill `results`, and say on what they were done."""
    from multiaxis.restoration import run_jobs
    from multiaxis.restoration.workers import run_in_workers

    restorer = load_restorer(arguments, quiet=quiet)  # pulls the weights once, for workers too
    with console.progress("megapixels", quiet=quiet) as show:
        reporter = batch.Reporter(plan, show, quiet=quiet)
        reporter.results = results
        how: dict[str, Any] = {
            "options": options,
            "settings": note,
            "max_megapixels": files.max_megapixels,
        }
        if files.workers > 1 and len(plan.jobs) > 1:
            run_in_workers(arguments, plan.jobs, files.workers, on_result=reporter, **how)
        else:
            run_jobs(
                restorer,
                plan.jobs,
                on_result=reporter,
                on_progress=reporter.show_fraction,
                **how,
            )
    said = f"{restorer.device.type} in {str(restorer.dtype).removeprefix('torch.')}"
    if restorer.tile:
        said += f", in tiles of {restorer.tile} pixels (not the exact result)"
    return said


def _check(files: BatchOptions) -> None:
    from multiaxis.restoration.report import check_report

    if files.report:
        check_report(files.report)
    if not files.max_megapixels > 0:
        raise ConfigError(
            f"--max-megapixels is {files.max_megapixels:g}: accepted is a positive number"
        )
    if not 1 <= files.workers <= 256:
        raise ConfigError(f"--workers is {files.workers}: accepted is 1 to 256")


def _settings(
    task: str,
    model: ModelOptions,
    quality: QualityOptions,
    limits: LimitOptions,
    options: Output,
) -> dict[str, Any]:
    """List what decides what an output is: where and in how much memory does not."""
    from multiaxis.restoration.ledger import digest

    weights = chosen_weights(task, model, quality)
    if weights is not None and Path(weights).is_file():
        weights = digest(Path(weights).read_bytes())
    return {
        "task": task,
        "weights": weights,
        "dtype": model.dtype,
        "tile": limits.tile,
        "ensemble": quality.ensemble,
        "strength": quality.strength,
        **options.settings(),
    }
