"""Who may ask: host, origin and token are checked before anything else is read."""

from __future__ import annotations

import hmac
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from multiaxis.serve.answers import Problem
from multiaxis.serve.settings import Settings

_LOCAL = ("localhost", "127.0.0.1", "::1")
_OPEN = ("/", "/page.css", "/page.js", "/words.json", "/docs", "/openapi.json", "/health")
"""What needs no token: the page and the documents, which hold nothing, and whether it lives."""

HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' blob: data:; connect-src 'self'; form-action 'none'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
    "cache-control": "no-store",
}
"""Of every answer."""


class Guard:
    """Refuses what does not come from where it should, and adds `HEADERS` to every answer.

    Parameters
    ----------
    app : ASGI application
    settings : Settings
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app, self.settings = app, settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check a request, or pass on what is none."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        problem = self._problem(scope["path"], Headers(scope=scope))
        await (problem.response() if problem else self.app)(scope, receive, send_guarded)

    def _problem(self, path: str, headers: Headers) -> Problem | None:
        host = headers.get("host", "")
        if self.settings.is_local and _name_of(host) not in _LOCAL:
            return Problem(
                421,
                "Wrong host",
                f"the host of the request is {host[:100]!r}: this server answers to localhost, "
                "127.0.0.1 and [::1] only",
            )
        origin = headers.get("origin")
        if origin is not None and (not host or _host_in(origin) != host.lower()):
            return Problem(
                403,
                "Wrong origin",
                f"the request comes from a page of {origin[:100]!r}: only this server's own page "
                "may ask",
            )
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin") and path != "/":
            return Problem(
                403, "Wrong origin", "the request comes from another site: open the page itself"
            )
        if path in _OPEN or self._has_token(headers):
            return None
        return Problem(
            401,
            "No token",
            "the request brings no valid token: send the header 'Authorization: Bearer TOKEN', "
            "or open the page by the address that the server printed",
            {"www-authenticate": "Bearer"},
        )

    def _has_token(self, headers: Headers) -> bool:
        wanted = self.settings.token
        if wanted is None:
            return True
        kind, _, given = headers.get("authorization", "").partition(" ")
        is_same = hmac.compare_digest(given.strip().encode(), wanted.encode())
        return kind.lower() == "bearer" and is_same


def _host_in(origin: str) -> str:
    """Give host and port of an origin."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


def _name_of(host: str) -> str:
    """Give a host without its port."""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""
