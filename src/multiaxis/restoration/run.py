"""Doing the jobs: one file is read ahead and one written behind while the model works."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from multiaxis.errors import ImageError
from multiaxis.files.address import Remote
from multiaxis.files.remote import publish
from multiaxis.files.scratch import Scratch
from multiaxis.images import (
    DEFAULT_MEGAPIXELS,
    Frame,
    Picture,
    Several,
    check_picture,
    check_place,
    check_several,
    check_write,
    decode_picture,
    open_several,
    read_bytes,
    write_picture,
    write_several,
)
from multiaxis.models.maxim.streaming.streamed import OnFraction
from multiaxis.restoration.jobs import Job, Result, say_why
from multiaxis.restoration.ledger import Entry, add_entry, digest, is_finished
from multiaxis.restoration.output import Output
from multiaxis.restoration.restorer import Restorer
from multiaxis.restoration.several import restore_several

_log = logging.getLogger(__name__)
_PATIENCE = 1.0  # seconds that an interrupt waits for the file that is being written

Value = TypeVar("Value")


@dataclass
class _Work:
    """A job on its way; `error` stops it, and not the others. `source` is the input's digest."""

    job: Job
    picture: Picture | None = None
    several: Several | None = None
    frames: list[Frame] | None = None
    size: tuple[int, int] = (0, 0)
    source: str = ""
    seconds: float = 0.0
    error: str | None = None
    lost: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    earlier: bool = False

    def result(self) -> Result:
        remarks = tuple(f"{self.job.input}: {remark}" for remark in self.remarks)
        size = self.size if any(self.size) else (self.job.width, self.job.height)
        return Result(self.job, self.seconds, self.error, self.lost, remarks, self.earlier, *size)


def run_jobs(
    restorer: Restorer,
    jobs: Iterable[Job],
    *,
    options: Output = Output(),  # noqa: B008 (frozen)
    settings: str | None = None,
    max_megapixels: float = DEFAULT_MEGAPIXELS,
    on_result: Callable[[Result], None] | None = None,
    on_progress: OnFraction | None = None,
) -> list[Result]:
    """Restore file after file. One that fails is recorded, and the others are done.

    Parameters
    ----------
    restorer : Restorer
    jobs : iterable of Job
        From `plan_jobs`.
    options : Output
        As in `plan_jobs`.
    settings : str, optional
        Digest of the settings, to note what is finished so that a later run can resume.
    max_megapixels : float
        As in `plan_jobs`.
    on_result : callable, optional
        Receives each `Result` at once, from this thread, in the order of the jobs.
    on_progress : callable, optional
        Receives the finished fraction of the file in work.
    """
    results: list[Result] = []
    behind: Future[_Work] | None = None

    def finish(patience: float | None = None) -> None:
        """Take the result of the file that is written behind."""
        nonlocal behind
        if behind is None:
            return
        result = behind.result(patience).result()
        behind = None
        results.append(result)
        if on_result:
            on_result(result)

    with Scratch() as scratch, _threads() as files:
        steps = _Steps(restorer, options, settings, max_megapixels, scratch)
        waiting = iter(jobs)
        try:
            ahead = _submit(files, steps.read, next(waiting, None))
            while ahead is not None:
                work = ahead.result()
                ahead = _submit(files, steps.read, next(waiting, None))
                steps.restore(work, on_progress)
                finish()
                behind = files.submit(steps.write, work)
            finish()
        except KeyboardInterrupt:
            with suppress(TimeoutError):  # it is restored, and may soon be a file
                finish(_PATIENCE)
            raise
    return results


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


def _submit(
    files: ThreadPoolExecutor, read: Callable[[Job], _Work], job: Job | None
) -> Future[_Work] | None:
    return None if job is None else files.submit(read, job)


