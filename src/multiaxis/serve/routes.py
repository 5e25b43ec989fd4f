"""The interface: each route checks, asks the service, and answers."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any

from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from multiaxis.images import FORMATS
from multiaxis.serve.answers import (
    Problem,
    describe_job,
    describe_upload,
    failed,
    send_result,
)
from multiaxis.serve.archive import pack
from multiaxis.serve.job import TYPES, Job, new_id
from multiaxis.serve.options import NAMES, Options
from multiaxis.serve.service import Service
from multiaxis.tasks.restore.output import DEPTHS
from multiaxis.tasks.restore.selection import models_of
from multiaxis.weights.cache import cached_path
from multiaxis.weights.index import find_checkpoint, list_tasks

_BEAT = 15.0  # seconds of silence after which a stream of events says that it lives
_MOST_WATCHED = 1000  # jobs of one stream
_WAIT = re.compile(r"wait=(\d{1,6})")

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class Routes:
    """The handlers of one service.

    Parameters
    ----------
    service : Service
    """

    def __init__(self, service: Service) -> None:
        self.service, self.queue = service, service.queue

    def all(self) -> list[Route]:
        """List the routes."""
        rows: list[tuple[str, str, Handler]] = [
            ("POST", "/v1/pictures", self.send_picture),
            ("GET", "/v1/pictures/{id}", self.show_picture),
            ("DELETE", "/v1/pictures/{id}", self.remove_picture),
            ("GET", "/v1/pictures/{id}/view", self.view_picture),
            ("POST", "/v1/restore", self.restore),
            ("POST", "/v1/estimate", self.estimate),
            ("GET", "/v1/jobs/{id}", self.show_job),
            ("DELETE", "/v1/jobs/{id}", self.cancel_job),
            ("GET", "/v1/jobs/{id}/result", self.result),
            ("GET", "/v1/jobs/{id}/before", self.before),
            ("GET", "/v1/jobs/{id}/after", self.after),
            ("GET", "/v1/jobs/{id}/events", self.events_of_job),
            ("GET", "/v1/events", self.events),
            ("POST", "/v1/archive", self.archive),
            ("GET", "/v1/models", self.models),
            ("GET", "/health", self.health),
        ]
        return [Route(path, handler, methods=[method]) for method, path, handler in rows]

    # Pictures.

    async def send_picture(self, request: Request) -> Response:
        """Keep a picture, for several jobs."""
        received = await self.service.take(request)
        try:
            upload = await self.service.add_upload(received)
        finally:
            received.discard()
        where = f"/v1/pictures/{upload.id}"
        return JSONResponse(describe_upload(upload), 201, headers={"location": where})

    async def show_picture(self, request: Request) -> Response:
        """Say what is known of a picture."""
        upload = self.service.find_upload(request.path_params["id"])
        return JSONResponse(describe_upload(upload))

    async def remove_picture(self, request: Request) -> Response:
        """Remove a picture; jobs of it keep it."""
        self.service.forget_upload(self.service.find_upload(request.path_params["id"]))
        return Response(status_code=204)

    async def view_picture(self, request: Request) -> Response:
        """Show a picture in a format of browsers."""
        upload = self.service.find_upload(request.path_params["id"])
        path, suffix = await self.service.shown(upload, "before")
        return _inline(path, suffix)

    # Jobs.

    async def restore(self, request: Request) -> Response:
        """Restore a picture: answer with it, or with the job."""
        self.service.check_queue()
        received = await self.service.take(request)
        try:
            job = await self.service.add_job(received)
        finally:
            received.discard()
        prefer = request.headers.get("prefer", "")
        wait = _WAIT.search(prefer)
        seconds = 0.0 if "respond-async" in prefer and not wait else None
        seconds = float(wait[1]) if wait else seconds
        if seconds != 0:
            await self._wait(request, job, seconds)
        if job.state == "done":
            return send_result(job, self.queue)
        if job.state == "failed":
            raise failed(job)
        if seconds is None and self.queue.is_closing:
            raise Problem(
                503,
                "Server ends",
                "the server ends, and the job is kept for the next one: ask for it there",
                {"location": f"/v1/jobs/{job.id}", "retry-after": "10"},
            )
        return self._accepted(job)

    async def _wait(self, request: Request, job: Job, seconds: float | None) -> None:
        """Wait for a job; where its client goes, nobody can ask for it any more."""
        done = asyncio.create_task(self.queue.wait(job))
        gone = asyncio.create_task(_until_gone(request))
        try:
            await asyncio.wait({done, gone}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if gone.done() and not job.is_over:
                self.queue.cancel(job)
        finally:
            for task in (done, gone):
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    def _accepted(self, job: Job) -> Response:
        headers = {"location": f"/v1/jobs/{job.id}", "retry-after": "1"}
        return JSONResponse(describe_job(job, self.queue), 202, headers=headers)

    async def show_job(self, request: Request) -> Response:
        """Say how far a job is."""
        return JSONResponse(describe_job(self._job(request), self.queue))

    async def cancel_job(self, request: Request) -> Response:
        """Cancel a job; one that is over is removed with its files."""
        job = self._job(request)
        if job.is_over:
            self.queue.forget(job)
            return Response(status_code=204)
        self.queue.cancel(job)
        return JSONResponse(describe_job(job, self.queue))

    async def result(self, request: Request) -> Response:
        """Give the file of a job."""
        return send_result(self._done(request), self.queue)

    async def before(self, request: Request) -> Response:
        """Show the picture of a job in a format of browsers."""
        path, suffix = await self.service.shown(self._job(request), "before")
        return _inline(path, suffix)

    async def after(self, request: Request) -> Response:
        """Show the result of a job in a format of browsers."""
        path, suffix = await self.service.shown(self._done(request), "after")
        return _inline(path, suffix)

    async def archive(self, request: Request) -> Response:
        """Give the results of several jobs in one zip file."""
        body = await _json(request)
        names = body.get("jobs") if isinstance(body, dict) else None
        if not isinstance(names, list) or not 0 < len(names) <= _MOST_WATCHED:
            raise Problem(
                400, "No jobs", 'the body is no list of jobs: accepted is {"jobs": ["ID", ...]}'
            )
        jobs = [self.service.find_job(str(name)) for name in names]
        for job in jobs:
            self._check_done(job)
        path = self.service.spool.incoming(f"{new_id()}.zip")
        await asyncio.to_thread(pack, jobs, self.service.spool, path)
        return FileResponse(
            path,
            media_type="application/zip",
            headers={"content-disposition": 'attachment; filename="restored.zip"'},
            background=BackgroundTask(path.unlink, missing_ok=True),
        )

    # Events.

    async def events_of_job(self, request: Request) -> Response:
        """Tell of every change of a job, until it is over."""
        return self._stream([self._job(request)])

    async def events(self, request: Request) -> Response:
        """Tell of every change of several jobs."""
        names = request.query_params.get("jobs", "").split(",")[:_MOST_WATCHED]
        known = [self.queue.jobs[name] for name in names if name in self.queue.jobs]
        return self._stream(known)

    def _stream(self, jobs: Sequence[Job]) -> Response:
        async def lines() -> AsyncGenerator[str]:
            async for job in self.queue.changes(jobs, _BEAT):
                if job is None:
                    yield ": still here\n\n"
                else:
                    said = json.dumps(describe_job(job, self.queue))
                    yield f"event: job\ndata: {said}\n\n"

        return StreamingResponse(lines(), media_type="text/event-stream")

    # What there is.

    async def estimate(self, request: Request) -> Response:
        """Say what a picture of a size would take."""
        words = {str(key): str(value) for key, value in (await _object(request)).items()}
        width, height = (_side(words.pop(name, ""), name) for name in ("width", "height"))
        options = Options.read(words)
        found = self.service.forecast(options, height, width)
        refusal = self.queue.room.never(found.memory, found.megapixels)
        loads = [name for name in options.checkpoints if not _is_here(name)]
        seconds = self.queue.rates.seconds(options.kind, found.megapixels)
        return JSONResponse(
            {
                "seconds": seconds,
                "measuring": seconds is None and not loads and self.service.measure(options),
                "memory": found.memory,
                "megapixels": found.megapixels,
                "refusal": refusal or None,
                "waiting_seconds": self.queue.delay() if self.queue.waiting else 0.0,
                "loads": loads,
            }
        )

    async def models(self, _: Request) -> Response:
        """List tasks and models, options, formats and limits."""
        settings = self.service.settings
        return JSONResponse(
            {
                "tasks": [_describe_task(task) for task in list_tasks() if task != "classify"],
                "options": NAMES,
                "formats": {row.suffixes[0][1:]: row.note for row in FORMATS if row.depths},
                "depths": list(DEPTHS),
                "loaded": sorted({task for tasks in self.queue.loaded.values() for task in tasks}),
                "limits": {
                    "megapixels": settings.max_megapixels,
                    "bytes": settings.max_bytes,
                    "queue": settings.queue,
                    "workers": settings.workers,
                    "models": settings.models,
                    "keep_hours": settings.keep_hours,
                },
            }
        )

    async def health(self, _: Request) -> Response:
        """Say whether jobs are taken."""
        is_closing = self.queue.is_closing
        said = {"status": "closing" if is_closing else "ok"}
        counts = {"waiting": self.queue.waiting, "running": self.queue.running}
        return JSONResponse({**said, **counts}, 503 if is_closing else 200)

    def _job(self, request: Request) -> Job:
        return self.service.find_job(request.path_params["id"])

    def _done(self, request: Request) -> Job:
        job = self._job(request)
        self._check_done(job)
        return job

    def _check_done(self, job: Job) -> None:
        if job.state == "failed":
            raise failed(job)
        if job.state != "done":
            raise Problem(
                409,
                "Not done",
                f"the job is {job.state}: ask again when its state is done",
                {"retry-after": "1"},
            )


async def _until_gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _json(request: Request) -> Any:
    """Read a short body of JSON."""
    length = request.headers.get("content-length", "")
    body = b""
    if not length.isdigit() or int(length) <= 65_536:
        async for chunk in request.stream():
            body += chunk
            if len(body) > 65_536:
                break
        else:
            with suppress(ValueError, RecursionError):
                return json.loads(body)
            raise Problem(400, "No JSON", "the body is no JSON: send an object")
    raise Problem(413, "Too large", "the body is too long: accepted are 64 kB")


async def _object(request: Request) -> dict[str, Any]:
    body = await _json(request)
    if not isinstance(body, dict):
        raise Problem(400, "No object", "the body is no JSON object: send one")
    return body


def _side(word: str, name: str) -> int:
    if not (word.isascii() and word.isdigit() and 0 < len(word) < 8 and int(word)):
        raise Problem(400, "Bad size", f"the {name} is {word!r}: accepted are whole pixels from 1")
    return int(word)


def _inline(path: Any, suffix: str) -> Response:
    return FileResponse(path, media_type=TYPES[suffix], content_disposition_type="inline")


def _describe_task(task: str) -> dict[str, Any]:
    named = models_of(task).items()
    return {"task": task, "models": [_describe(kind, name) for kind, name in named]}


def _describe(kind: str, name: str) -> dict[str, Any]:
    row = find_checkpoint(name)
    return {
        "model": kind,
        "checkpoint": row.name,
        "variant": row.model,
        "trained_on": row.trained_on,
        "licence": row.licence,
        "is_here": _is_here(name),
    }


def _is_here(name: str) -> bool:
    row = find_checkpoint(name)
    return row.packaged is not None or cached_path(row.name).exists()
