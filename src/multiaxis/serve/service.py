"""What the server does, whatever asks for it: uploads become jobs, jobs become files."""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

import numpy as np

from multiaxis.errors import counted
from multiaxis.images import Picture, encode_picture
from multiaxis.images.formats import Format, recognise
from multiaxis.serve.answers import Problem
from multiaxis.serve.job import SHOWN, Job, Upload, new_id, shown_name, stored_suffix
from multiaxis.serve.options import Options
from multiaxis.serve.process import Process, WorkerDiedError
from multiaxis.serve.queue import Queue, QueueFullError
from multiaxis.serve.settings import Settings
from multiaxis.serve.spool import Spool
from multiaxis.serve.upload import Received, receive
from multiaxis.serve.worker import Answer, Order, Role
from multiaxis.tasks.restore.forecast import Forecast, forecast

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from starlette.requests import Request

_UPLOADS = 64  # that arrive at once
_READING = 60.0  # seconds for a header, a view
_SWEEP = 20.0  # seconds between two cleanings
_SAMPLE = 256  # pixels of the side of a picture that measures the rate
_DECISIVE = ("task", "model", "ensemble")  # options that the rate depends on
_GRACE = 5.0  # seconds that running jobs have to finish when the server ends


class Service:
    """The parts of a server, from its start to its end.

    Parameters
    ----------
    settings : Settings
    spool : Spool

    Attributes
    ----------
    uploads : dict of str to Upload
    queue : Queue
    readers : dict of str to Process
        They look at headers, and make views: one does not wait for the other.
    received : int
        Bytes of pictures that arrived.
    arriving : int
        Uploads that arrive now.
    """

    def __init__(self, settings: Settings, spool: Spool) -> None:
        self.settings, self.spool = settings, spool
        self.readers = {what: Process(Role(restores=False)) for what in ("plan", "view")}
        # One worker works as the command does, several share the cores as those of a batch do.
        threads = 0 if settings.workers == 1 else max(1, (os.cpu_count() or 1) // settings.workers)
        role = Role(restores=True, threads=threads, models=settings.models, device=settings.device)
        workers = [Process(replace(role, index=index)) for index in range(settings.workers)]
        self.queue = Queue(settings, spool, workers)
        self.uploads: dict[str, Upload] = {}
        self.received = self.arriving = self.used = 0
        self._measurements: dict[str, asyncio.Task[None]] = {}
        for one in spool.load():
            if isinstance(one, Job):
                self.queue.jobs[one.id] = one
            else:
                self.uploads[one.id] = one

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Start what works in the background, and end it."""
        self.queue.start()
        sweeper = asyncio.create_task(self._sweep_now_and_then())
        try:
            yield
        finally:
            sweeper.cancel()
            with suppress(asyncio.CancelledError):
                await sweeper
            await self.queue.close(_GRACE)
            for reader in self.readers.values():
                reader.stop()

    # Pictures.

    async def take(self, request: Request) -> Received:
        """Receive what a request brings.

        Raises
        ------
        Problem
            If it is refused.
        """
        if self.arriving >= _UPLOADS:
            raise Problem(
                429,
                "Too many uploads",
                f"{_UPLOADS} uploads arrive already: send it again a little later",
                {"retry-after": "1"},
            )
        self.arriving += 1
        try:
            stated = request.headers.get("content-length", "")
            size = int(stated) if stated.isdigit() else 0
            self._check_disk(min(size, self.settings.max_bytes))
            path = self.spool.incoming(new_id())
            received = await receive(request, path, self.settings.max_bytes)
        finally:
            self.arriving -= 1
        self.received += received.bytes
        self.used += received.bytes
        return received

    async def add_upload(self, received: Received) -> Upload:
        """Keep a picture, and say what it is.

        Raises
        ------
        Problem
            If it is no picture that can be restored.
        """
        upload = self._place(received)
        try:
            verb = Options.read({"task": "denoise"}).verb(self.settings)
            target = self.spool.input(upload).with_name(f"result{upload.suffix}")
            target = target.with_name("result" + PurePath(verb.output_name(target.name)).suffix)
            order = Order("plan", str(self.spool.input(upload)), str(target), verb)
            self._measure(upload, await self._read(order, upload.name))
        except BaseException:
            self.spool.remove(upload)
            raise
        self.uploads[upload.id] = upload
        self.spool.save(upload)
        return upload

    def forget_upload(self, upload: Upload) -> None:
        """Forget a picture; jobs have their own name for it."""
        self.uploads.pop(upload.id, None)
        self.spool.remove(upload)

    def find_upload(self, name: str) -> Upload:
        """Find a picture that was sent.

        Raises
        ------
        Problem
        """
        if name not in self.uploads:
            raise Problem(404, "No such picture", "there is no such picture: send it again")
        return self.uploads[name]

    def _place(self, received: Received) -> Upload:
        if received.path is None:
            raise Problem(
                400,
                "No picture",
                "the request holds no picture: send one as the field 'file' of a form, as the "
                "body, or name one that was sent with 'picture'",
            )
        name = shown_name(received.name)
        upload = Upload(new_id(), name, stored_suffix(name, received.start), received.bytes)
        self.spool.take(upload, received.path)
        return upload

    def _measure(self, upload: Upload, answer: Answer) -> None:
        facts = answer.header.facts
        upload.width, upload.height = facts["width"], facts["height"]
        upload.megapixels, upload.notes = answer.header.amount, list(answer.remarks)

    # Jobs.

    def find_job(self, name: str) -> Job:
        """Find a job.

        Raises
        ------
        Problem
        """
        if name not in self.queue.jobs:
            raise Problem(
                404, "No such job", "there is no such job: it was removed, or never existed"
            )
        return self.queue.jobs[name]

    async def add_job(self, received: Received) -> Job:
        """Make a job of a request, and let it wait for its turn.

        Raises
        ------
        ConfigError
            If an option cannot work.
        Problem
            If the picture is refused, or the queue is full.
        """
        self.check_queue()
        words = dict(received.words)
        named = words.pop("picture", "")
        options = Options.read(words)
        upload = self.find_upload(named) if named else self._place(received)
        job = self._job(upload, options)
        try:
            self.spool.share(job)
            verb = options.verb(self.settings)
            source, target = self.spool.input(upload, job), self.spool.output(job)
            answer = await self._read(Order("plan", str(source), str(target), verb), job)
            if not named:
                self._measure(upload, answer)
            self._weigh(job, options, answer)
            self.queue.add(job)
        except QueueFullError as error:
            self.spool.remove(job)
            raise self._full() from error
        except BaseException:
            self.spool.remove(job)
            raise
        finally:
            if not named:
                self.spool.remove(upload)
        return job

    def check_queue(self) -> None:
        """Refuse a job while too many wait, before its picture is read.

        Raises
        ------
        Problem
        """
        try:
            self.queue.check_room()
        except QueueFullError as error:
            raise self._full() from error

    def forecast(self, options: Options, height: int, width: int) -> Forecast:
        """Estimate what a picture of a size takes."""
        if options.crop is not None:
            height, width = options.crop.height, options.crop.width
        return forecast(
            options.checkpoints,
            height,
            width,
            dtype=self.settings.dtype,
            threads=self.queue.room.threads,
            holds_maps=self.queue.room.holds_maps,
        )

    def _job(self, upload: Upload, options: Options) -> Job:
        verb = options.verb(self.settings)
        suffix = PurePath(verb.output_name(f"x{upload.suffix}")).suffix
        name = f"{PurePath(upload.name).stem}{verb.beside}{suffix}"
        return Job(new_id(), upload, dict(options.words), name, suffix)

    def _weigh(self, job: Job, options: Options, answer: Answer) -> None:
        """Refuse what can never be done here, with what it takes."""
        facts = answer.header.facts
        width, height = facts["width"], facts["height"]
        found = self.forecast(options, height, width)
        count = 1 if options.crop else max(1, round(answer.header.amount / (width * height / 1e6)))
        job.megapixels, job.memory = found.megapixels * count, found.memory
        if refusal := self.queue.room.never(found.memory, found.megapixels):
            raise Problem(413, "Too large", f"{job.upload.name}: {refusal}")

    def _full(self) -> Problem:
        seconds = math.ceil(self.queue.delay() / (self.queue.waiting + 1))
        return Problem(
            429,
            "Queue full",
            f"{counted(self.queue.waiting, 'job')} wait already, and no more may: ask again in "
            f"{seconds} s, or raise --queue",
            {"retry-after": str(seconds)},
        )

    def measure(self, options: Options) -> bool:
        """Measure how fast a kind of work is, once, on a small picture; tell whether that goes on.

        Parameters
        ----------
        options : Options
        """
        known = self._measurements.get(options.kind)
        if known is None and not self.queue.is_closing:
            known = asyncio.create_task(self._measure_rate(options))
            self._measurements[options.kind] = known
        return known is not None and not known.done()

    async def _measure_rate(self, options: Options) -> None:
        kept = {name: options.words[name] for name in _DECISIVE if name in options.words}
        words = {**kept, "crop": f"0,0,{_SAMPLE},{_SAMPLE}"}
        sample = np.random.default_rng(0).integers(0, 256, (_SAMPLE, _SAMPLE, 3), np.uint8)
        upload = Upload(new_id(), "sample", ".png", width=_SAMPLE, height=_SAMPLE)
        job = self._job(upload, Options.read(words))
        path = self.spool.input(upload, job)
        path.parent.mkdir()
        path.write_bytes(encode_picture(path, Picture(sample))[0])
        found = self.forecast(options, _SAMPLE, _SAMPLE)
        job.megapixels, job.memory = found.megapixels, found.memory
        try:
            self.queue.add(job)
            await self.queue.wait(job)
        except QueueFullError:
            self._measurements.pop(options.kind, None)  # another time
        self.queue.forget(job)

    # Files.

    async def shown(self, owner: Upload | Job, which: str) -> tuple[Path, str]:
        """Give a file that a browser shows, with its suffix; where it needs one, make a view.

        Raises
        ------
        Problem
            If it cannot be shown.
        """
        if isinstance(owner, Upload):
            path = self.spool.input(owner)
        elif which == "before":
            path = self.spool.input(owner.upload, owner)
        else:
            path = self.spool.output(owner)
        with path.open("rb") as file:
            kind = recognise(file.read(64))
        if isinstance(kind, Format) and kind.suffixes[0] in SHOWN:
            return path, kind.suffixes[0]
        view = self.spool.view(owner, which)
        if not view.exists():
            await self._read(Order("view", str(path), str(view)), owner)
        return view, ".png"

    async def _read(self, order: Order, owner: Upload | Job | str) -> Answer:
        """Have a file looked at in a process of its own, which a hostile one may end."""
        name = owner if isinstance(owner, str) else _name_of(owner)
        try:
            answer = await self.readers[order.what].ask(order, patience=_READING)
        except (WorkerDiedError, TimeoutError) as error:
            took = "took too long" if isinstance(error, TimeoutError) else "ended its process"
            said = f"cannot read {name or 'the picture'}: reading it {took}; it may be damaged"
            raise Problem(422, "Picture refused", said) from error
        if answer.error:
            said = answer.error.replace(order.input, name)
            if isinstance(owner, Job):
                said = self.queue.in_public(owner, answer.error)
            said = said.replace(str(self.spool.folder), "the server's folder")
            raise Problem(422, "Picture refused", said)
        return answer

    def _check_disk(self, size: int) -> None:
        if self.used + size > self.settings.spool_bytes:
            raise Problem(
                507,
                "Spool full",
                "the server's spool folder is full: wait until jobs are done, delete some, or "
                "raise --spool-size",
                {"retry-after": "30"},
            )

    async def _sweep_now_and_then(self) -> None:
        while True:
            with contextlib.suppress(OSError):
                await self.sweep()
            await asyncio.sleep(_SWEEP)

    async def sweep(self) -> None:
        """Remove what is too old, and the oldest while there is too much."""
        held = [*self.uploads.values(), *self.queue.jobs.values()]
        limits = self.settings.keep_hours, self.settings.spool_bytes
        for one in await asyncio.to_thread(self.spool.stale, held, *limits):
            if isinstance(one, Job):
                self.queue.forget(one)
            else:
                self.forget_upload(one)
        self.used = await asyncio.to_thread(self.spool.used)


def _name_of(owner: Upload | Job) -> str:
    return owner.upload.name if isinstance(owner, Job) else owner.name