class _Steps:
    """The three steps of a job; each records what it takes, and what goes wrong."""

    def __init__(
        self,
        restorer: Restorer,
        options: Output,
        settings: str | None,
        max_megapixels: float,
        scratch: Scratch,
    ) -> None:
        self.restorer, self.options, self.settings = restorer, options, settings
        self.max_megapixels, self.scratch = max_megapixels, scratch

    def read(self, job: Job) -> _Work:
        work = _Work(job)
        with self._recorded(work), self.scratch.bring(job.input) as path:
            data = read_bytes(path, job.input)
            if self.settings is not None:
                # Under the input's name there may be something else by the time it is restored.
                work.source = digest(data)
            name, most = str(job.input), self.max_megapixels
            work.several = open_several(data, name, max_megapixels=most)
            if work.several:
                work.size = work.several.probes[0].width, work.several.probes[0].height
                self._check_several(job, work.several)
                return work
            picture = decode_picture(data, name, max_megapixels=most)
            del data
            work.size, work.remarks = (picture.width, picture.height), picture.remarks
            work.picture = self.options.trim(picture)
            self._check(job, work.picture)
        return work

    def _check(self, job: Job, picture: Picture) -> None:
        depth = self.options.sample_type
        if isinstance(job.output, Remote):
            check_picture(job.output, picture, depth=depth)
            return
        _make_folder(job.output.parent)
        check_write(job.output, picture, overwrite=job.replaces, depth=depth)

    def _check_several(self, job: Job, several: Several) -> None:
        depth = self.options.sample_type
        if isinstance(job.output, Remote):
            check_several(job.output, several, depth=depth)
            return
        _make_folder(job.output.parent)
        check_several(job.output, several, depth=depth)
        check_place(job.output, overwrite=job.replaces)

    def restore(self, work: _Work, on_progress: OnFraction | None) -> None:
        if work.error or work.earlier:
            return
        with self._recorded(work):
            if work.several:
                made = restore_several(
                    self._restored,
                    work.several,
                    work.job.output,
                    quality=self.options.quality,
                    on_progress=on_progress,
                )
                work.frames, work.lost, work.remarks = made.frames, made.lost, made.remarks
            elif work.picture:
                work.picture = self._restored(work.picture, on_progress)
                work.remarks = work.picture.remarks

    def _restored(self, picture: Picture, on_progress: OnFraction | None) -> Picture:
        return self.restorer.restore_picture(
            self.options.trim(picture), depth=self.options.sample_type, on_progress=on_progress
        )

    def write(self, work: _Work) -> _Work:
        if work.error or work.earlier:
            work.picture = work.several = work.frames = None
            return work
        with self._recorded(work):
            if isinstance(work.job.output, Remote):
                with self.scratch.place(work.job.output) as path:
                    work.lost += self._encode(work, path)
                    publish(path.read_bytes(), work.job.output, overwrite=work.job.replaces)
            else:
                work.lost += self._encode(work, work.job.output)
        work.picture = work.several = work.frames = None
        return work

    def _encode(self, work: _Work, path: Path) -> tuple[str, ...]:
        def note(data: bytes) -> None:
            self._note(work, data)

        replaces, quality = work.job.replaces, self.options.quality
        if work.several and work.frames:
            return write_several(
                path, work.frames, work.several, overwrite=replaces, before_publishing=note
            )
        if work.picture is None:
            return ()
        return write_picture(
            path, work.picture, overwrite=replaces, quality=quality, before_publishing=note
        )

    def _note(self, work: _Work, data: bytes) -> None:
        if self.settings is not None:
            output = work.job.output
            add_entry(output.parent, Entry(output.name, work.source, self.settings, digest(data)))

    def _is_finished(self, job: Job) -> bool:
        """Tell whether another run has finished a job meanwhile, with the same settings."""
        if self.settings is None or job.replaces:
            return False
        with suppress(OSError, ImageError):  # not to be known: what failed has failed
            return is_finished(job.input, job.output, self.settings)
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
                work.error = self.scratch.translate(say_why(work.job.input, failure))
        work.seconds += time.monotonic() - start


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ImageError(
            f"cannot make the folder {folder}: {error.strerror}; choose another with -o"
        ) from error
