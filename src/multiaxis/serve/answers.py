"""What goes out: jobs and pictures as JSON, and problems (RFC 9457) with a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from starlette.responses import FileResponse, JSONResponse, Response

from multiaxis.errors import MultiaxisError, WeightsUnavailableError
from multiaxis.serve.job import TYPES, Job, Upload
from multiaxis.serve.queue import Queue


@dataclass
class Problem(Exception):  # noqa: N818 (what the format calls it)
    """A request that is not answered as asked.

    Attributes
    ----------
    status : int
    title : str
        The kind of problem.
    detail : str
        This one, in the sentence that the command gives.
    headers : mapping of str to str
    """

    status: int
    title: str
    detail: str
    headers: Mapping[str, str] = field(default_factory=dict[str, str])

    def response(self) -> Response:
        """Answer with it."""
        body = {
            "type": "about:blank",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
        }
        kind = "application/problem+json"
        return JSONResponse(body, self.status, headers=dict(self.headers), media_type=kind)


def problem_of(error: MultiaxisError) -> Problem:
    """Give the problem for an error of the package."""
    if isinstance(error, WeightsUnavailableError):
        return Problem(503, "Weights unavailable", str(error))
    return Problem(400, "Bad option", str(error))


def failed(job: Job) -> Problem:
    """Give the problem for a job that failed."""
    status, title = {
        "weights": (503, "Weights unavailable"),
        "unexpected": (500, "Job failed"),
    }.get(job.error_kind, (422, "Picture refused"))
    return Problem(status, title, job.error, {"location": f"/v1/jobs/{job.id}"})


def describe_upload(upload: Upload) -> dict[str, Any]:
    """Say what is known of a picture that was sent alone."""
    facts = describe_picture(upload)
    return {"id": upload.id, **facts, "view": f"/v1/pictures/{upload.id}/view"}


def describe_picture(upload: Upload) -> dict[str, Any]:
    """Say what is known of a picture, whoever holds it."""
    return {
        "name": upload.name,
        "bytes": upload.bytes,
        "width": upload.width,
        "height": upload.height,
        "megapixels": upload.megapixels,
        "notes": upload.notes,
    }


def describe_job(job: Job, queue: Queue) -> dict[str, Any]:
    """Say what is known of a job."""
    result = f"/v1/jobs/{job.id}/result" if job.state == "done" else None
    return {
        "id": job.id,
        "state": job.state,
        "stage": job.stage if job.state == "running" else "",
        "progress": round(job.progress, 4) if job.stage == "restoring" or job.is_over else 0.0,
        "loading": round(job.progress, 4) if job.stage == "loading" else None,
        "position": queue.position(job),
        "picture": describe_picture(job.upload),
        "options": dict(job.words),
        "error": job.error or None,
        "notes": [*job.notes, *_losses(job)],
        "estimate": {
            "seconds": queue.estimate(job),
            "memory": job.memory,
            "megapixels": job.megapixels,
        },
        "seconds": round(job.seconds, 3) if job.state == "done" else None,
        "where": job.where or None,
        "created": _time(job.created),
        "started": _time(job.started),
        "finished": _time(job.finished),
        "name": job.output_name,
        "bytes": job.bytes or None,
        "result": result,
        "before": f"/v1/jobs/{job.id}/before",
        "after": f"/v1/jobs/{job.id}/after" if result else None,
        "events": f"/v1/jobs/{job.id}/events",
    }


def send_result(job: Job, queue: Queue) -> Response:
    """Send the file of a job that is done."""
    path = queue.spool.output(job)
    headers = {
        "content-disposition": f"attachment; filename*=UTF-8''{quote(job.output_name)}",
        "location": f"/v1/jobs/{job.id}",
    }
    kind = TYPES.get(job.output_suffix.lower(), "application/octet-stream")
    return FileResponse(path, media_type=kind, headers=headers)


def _losses(job: Job) -> list[str]:
    if not job.lost:
        return []
    return [f"{job.output_suffix} cannot hold the {', '.join(job.lost)}"]


def _time(seconds: float) -> str | None:
    return (
        datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds") if seconds else None
    )
