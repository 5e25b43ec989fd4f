"""The same jobs in several processes of one machine."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from typing import Any

from multiaxis.errors import ImageError
from multiaxis.restoration.jobs import Job, Result, say_why
from multiaxis.restoration.ledger import clear_strays, is_finished
from multiaxis.restoration.lifeline import Lifeline, hold
from multiaxis.restoration.restorer import Restorer
from multiaxis.restoration.run import run_jobs

ATTEMPTS = 2  # a job whose worker died is tried once more: it may not have been its fault

_log = logging.getLogger(__name__)
_restorer: Restorer | Exception | None = None
"""What this worker restores with, or why it cannot."""


def run_in_workers(
    restorer: Mapping[str, Any],
    jobs: Sequence[Job],
    workers: int,
    *,
    on_result: Callable[[Result], None] | None = None,
    **how: Any,
) -> list[Result]:
    """Restore files in several processes, each with a restorer and its share of the cores.

    Parameters
    ----------
    restorer : mapping
        Arguments of `Restorer`.
    jobs : sequence of Job
    workers : int
        How many processes.
    on_result : callable, optional
        Receives each `Result` at once, in the order of finishing.
    **how
        Further arguments of `run_jobs`.

    Returns
    -------
    list of Result
        In the order of finishing. A worker that is killed loses what it had in work, which is
        tried once more; everything else goes on.
    """
    results: list[Result] = []
    attempts = dict.fromkeys(jobs, 0)
    context = multiprocessing.get_context("spawn")
    threads = max(1, (os.cpu_count() or 1) // workers)
    while waiting := [job for job in jobs if job in attempts]:
        lifeline = Lifeline(context)
        start = (lifeline.end, dict(restorer), threads)
        pool = ProcessPoolExecutor(min(workers, len(waiting)), context, _start, start)
        try:
            for result in _run(pool, workers, waiting, attempts, how):
                del attempts[result.job]
                results.append(result)
                if on_result:
                    on_result(result)
        except BrokenProcessPool:
            continue  # those in work have one attempt less
        except BaseException:
            lifeline.cut()  # not all signals reach the workers as well
            pool.shutdown(cancel_futures=True)
            for folder in {job.output.parent for job in waiting}:
                clear_strays(folder)
            raise
        finally:
            pool.shutdown(cancel_futures=True)
            lifeline.cut()
    return results


def _run(
    pool: ProcessPoolExecutor,
    workers: int,
    jobs: list[Job],
    attempts: dict[Job, int],
    how: dict[str, Any],
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
                yield Result(job, 0.0, f"{job.input}: its worker died, {ATTEMPTS} times")
                continue
            attempts[job] += 1
            with _interrupts_held():  # this starts the workers
                running[pool.submit(_do, job, how, attempts[job])] = job
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
def _interrupts_held() -> Generator[None]:
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


def _start(line: Connection, restorer: dict[str, Any], threads: int) -> None:
    hold(line)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends it without a word
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    global _restorer  # noqa: PLW0603 (one for each process)
    try:
        import torch

        torch.set_num_threads(threads)
        _restorer = Restorer(**restorer)
    except Exception as error:  # noqa: BLE001 (told for each file: an error here says nothing)
        _restorer = error


def _do(job: Job, how: dict[str, Any], attempt: int) -> Result:
    if not isinstance(_restorer, Restorer):
        return Result(job, 0.0, say_why(job.input, _restorer or RuntimeError("not started")))
    return do_once(_restorer, job, how, attempt)


def do_once(restorer: Restorer, job: Job, how: dict[str, Any], attempt: int) -> Result:
    """Do a job; unless an earlier attempt, whose worker died, did it already.

    Parameters
    ----------
    restorer : Restorer
    job : Job
    how : dict
        Further arguments of `run_jobs`.
    attempt : int
        From 1.
    """
    settings = how.get("settings")
    if attempt > 1 and settings is not None:
        # The worker may have died between giving the output its name and telling so.
        with suppress(OSError, ImageError):  # not to be known: done again
            if is_finished(job.input, job.output, settings):
                return Result(job, 0.0, width=job.width, height=job.height)
    (result,) = run_jobs(restorer, [job], **how)
    return result
