"""Who waits and who works: a bounded queue in front of the workers."""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress

from multiaxis.serve.job import Job
from multiaxis.serve.options import Options
from multiaxis.serve.process import Process, WorkerDiedError
from multiaxis.serve.room import Room
from multiaxis.serve.settings import Settings
from multiaxis.serve.spool import Spool
from multiaxis.serve.worker import Answer, Order, Report
from multiaxis.tasks.restore.rates import Rates

ATTEMPTS = 2  # a job whose worker died is tried once more, as in a batch
_PATIENCE = 3.0  # seconds that a cancelled job has to stop by itself
_LOOK = 1.0  # seconds until memory is looked at again
_WAIT_FOR_MEMORY = 120.0  # seconds that an idle server waits for memory that others hold

_log = logging.getLogger(__name__)


class QueueFullError(Exception):
    """No further job may wait."""


class Bell:
    """Wakes all who wait for it."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def ring(self) -> None:
        """Wake them; who waits from now on waits for the next time."""
        self._event.set()
        self._event = asyncio.Event()

    async def wait(self, seconds: float | None = None) -> bool:
        """Wait for it, so long at most; tell whether it rang."""
        event = self._event
        try:
            await asyncio.wait_for(event.wait(), seconds)
        except TimeoutError:
            return False
        return True


class Queue:
    """The jobs and the workers.

    Parameters
    ----------
    settings : Settings
    spool : Spool
    workers : list of Process

    Attributes
    ----------
    jobs : dict of str to Job
        All that are known, over ones too.
    counts : Counter
        Jobs by how they ended, since the start.
    rates : Rates
    room : Room
    """

    def __init__(self, settings: Settings, spool: Spool, workers: list[Process]) -> None:
        self.settings, self.spool, self.workers = settings, spool, workers
        self.jobs: dict[str, Job] = {}
        self.counts: Counter[str] = Counter()
        self.rates = Rates(spool.folder / "rates.json")
        self.room = Room(settings, workers)
        self.loaded: dict[Process, tuple[str, ...]] = {}
        self._waiting: list[Job] = []
        self._running: dict[str, Process] = {}
        self._bell = Bell()
        self._version = itertools.count()
        self._versions: dict[str, int] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._is_closing = False

    def start(self) -> None:
        """Start the workers, and go on with what an earlier server did not finish."""
        self._waiting += [job for job in self.jobs.values() if not job.is_over]
        for job in self._waiting:
            job.state, job.progress = "queued", 0.0
        for worker in self.workers:
            worker.start()
            self._tasks.append(asyncio.create_task(self._serve(worker)))

    def announce_end(self) -> None:
        """Start no further job, and let nobody wait for one that has not begun."""
        self._is_closing = True
        self._bell.ring()

    async def close(self, grace: float) -> None:
        """Let running jobs finish for a while; put the others back for the next server."""
        self.announce_end()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._settle(), grace)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for job in self.jobs.values():
            if not job.is_over:
                job.state, job.progress, job.stage, job.started = "queued", 0.0, "", 0.0
                job.attempts = 0
                self._keep(job)
        self._tell(*self._running)
        for worker in self.workers:
            worker.stop()

    @property
    def is_closing(self) -> bool:
        """Whether no job is started any more."""
        return self._is_closing

    @property
    def waiting(self) -> int:
        """Jobs that wait."""
        return len(self._waiting)

    @property
    def running(self) -> int:
        """Jobs in work."""
        return len(self._running)

    def check_room(self) -> None:
        """Refuse a further job while too many wait.

        Raises
        ------
        QueueFullError
        """
        if len(self._waiting) >= self.settings.queue:
            raise QueueFullError

    def add(self, job: Job) -> None:
        """Let a job wait for its turn.

        Raises
        ------
        QueueFullError
        """
        self.check_room()
        self.spool.save(job)
        self.jobs[job.id] = job
        self._waiting.append(job)
        self._tell(job.id)

    def cancel(self, job: Job) -> None:
        """Stop a job, whether it waits or runs."""
        if job.is_over:
            return
        worker = self._running.get(job.id)
        if job in self._waiting:
            self._waiting.remove(job)
        self._end(job, "cancelled", "it was cancelled")
        if worker is not None:
            worker.cancel()
            # Where nothing asks whether to go on (a read, a download), the process ends.
            asyncio.get_running_loop().call_later(_PATIENCE, self._insist, job, worker)

    def _insist(self, job: Job, worker: Process) -> None:
        if self._running.get(job.id) is worker:
            worker.kill()

    def position(self, job: Job) -> int:
        """Count the jobs in front of one that waits, those in work too."""
        line = self._line()
        return line.index(job) + self.running if job in line else 0

    def delay(self) -> float:
        """Estimate the seconds until all that is here is done; at least 1."""
        known = [self.estimate(job) for job in (*self._waiting, *self._in_work())]
        measured = [seconds for seconds in known if seconds is not None]
        guess = sum(measured) / len(measured) if measured else 5.0
        total = sum(guess if seconds is None else seconds for seconds in known)
        return max(1.0, total / len(self.workers))

    async def wait(self, job: Job) -> None:
        """Wait until a job is over, or the server ends."""
        while not (job.is_over or self._is_closing):
            await self._bell.wait()

    async def changes(self, jobs: Sequence[Job], beat: float) -> AsyncGenerator[Job | None]:
        """Give jobs whenever they change, at first all; None after so many seconds of silence."""
        seen: dict[str, int] = {}
        while True:
            news = [job for job in jobs if seen.get(job.id) != self._versions.get(job.id, -1)]
            for job in news:
                seen[job.id] = self._versions.get(job.id, -1)
                yield job
            if news:
                continue  # they may have changed while they were told
            if self._is_closing or all(job.is_over for job in jobs):
                return
            if not await self._bell.wait(beat):
                yield None

    def forget(self, job: Job) -> None:
        """Forget a job that is over, and its files."""
        self.jobs.pop(job.id, None)
        self._versions.pop(job.id, None)
        self.spool.remove(job)

    # The work.

    async def _serve(self, worker: Process) -> None:
        """Give one worker job after job."""
        while True:
            job = await self._next(worker)
            try:
                await self._do(job, worker)
            except asyncio.CancelledError:
                raise
            except Exception as error:  # noqa: BLE001 (a full disk, say: it costs this job alone)
                _log.exception("job %s", job.id)
                self._end(job, "failed", f"unexpected {type(error).__name__}", "unexpected")
            finally:
                self._running.pop(job.id, None)
                self.room.reserved.pop(worker, None)

    async def _next(self, worker: Process) -> Job:
        """Wait for a job whose memory fits."""
        since = time.monotonic()
        while True:
            job = next(iter(self._line()), None)
            if job is not None and not self._is_closing:
                is_late = not self._running and time.monotonic() - since > _WAIT_FOR_MEMORY
                if is_late or self.room.fits_now(job.memory):  # the planner has the last word
                    self._waiting.remove(job)
                    self._running[job.id] = worker
                    self.room.reserved[worker] = job.memory
                    return job
            else:
                since = time.monotonic()
            await self._bell.wait(_LOOK if job else None)

    async def _do(self, job: Job, worker: Process) -> None:
        job.state, job.stage, job.started = "running", "starting", time.time()
        job.attempts += 1
        self._keep(job)
        self._tell(job.id)
        options = Options.read(job.words)
        source, target = self.spool.input(job.upload, job), self.spool.output(job)
        order = Order("restore", str(source), str(target), options.verb(self.settings))
        try:
            answer = await worker.ask(order, lambda report: self._hear(job, report))
        except WorkerDiedError:
            if job.is_over:
                return  # it was cancelled, and did not stop by itself
            if job.attempts < ATTEMPTS:
                job.state = "queued"
                self._waiting.insert(0, job)
                self._tell(job.id)
                return
            said = f"{job.upload.name}: its worker died, {ATTEMPTS} times"
            self._end(job, "failed", said, "unexpected")
            return
        if not job.is_over:
            self._take(job, options, worker, answer)

    def _take(self, job: Job, options: Options, worker: Process, answer: Answer) -> None:
        job.seconds, job.where = answer.seconds, answer.where
        if answer.error:
            self._end(job, "failed", self.in_public(job, answer.error), answer.kind)
            return
        self.loaded[worker] = answer.loaded
        job.notes = [self.in_public(job, note) for note in answer.remarks]
        job.lost = list(answer.lost)
        job.bytes = self.spool.output(job).stat().st_size
        job.progress = 1.0
        with suppress(OSError):  # a full disk: it is measured again
            self.rates.add(options.kind, answer.seconds, job.megapixels)
        self._end(job, "done")

    def _end(self, job: Job, state: str, error: str = "", kind: str = "") -> None:
        job.state, job.error, job.error_kind = state, error, kind  # pyright: ignore[reportAttributeAccessIssue]
        job.finished = time.time()
        self.counts[state] += 1
        self._keep(job)
        self._tell(job.id)

    def _keep(self, job: Job) -> None:
        """Keep the record of a job that is known here, whatever the disk says."""
        try:
            self.spool.save(job)
        except OSError as error:
            _log.warning("the record of job %s could not be written: %s", job.id, error)

    def _hear(self, job: Job, report: Report) -> None:
        if not job.is_over:
            job.stage, job.progress = report.stage, report.done
            self._tell(job.id)

    def _tell(self, *ids: str) -> None:
        """Wake all who wait for a change."""
        for one in ids:
            self._versions[one] = next(self._version)
        self._bell.ring()

    async def _settle(self) -> None:
        while self._in_work():
            await self._bell.wait()

    def _line(self) -> list[Job]:
        """Give the jobs that wait in the order of their turns: previews are waited for."""
        return sorted(self._waiting, key=lambda job: not job.is_preview)

    def _in_work(self) -> list[Job]:
        return [job for one in self._running if (job := self.jobs.get(one)) and not job.is_over]

    def estimate(self, job: Job) -> float | None:
        """Estimate the seconds of a job's work; None before anything of its kind was measured."""
        return self.rates.seconds(Options.read(job.words).kind, job.megapixels)

    def in_public(self, job: Job, text: str) -> str:
        """Replace our paths in a message by what the client calls the files."""
        text = text.replace(str(self.spool.input(job.upload, job)), job.upload.name)
        text = text.replace(str(self.spool.input(job.upload)), job.upload.name)
        text = text.replace(str(self.spool.output(job)), job.output_name)
        return text.replace(str(self.spool.folder), "the server's folder")
