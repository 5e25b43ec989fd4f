"""Doing the jobs: one file is read ahead and one written behind while the verb works."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from multiaxis.batch.job import Job, Result
from multiaxis.batch.ledger import (
    Entry,
    Note,
    add_entry,
    digest,
    digest_file,
    is_finished,
    is_ours,
    record_name,
    settings_digest,
)
from multiaxis.batch.verb import File, Header, Outcome, Runner, Verb
from multiaxis.errors import ImageError, say_why
from multiaxis.files import remote
from multiaxis.files.address import Remote, Where
from multiaxis.files.place import make_folder, put, refusals, try_place
from multiaxis.files.scratch import Scratch
from multiaxis.progress import OnFraction

_log = logging.getLogger(__name__)
_PATIENCE = 1.0  # seconds that an interrupt waits for the file that is being written


@dataclass
class _Work:
    """A job on its way; `error` stops it, and not the others."""

    job: Job
    file: File
    header: Header
    item: Any = None
    seconds: float = 0.0
    error: str | None = None
    earlier: bool = False
    outcome: Outcome = field(default_factory=Outcome)

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to be done."""
        return self.earlier or self.error is not None

    def result(self) -> Result:
        outcome, header = self.outcome, self.header
        return Result(
            job=self.job,
            seconds=self.seconds,
            error=self.error,
            earlier=self.earlier,
            header=header,
            record=outcome.record,
            lost=outcome.lost,
            remarks=tuple(dict.fromkeys((*header.remarks, *outcome.remarks))),
        )


def do_jobs(
    verb: Verb,
    runner: Runner[Any],
    jobs: Iterable[Job],
    note: Note | None = None,
    *,
    on_progress: OnFraction | None = None,
) -> Generator[Result]:
    """Do job after job. One that fails is recorded, and the others are done.

    Parameters
    ----------
    verb : Verb
    runner : Runner
        From `verb.load()`.
    jobs : iterable of Job
        From `make_plan`.
    note : Note, optional
        Where what is finished is noted, so that a later run can resume.
    on_progress : callable, optional
        Receives the finished fraction of the file in work.

    Yields
    ------
    Result
        In the order of the jobs.
    """
    with Scratch() as scratch, _threads() as files:
        steps = _Steps(verb, runner, note, scratch)
        behind: Future[_Work] | None = None
        waiting = iter(jobs)
        work: _Work | None = None
        try:
            ahead = _submit(files, steps.read, next(waiting, None))
            while ahead is not None:
                work = ahead.result()
                ahead = _submit(files, steps.read, next(waiting, None))
                steps.run(work, on_progress)
                if behind is not None:
                    done, behind = behind.result(), None
                    yield done.result()
                behind = files.submit(steps.write, work)
            if behind is not None:
                done, behind = behind.result(), None
                yield done.result()
        except KeyboardInterrupt as stop:
            if work is not None and work.item is not None and (left := runner.partial(work.item)):
                stop.add_note(left)
            if behind is not None:
                with suppress(TimeoutError):  # it is done, and may soon be a file
                    yield behind.result(_PATIENCE).result()
            raise


def _submit(
    files: ThreadPoolExecutor, read: Callable[[Job], _Work], job: Job | None
) -> Future[_Work] | None:
    return None if job is None else files.submit(read, job)


@contextmanager
def _threads() -> Generator[ThreadPoolExecutor]:
    """Give the two threads that read and write; what stops the work does not wait for them."""
    files = ThreadPoolExecutor(2, "files")
    try:
        yield files
    except BaseException:
        files.shutdown(wait=False, cancel_futures=True)
        raise
    files.shutdown()


class _Steps:
    """The three steps of a job; each records what it takes, and what goes wrong."""

    def __init__(
        self, verb: Verb, runner: Runner[Any], note: Note | None, scratch: Scratch
    ) -> None:
        self.verb, self.runner, self.note, self.scratch = verb, runner, note, scratch

    def read(self, job: Job) -> _Work:
        file = File(Path(), str(job.input), job.output, job.replaces)
        work = _Work(job, file, job.header)
        with self._recorded(work), self.scratch.bring(job.input) as path:
            file.path = path
            file.before_naming = lambda whole: self._note(work, digest_file(whole))
            if isinstance(job.input, Remote):  # what a plan sees of files that are here
                work.header = self.verb.check(file)
            if isinstance(job.output, Path):
                make_folder(job.output.parent)
                try_place(job.output, overwrite=job.replaces)
            work.item = self.runner.read(file)
        return work

    def run(self, work: _Work, on_progress: OnFraction | None) -> None:
        if work.is_over:
            return
        with self._recorded(work):
            work.item = self.runner.run(work.item, on_progress)

    def write(self, work: _Work) -> _Work:
        if not work.is_over:
            with self._recorded(work):
                self._put(work, self.runner.encode(work.item))
        work.item = None
        return work

    def _put(self, work: _Work, outcome: Outcome) -> None:
        """Note what is finished, then give it its name."""
        output, replaces = work.job.output, work.job.replaces
        work.outcome = replace(outcome, content=None, more=())
        if output is None:
            self._note_record(work, outcome)
        elif outcome.content is not None:
            # The output comes last: what is finished has all of its files.
            places = self.verb.more_files(output)
            for where, content in zip(places, outcome.more, strict=True):
                self._note(work, digest(content), where=where)
                _put(where, content, overwrite=replaces or _is_left_over(where))
            self._note(work, digest(outcome.content), outcome.record)
            _put(output, outcome.content, overwrite=replaces)

    def _note(
        self,
        work: _Work,
        content_digest: str,
        record: Mapping[str, Any] | None = None,
        *,
        where: Where | None = None,
    ) -> None:
        output = where or work.job.output
        if self.note is not None and output is not None:
            settings, kept = self._settings(work.job), dict(record) if record else None
            entry = Entry(output.name, work.file.digest, settings, content_digest, kept)
            with refusals(output) if isinstance(output, Path) else nullcontext():
                add_entry(output.parent, entry)

    def _note_record(self, work: _Work, outcome: Outcome) -> None:
        if self.note is not None and self.note.report is not None:
            name = record_name(self.note.report, work.job.input)
            settings, record = self._settings(work.job), dict(outcome.record)
            entry = Entry(name, work.file.digest, settings, "", record)
            add_entry(self.note.report.parent, entry)

    def _settings(self, job: Job) -> str:
        return settings_digest(self.verb.settings(job.input.name))

    def _is_finished(self, job: Job) -> bool:
        """Tell whether another run has finished a job meanwhile, with the same settings."""
        if self.note is None or job.output is None or job.replaces:
            return False
        with suppress(OSError, ImageError):  # not to be known: what failed has failed
            return is_finished(job.input, job.output, self._settings(job))
        return False

    @contextmanager
    def _recorded(self, work: _Work) -> Generator[None]:
        start = time.monotonic()
        try:
            yield
        except Exception as failure:  # noqa: BLE001 (whatever it is, the other files are not lost)
            _log.debug("%s failed", work.job.input, exc_info=True)
            work.earlier = self._is_finished(work.job)
            if not work.earlier:
                work.error = say_why(work.job.input, failure)
            work.item = None
        work.seconds += time.monotonic() - start


def _put(where: Where, content: bytes, *, overwrite: bool) -> None:
    if isinstance(where, Remote):
        remote.publish(content, where, overwrite=overwrite)
    else:
        put(where, content, overwrite=overwrite)


def _is_left_over(where: Where) -> bool:
    """Tell whether a run that was stopped had written a file whose output it never named."""
    with suppress(OSError, ImageError):  # it does not exist, or is not to be known
        return is_ours(where)
    return False
