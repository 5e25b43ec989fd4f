"""The one door to a batch: plan, work, report."""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any

from multiaxis.batch.job import Batch, Plan, Result
from multiaxis.batch.ledger import Note, clear_strays
from multiaxis.batch.planner import check_ledgers, make_plan
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
    return _planned(verb, request)


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
    start, begun = time.monotonic(), time.strftime("%Y-%m-%dT%H:%M:%S%z")
    planned = _planned(verb, request)
    watcher.on_plan(planned)
    results: list[Result] = []

    def report() -> str:
        summary = {
            "settings": dict(verb.settings("")),
            "started": begun,
            "seconds": round(time.monotonic() - start, 3),
        }
        return _report(verb, request, planned, results, summary)

    work = _work(verb, request, planned, watcher)
    where = ""
    try:
        while True:
            try:
                result = next(work)
            except StopIteration as end:
                where = end.value
                break
            results.append(result)
            watcher.on_result(result)
    except BaseException as stop:
        if failure := report():
            stop.add_note(failure)
        raise
    return Batch(planned, tuple(results), time.monotonic() - start, where, report())


def _planned(verb: Verb, request: Request) -> Plan:
    if request.resume and request.report is None and verb.output_name("x") is None:
        raise ConfigError(
            f"--resume needs --report: {verb.wording.verb} keeps its ledger beside the report"
        )
    planned = make_plan(verb, request)
    return planned if _note(request, planned) is None else check_ledgers(planned)


def _report(
    verb: Verb, request: Request, planned: Plan, results: list[Result], summary: dict[str, Any]
) -> str:
    """Write the report; give why it could not be, so that nothing else is lost with it."""
    if request.report is None:
        return ""
    try:
        write_report(to_where(request.report), verb, planned, results, summary)
    except MultiaxisError as error:
        return str(error)
    return ""


def _prepare(planned: Plan) -> None:
    """Find out before a model is loaded what a store does not take; remove what was left."""
    outputs = [job.output for job in planned.jobs] + [one.output for one in planned.finished]
    folders = dict.fromkeys(output.parent for output in outputs if output is not None)
    for folder in folders:
        clear_strays(folder)
    distant = (job.output for job in planned.jobs if isinstance(job.output, Remote))
    for output in list(distant)[:1]:  # one tells of the credentials for all
        remote.try_folder(output.parent)


def _work(
    verb: Verb, request: Request, planned: Plan, watcher: Watcher
) -> Generator[Result, None, str]:
    """Yield results as they come; return on what they were made."""
    _prepare(planned)
    if not planned.jobs:
        return "nothing"
    note = _note(request, planned)
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
            watcher.on_start(planned, one_by_one=False)
            yield from do_jobs_on_ray(cluster, verb, planned.jobs, request.workers, note)
        return f"a Ray cluster ({cluster})"
    workers = min(request.workers or 1, len(planned.jobs))
    watcher.on_start(planned, one_by_one=workers == 1)
    if workers == 1:
        yield from do_jobs(verb, runner, planned.jobs, note, on_progress=watcher.on_fraction)
        return where
    del runner  # the workers have theirs
    from multiaxis.batch.workers import do_jobs_in_workers

    yield from do_jobs_in_workers(verb, planned.jobs, workers, note)
    return where


def _note(request: Request, planned: Plan) -> Note | None:
    """Decide whether what is finished is noted: for a single file only on request."""
    several = len(planned.jobs) + len(planned.refused) + len(planned.finished) > 1
    if not (several or request.resume or request.engine == "ray"):
        return None
    return Note(None if request.report is None else to_where(request.report))
