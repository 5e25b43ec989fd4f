"""Doing the jobs: one file is read ahead and one written behind while the verb works."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

from multiaxis.batch.job import Job, Result
from multiaxis.batch.ledger import Entry, Note, add_entry, digest, digest_file, record_name
from multiaxis.batch.verb import File, Header, Outcome, Runner, Verb
from multiaxis.errors import ImageError, say_why
from multiaxis.files.address import Remote, Where
from multiaxis.files.publish import publish, publish_file, try_place
from multiaxis.files import remote
from multiaxis.files.scratch import Scratch
from multiaxis.progress import OnFraction

_log = logging.getLogger(__name__)


@dataclass
class _Work:
    """A job on its way; `error` stops it, and not the others."""

    job: Job
    header: Header
    item: Any = None
    digest: str = ""
    seconds: float = 0.0
    error: str | None = None
    outcome: Outcome = field(default_factory=Outcome)

    def result(self) -> Result:
        made = self.outcome
        return Result(
            self.job, self.seconds, self.error, self.header, made.record, made.lost, made.remarks
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
    with Scratch() as scratch, ThreadPoolExecutor(2, "files") as files:
        steps = _Steps(verb, runner, note, scratch)
        behind: Future[_Work] | None = None
        waiting = iter(jobs)
        ahead = _submit(files, steps.read, next(waiting, None))
        while ahead is not None:
            work = ahead.result()
            ahead = _submit(files, steps.read, next(waiting, None))
            steps.run(work, on_progress)
            if behind is not None:
                yield behind.result().result()
            behind = files.submit(steps.write, work)
        if behind is not None:
            yield behind.result().result()


def _submit(
    files: ThreadPoolExecutor, read: Callable[[Job], _Work], job: Job | None
) -> Future[_Work] | None:
    return None if job is None else files.submit(read, job)


class _Steps:
    """The three steps of a job; each records what it takes, and what goes wrong."""

    def __init__(
        self, verb: Verb, runner: Runner[Any], note: Note | None, scratch: Scratch
    ) -> None:
        self.verb, self.runner, self.note, self.scratch = verb, runner, note, scratch

    def read(self, job: Job) -> _Work:
        work = _Work(job, job.header)
        with self._recorded(work), self.scratch.bring(job.input) as path:
            place = None if job.output is None else PurePath(job.output.name)
            if isinstance(job.input, Remote):  # what a plan sees of files that are here
                work.header = self.verb.check(path, place)
            if isinstance(job.output, Path):
                try_place(job.output, overwrite=job.replaces)
            file = File(path, str(job.input))
            work.item = self.runner.read(file, place)
            work.digest = file.digest or ""
        return work

    def run(self, work: _Work, on_progress: OnFraction | None) -> None:
        if work.error:
            return
        with self._recorded(work):
            work.item = self.runner.run(work.item, on_progress)

    def write(self, work: _Work) -> _Work:
        if work.error:
            return work
        with self._recorded(work):
            output = work.job.output
            place = None if output is None else PurePath(output.name)
            work.outcome = self.runner.encode(work.item, place)
            self._note(work)
            if output is not None:
                _put(work.outcome.content, output, overwrite=work.job.replaces)
        work.item = None
        return work

    def _note(self, work: _Work) -> None:
        """Note what is finished before it gets its name; see `ledger`."""
        if self.note is None:
            return
        output, made = work.job.output, work.outcome
        if output is None:
            if self.note.report is None:
                return
            name = record_name(self.note.report, work.job.input)
            entry = Entry(name, work.digest, self.note.settings, "", dict(made.record))
            add_entry(self.note.report.parent, entry)
            return
        content = made.content
        held = digest_file(content) if isinstance(content, Path) else digest(content or b"")
        add_entry(output.parent, Entry(output.name, work.digest, self.note.settings, held))

    @contextmanager
    def _recorded(self, work: _Work) -> Generator[None]:
        start = time.monotonic()
        try:
            yield
        except Exception as failure:  # noqa: BLE001 (whatever it is, the other files are not lost)
            _log.debug("%s failed", work.job.input, exc_info=True)
            work.error = say_why(work.job.input, failure)
            work.item = None
        work.seconds += time.monotonic() - start


def _put(content: bytes | Path | None, output: Where, *, overwrite: bool) -> None:
    """Give the output its name, in one step."""
    if content is None:
        raise ImageError(f"nothing was made for {output}")
    if isinstance(output, Remote):
        data = content.read_bytes() if isinstance(content, Path) else content
        remote.publish(data, output, overwrite=overwrite)
    elif isinstance(content, Path):
        publish_file(content, output, overwrite=overwrite)
    else:
        publish(output, content, overwrite=overwrite)
