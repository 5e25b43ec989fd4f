"""``multiaxis restore``."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from multiaxis.cli import batch, clips, console
from multiaxis.cli.codes import BAD_INPUT, INTERRUPTED, OK, SOME_FAILED
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
        How many processes share the work: 1 by default. Worth it for many small pictures. With ray,
        how many pictures are in work at once: by default one for each core or GPU.
    engine
        local: this machine; ray: the machines of the Ray cluster that RAY_ADDRESS names, or one
        that is started here (extra: ray). Files lie in a folder that all share, or at addresses.
    max_megapixels
        Refuse larger pictures before they are decoded.
    """

    recursive: Annotated[Flag, Parameter(alias="-r")] = False
    resume: Flag = False
    dry_run: Flag = False
    report: str | None = None
    workers: int | None = None
    engine: Literal["local", "ray"] = "local"
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
        Pictures, folders (the pictures directly in them), patterns such as "*.png", also at
        addresses: s3://bucket/in, https://...; and clips, each by its name.
    task
        denoise, deblur, derain, dehaze-indoor, dehaze-outdoor, enhance (brighten dark pictures) or
        retouch; or several in a row with commas between: denoise,enhance.
    output
        A folder, made if need be, or a file if there is a single input file; here or at an address.
        By default each output lies beside its input, with the task appended to its name.
    quiet
        Print errors only.
    """
    from multiaxis.restoration import Output
    from multiaxis.restoration.jobs import check_ledgers
    from multiaxis.restoration.ledger import settings_digest
    from multiaxis.restoration.restorer import check_weights, split_tasks

    tasks = split_tasks(task)
    check_weights(chosen_weights(task, model, quality), tasks)
    _check(files, inputs, output)
    options = Output(**asdict(written))
    settings = _settings(task, model, quality, limits, options)
    digest = settings_digest(settings)
    suffix = "_" + "_".join(tasks)
    arguments = restorer_arguments(task, model, limits, quality)
    pictures, films = clips.split(inputs, output, files.engine)
    code = OK
    if films:
        how = {"overwrite": written.overwrite, "dry_run": files.dry_run, "quiet": quiet}
        how["alone"] = not pictures
        code = clips.restore_clips(films, output, suffix, arguments, video, digest, **how)
    if not pictures or code == INTERRUPTED:
        return code
    plan = _plan(pictures, output, suffix, options, files, digest)
    is_batch = len(plan.jobs) + len(plan.refused) + len(plan.finished) > 1
    note = digest if files.resume or is_batch or files.engine == "ray" else None
    if note is not None:
        plan = check_ledgers(plan)
    if files.dry_run:
        return max(code, batch.show_plan(plan))
    about = {"settings": settings, "started": time.strftime("%Y-%m-%dT%H:%M:%S%z")}
    if not plan.jobs and not plan.finished:
        _report(files.report, plan, [], about)
        for _, reason in plan.refused:
            console.complain(reason)
        return BAD_INPUT
    _try_addresses(plan)
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
    from multiaxis.restoration.ledger import clear_strays

    plan = plan_jobs(
        pictures,
        output,
        suffix=suffix,
        options=options,
        recursive=files.recursive,
        resume=digest if files.resume else None,
        max_megapixels=files.max_megapixels,
    )
    if not files.dry_run:
        outputs = [job.output for job in plan.jobs] + [target for _, target in plan.finished]
        for folder in {output.parent for output in outputs}:
            clear_strays(folder)
    return plan


def _try_addresses(plan: Plan) -> None:
    """Find out before a model is loaded what a store does not take."""
    from multiaxis.files.address import Remote
    from multiaxis.files.remote import try_folder

    outputs = (job.output for job in plan.jobs if isinstance(job.output, Remote))
    for output in list(outputs)[:1]:  # one tells of the credentials for all
        try_folder(output.parent)


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
    start = time.monotonic()
    results: list[Result] = []

    def report() -> int:
        whole = {**about, "seconds": round(time.monotonic() - start, 3)}
        return _report(files.report, plan, results, whole)

    how = "nothing"
    try:
        if plan.jobs:
            how = _restore(plan, options, arguments, files, note, results, quiet=quiet)
        code = report()
    except KeyboardInterrupt:
        batch.say_how_to_go_on(plan, results)
        report()
        return INTERRUPTED
    seconds = time.monotonic() - start
    return max(code, batch.summarise(plan, results, seconds, how, quiet=quiet))


def _report(name: str | None, plan: Plan, results: list[Result], about: dict[str, Any]) -> int:
    """Write the report; where that fails, what it would have said is shown all the same."""
    from multiaxis.files.address import to_where
    from multiaxis.restoration.report import write_report

    if name is None:
        return OK
    try:
        write_report(to_where(name), plan, results, about)
    except MultiaxisError as error:
        console.complain(str(error))
        return SOME_FAILED
    return OK


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

    on_ray = files.engine == "ray"
    # Pulls the weights once, for workers too. The machines of a cluster have their own devices.
    here = {**arguments, "device": "cpu"} if on_ray else arguments
    restorer = load_restorer(here, quiet=quiet)
    how: dict[str, Any] = {
        "options": options,
        "settings": note,
        "max_megapixels": files.max_megapixels,
    }
    workers = files.workers or 1
    alone = not on_ray and (workers == 1 or len(plan.jobs) == 1)
    said = f"in {str(restorer.dtype).removeprefix('torch.')}"
    if on_ray and arguments["dtype"] == "auto":
        said = "in each machine's own precision"
    if restorer.tile:
        said += f", in tiles of {restorer.tile} pixels (not the exact result)"

    def reporter(show: console.OnProgress) -> batch.Reporter:
        made = batch.Reporter(plan, show, quiet=quiet, alone=alone)
        made.results = results
        return made

    if on_ray:
        del restorer  # the workers have theirs
        return f"{_restore_on_ray(plan, arguments, files, how, reporter, quiet=quiet)} {said}"
    with _progress(plan, quiet=quiet) as show:
        if alone:
            told = reporter(show)
            run_jobs(restorer, plan.jobs, on_result=told, on_progress=told.show_fraction, **how)
        else:
            run_in_workers(arguments, plan.jobs, workers, on_result=reporter(show), **how)
    return f"{restorer.device.type} {said}"


def _restore_on_ray(
    plan: Plan,
    arguments: dict[str, Any],
    files: BatchOptions,
    how: dict[str, Any],
    reporter: Callable[[console.OnProgress], batch.Reporter],
    *,
    quiet: bool,
) -> str:
    from multiaxis.restoration.on_ray import open_cluster, run_on_ray

    console.note("looking for a Ray cluster ...", quiet=quiet)
    with open_cluster() as cluster:
        console.note(f"Ray at {cluster.address}: {cluster}", quiet=quiet)
        with _progress(plan, quiet=quiet) as show:
            run_on_ray(
                cluster, arguments, plan.jobs, files.workers, on_result=reporter(show), **how
            )
    return f"a Ray cluster ({cluster})"


def _progress(plan: Plan, *, quiet: bool) -> AbstractContextManager[console.OnProgress]:
    known = all(job.pixels for job in plan.jobs)
    return console.progress("megapixels" if known else "pictures", quiet=quiet)


def _check(files: BatchOptions, inputs: list[str], output: str | None) -> None:
    from multiaxis.files.address import lives_in_one_process, to_where
    from multiaxis.restoration.report import check_report

    if files.report is not None:
        check_report(to_where(files.report), dry_run=files.dry_run)
    if not files.max_megapixels > 0:
        raise ConfigError(
            f"--max-megapixels is {files.max_megapixels:g}: accepted is a positive number"
        )
    most = 256 if files.engine == "local" else 100_000
    if files.workers is not None and not 1 <= files.workers <= most:
        raise ConfigError(f"--workers is {files.workers}: accepted is 1 to {most}")
    several = files.engine == "ray" or (files.workers or 1) > 1
    for word in [*inputs, output or ""]:
        if several and lives_in_one_process(to_where(word)):
            raise ConfigError(f"{word} lies in the memory of one process: several cannot share it")
    if files.engine == "ray":
        from multiaxis.restoration.on_ray import load

        load()


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
