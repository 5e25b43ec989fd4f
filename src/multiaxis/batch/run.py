"""The one door to a batch: plan, work, report."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import suppress

from multiaxis.batch.job import Batch, Plan, Result
from multiaxis.batch.ledger import Note, clear_parts, settings_digest
from multiaxis.batch.plan import make_plan
from multiaxis.batch.report import write_report
from multiaxis.batch.request import Request
from multiaxis.batch.verb import Verb
from multiaxis.batch.watcher import Watcher
from multiaxis.batch.work import do_jobs
from multiaxis.errors import ConfigError, MultiaxisError
from multiaxis.files import remote
from multiaxis.files.address import Remote, to_where


def plan(verb: Verb, request: Request) -> Plan:
    """Say what `run` would do; nothing is written, and no model is loaded.

    Raises
    ------
    ConfigError
        If the request cannot work.
    """
    request.check(dry_run=True)
    _check_resume(verb, request)
    return make_plan(verb, request)


def run(verb: Verb, request: Request, watcher: Watcher | None = None) -> Batch:
    """Do what a verb does with every file of a request.

    A file that fails is recorded, and the others are done. A stop (Ctrl-C) leaves nothing half
    written; the report is written then, too, and the interrupt is raised.

    Parameters
    ----------
    verb : Verb
    request : Request
    watcher : Watcher, optional
        Hears the plan, each result and the progress, from the calling thread.

    Returns
    -------
    Batch

    Raises
    ------
    ConfigError
        If the request cannot work.
    WeightsError
        If a model cannot be loaded.
    """
    watcher = watcher or Watcher()
    request.check()
    _check_resume(verb, request)
    start, begun = time.monotonic(), time.strftime("%Y-%m-%dT%H:%M:%S%z")
    made = make_plan(verb, request)
    watcher.on_plan(made)
    results: list[Result] = []
    about = {"settings": dict(verb.settings()), "started": begun}

    def report() -> None:
        if request.report is not None:
            seconds = round(time.monotonic() - start, 3)
            write_report(
                to_where(request.report), verb, made, results, {**about, "seconds": seconds}
            )

    where = ""
    try:
        if made.jobs:
            _prepare(made, request)
            work = _work(verb, request, made, watcher)
            while True:
                try:
                    result = next(work)
                except StopIteration as end:
                    where = end.value
                    break
                results.append(result)
                watcher.on_result(result)
    except BaseException:
        with suppress(MultiaxisError):
            report()
        raise
    report()
    return Batch(made, tuple(results), time.monotonic() - start, where)


def _check_resume(verb: Verb, request: Request) -> None:
    if request.resume and request.report is None and verb.output_name("x") is None:
        raise ConfigError(
            f"--resume needs --report: what multiaxis {verb.wording.verb} finished is noted beside "
            "its report"
        )


def _prepare(made: Plan, request: Request) -> None:
    """Find out before a model is loaded what a store does not take; remove what was left."""
    folders = {job.output.parent for job in made.jobs if job.output is not None}
    distant = [folder for folder in folders if isinstance(folder, Remote)]
    for folder in distant[:1]:  # one tells of the credentials for all
        remote.try_folder(folder)
    if request.resume:
        for folder in folders:
            clear_parts(folder)


def _work(
    verb: Verb, request: Request, made: Plan, watcher: Watcher
) -> Generator[Result, None, str]:
    """Yield results as they come; return on what they were made."""
    note = _note(verb, request, made)
    on_ray = request.engine == "ray"
    # Models are fetched once, by this process; the machines of a cluster have their own devices.
    runner = (verb.on_processor() if on_ray else verb).load(watcher.on_loading)
    where = runner.describe()
    if on_ray:
        del runner
        from multiaxis.batch.on_ray import do_jobs_on_ray, open_cluster

        watcher.on_place("looking for a Ray cluster ...")
        with open_cluster() as cluster:
            watcher.on_place(f"Ray at {cluster.address}: {cluster}")
            watcher.on_start(made, one_by_one=False)
            yield from do_jobs_on_ray(cluster, verb, made.jobs, request.workers, note)
        return f"a Ray cluster ({cluster})"
    workers = min(request.workers or 1, len(made.jobs))
    watcher.on_start(made, one_by_one=workers == 1)
    if workers == 1:
        yield from do_jobs(verb, runner, made.jobs, note, on_progress=watcher.on_fraction)
        return where
    del runner  # the workers have theirs
    from multiaxis.batch.workers import do_jobs_in_workers

    yield from do_jobs_in_workers(verb, made.jobs, workers, note)
    return where


def _note(verb: Verb, request: Request, made: Plan) -> Note | None:
    """Decide whether what is finished is noted: for a single file only on request."""
    several = len(made.jobs) + len(made.refused) + len(made.finished) > 1
    if not (several or request.resume or request.engine == "ray"):
        return None
    report = None if request.report is None else to_where(request.report)
    return Note(settings_digest(verb.settings()), report)

