"""The same jobs in several processes of one machine."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
from collections.abc import Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from typing import Any

from multiaxis.batch.job import Job, Result
from multiaxis.batch.ledger import Note, clear_strays, find_record, is_finished, settings_digest
from multiaxis.batch.lifeline import Lifeline, end_with_starter
from multiaxis.batch.verb import Runner, Verb
from multiaxis.batch.work import do_jobs
from multiaxis.errors import ImageError, say_why

ATTEMPTS = 2  # a job whose worker died is tried once more: it may not have been its fault

_log = logging.getLogger(__name__)
_ready: tuple[Verb, Runner[Any], Note | None] | Exception | None = None
"""What this worker does its jobs with, or why it cannot."""


def do_jobs_in_workers(
    verb: Verb, jobs: Sequence[Job], workers: int, note: Note | None = None
) -> Generator[Result]:
    """Do jobs in several processes, each with a runner and its share of the cores.

    Parameters
    ----------
    verb : Verb
    jobs : sequence of Job
    workers : int
        How many processes.
    note : Note, optional
        As in `do_jobs`.

    Yields
    ------
    Result
        In the order of finishing. A worker that is killed loses what it had in work, which is
        tried once more; everything else goes on.
    """
    attempts = dict.fromkeys(jobs, 0)
    context = multiprocessing.get_context("spawn")
    threads = max(1, (os.cpu_count() or 1) // workers)
    while waiting := [job for job in jobs if job in attempts]:
        lifeline = Lifeline(context)
        start = (lifeline.end, verb, note, threads)
        pool = ProcessPoolExecutor(min(workers, len(waiting)), context, _start, start)
        try:
            for result in _run(pool, workers, waiting, attempts):
                del attempts[result.job]
                yield result
        except BrokenProcessPool:
            continue  # those in work have one attempt less
        except BaseException:
            lifeline.cut()  # not all signals reach the workers as well
            pool.shutdown(cancel_futures=True)
            for folder in {job.output.parent for job in waiting if job.output is not None}:
                clear_strays(folder)
            raise
        finally:
            pool.shutdown(cancel_futures=True)
            lifeline.cut()


def _run(
    pool: ProcessPoolExecutor, workers: int, jobs: list[Job], attempts: dict[Job, int]
) -> Generator[Result]:
    """Keep the workers busy; yield results. Only what is in work is in the pool's hands."""
    left = iter(jobs)
    running: dict[Future[Result], Job] = {}
    broken: BrokenProcessPool | None = None
    while True:
        while broken is None and len(running) < workers:
            job = next(left, None)
            if job is None:
                break
            if attempts[job] == ATTEMPTS:
                yield worker_died(job)
                continue
            attempts[job] += 1
            with interrupts_held():  # this starts the workers
                running[pool.submit(_do, job, attempts[job])] = job
        if not running:
            break
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            job = running.pop(future)
            try:
                yield future.result()
            except BrokenProcessPool as error:
                broken = error
            except Exception as error:  # noqa: BLE001 (whatever it is, it costs this file alone)
                _log.debug("%s failed in its worker", job.input, exc_info=True)
                yield Result(job, 0.0, say_why(job.input, error))
    if broken is not None:
        raise broken


@contextmanager
def interrupts_held() -> Generator[None]:
    """Hold Ctrl-C back: here until the end, in a process started meanwhile until it is ready.

    Python shows a traceback if it comes while a new process imports what it needs.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start(line: Connection, verb: Verb, note: Note | None, threads: int) -> None:
    end_with_starter(line)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends it without a word
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    global _ready  # noqa: PLW0603 (one for each process)
    try:
        _ready = verb, load_runner(verb, threads), note
    except Exception as error:  # noqa: BLE001 (told for each file: an error here says nothing)
        _ready = error


def worker_died(job: Job, why: str = "") -> Result:
    """Give what became of a job that was tried often enough."""
    return Result(job, 0.0, f"{job.input}: its worker died, {ATTEMPTS} times{why}")


def load_runner(verb: Verb, threads: int) -> Runner[Any]:
    """Load a verb in a process that is to use so many threads."""
    os.environ["OMP_NUM_THREADS"] = str(threads)  # read by whatever is loaded from here on
    return verb.load()


def _do(job: Job, attempt: int) -> Result:
    if not isinstance(_ready, tuple):
        return Result(job, 0.0, say_why(job.input, _ready or RuntimeError("not started")))
    return do_once(*_ready, job, attempt)


def do_once(verb: Verb, runner: Runner[Any], note: Note | None, job: Job, attempt: int) -> Result:
    """Do a job; unless an earlier attempt, whose worker died, did it already.

    Parameters
    ----------
    verb : Verb
    runner : Runner
    note : Note or None
    job : Job
    attempt : int
        From 1.
    """
    if attempt > 1 and note is not None and job.output is not None:
        # The worker may have died between giving the output its name and telling so.
        with suppress(OSError, ImageError):  # not to be known: done again
            settings = settings_digest(verb.settings(job.input.name))
            if is_finished(job.input, job.output, settings):
                record = find_record(job.output, settings)
                return Result(job, 0.0, header=job.header, record=record)
    (result,) = do_jobs(verb, runner, [job], note)
    return result
