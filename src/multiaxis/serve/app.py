"""The application: routes, page and documents behind the guard."""

from __future__ import annotations

import errno
import json
import logging
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from html import escape
from importlib import resources

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from multiaxis.errors import MultiaxisError
from multiaxis.serve.answers import Problem, problem_of
from multiaxis.serve.guard import Guard
from multiaxis.serve.metrics import Metrics
from multiaxis.serve.openapi import document, page
from multiaxis.serve.routes import Routes
from multiaxis.serve.service import Service

_log = logging.getLogger(__name__)
_TITLES = {404: "No such page", 405: "Wrong method"}


def make_app(service: Service) -> ASGIApp:
    """Make the application of a service, with everything that guards it."""
    metrics = Metrics(service)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None]:
        async with service.running():
            yield

    async def show_metrics(_: Request) -> Response:
        return metrics.response()

    async def show_openapi(_: Request) -> Response:
        return JSONResponse(document())

    async def show_docs(_: Request) -> Response:
        return HTMLResponse(page())

    routes = [
        *Routes(service).all(),
        *_assets(),
        Route("/metrics", show_metrics, methods=["GET"]),
        Route("/openapi.json", show_openapi, methods=["GET"]),
        Route("/docs", show_docs, methods=["GET"]),
    ]
    app = Starlette(
        routes=routes,
        lifespan=lifespan,
        exception_handlers={
            Problem: _answer,
            MultiaxisError: _answer,
            HTTPException: _answer,
            ClientDisconnect: _answer,
            OSError: _answer,
            Exception: _answer,
        },
    )
    return Guard(metrics.counting(app), service.settings)


async def _answer(_: Request, error: Exception) -> Response:
    """Turn an exception into a problem; what is nobody's fault says nothing of the inside."""
    if isinstance(error, Problem):
        return error.response()
    if isinstance(error, MultiaxisError):
        return problem_of(error).response()
    if isinstance(error, HTTPException):
        title = _TITLES.get(error.status_code, "Not answered")
        said = f"{error.detail}: /docs lists what there is"
        return Problem(error.status_code, title, said, error.headers or {}).response()
    if isinstance(error, ClientDisconnect):
        return Response(status_code=400)  # nobody reads it
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        said = "the disk of the server's folder is full: free some space, or choose another --spool"
        return Problem(507, "Disk full", said, {"retry-after": "30"}).response()
    _log.error("a request failed", exc_info=error)
    return Problem(
        500, "Unexpected", f"unexpected {type(error).__name__}: the server's log has more"
    ).response()


def _assets() -> list[Route]:
    """Read the page once; its words come from one file."""
    folder = resources.files("multiaxis.serve").joinpath("page")
    words = json.loads(folder.joinpath("words.json").read_text("utf-8"))
    html = re.sub(
        r"\{\{(\w+)\}\}",
        lambda found: escape(words[found[1]]),
        folder.joinpath("index.html").read_text("utf-8"),
    )
    contents = {
        "/": (html, "text/html"),
        "/page.css": (folder.joinpath("page.css").read_text("utf-8"), "text/css"),
        "/page.js": (folder.joinpath("page.js").read_text("utf-8"), "text/javascript"),
        "/words.json": (json.dumps(words), "application/json"),
    }

    def route(path: str, text: str, kind: str) -> Route:
        async def show(_: Request) -> Response:
            return Response(text, media_type=kind, headers={"cache-control": "no-cache"})

        return Route(path, show, methods=["GET"])

    return [route(path, *content) for path, content in contents.items()]
