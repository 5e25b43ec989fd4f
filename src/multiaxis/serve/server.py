"""Running the application: a socket, uvicorn, and an end in good order."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
import socket
import threading
from collections.abc import Callable, Generator
from types import FrameType
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from multiaxis.errors import ConfigError
from multiaxis.serve.app import make_app
from multiaxis.serve.service import Service
from multiaxis.serve.settings import Settings
from multiaxis.serve.spool import Spool

_PATIENCE = 15.0  # seconds for the head of a request, and for a client that does not read
_CONNECTIONS = 512
_CLOSING = 8  # seconds that answers in progress have when the server ends

OnReady = Callable[[str], None]


def serve(settings: Settings, on_ready: OnReady) -> None:
    """Serve until SIGINT or SIGTERM; jobs in work finish soon or wait for the next server.

    Parameters
    ----------
    settings : Settings
    on_ready : callable
        Receives the address of the page, once it answers.

    Raises
    ------
    ConfigError
        If the address or the spool folder cannot be used.
    """
    os.umask(0o077)  # pictures are their owner's
    with Spool(settings.spool) as spool, listening(settings) as sock:
        host, port = sock.getsockname()[:2]
        address = _address(settings, host, port)
        asyncio.run(_serve(settings, spool, sock, lambda: on_ready(address)))


@contextlib.contextmanager
def listening(settings: Settings) -> Generator[socket.socket]:
    """Open the socket, before anything is loaded.

    Raises
    ------
    ConfigError
        If the host or the port cannot be had.
    """
    host, port = settings.host, settings.port
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise ConfigError(
            f"there is no host {host!r} here: accepted is an address of this machine, such as "
            "127.0.0.1"
        ) from error
    family, kind, protocol, _, address = found[0]
    with socket.socket(family, kind, protocol) as sock:
        if os.name == "posix":  # a port of a server that has just ended is free
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(address)
            sock.listen(1024)
        except OSError as error:
            raise ConfigError(_refusal(error, host, port)) from error
        sock.settimeout(0)
        yield sock


def _refusal(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"port {port} of {host} is in use, perhaps by another multiaxis serve: open "
            f"http://{host}:{port}, or pass another --port (0 takes a free one)"
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{host} is no address of this machine: pass one of its own, such as 127.0.0.1"
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"port {port} is not for this user: pass a --port from 1024 on"
    return f"cannot listen on {host}, port {port}: {error.strerror}; pass another --port"


def _address(settings: Settings, host: str, port: int) -> str:
    """Give the address of the page; the token lies where browsers send it nowhere."""
    if host in ("0.0.0.0", "::"):  # noqa: S104 (any address of this machine: name the machine)
        host = socket.gethostname()
    shown = f"[{host}]" if ":" in host else host
    token = f"#token={settings.token}" if settings.token else ""
    return f"http://{shown}:{port}/{token}"


async def _serve(
    settings: Settings, spool: Spool, sock: socket.socket, on_ready: Callable[[], None]
) -> None:
    service = Service(settings, spool)
    config = uvicorn.Config(
        make_app(service),
        http=PatientProtocol,
        ws="none",
        lifespan="on",
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=_CONNECTIONS,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=_CLOSING,
        h11_max_incomplete_event_size=32_768,
    )
    server = _Server(config, on_ready, service.queue.announce_end)
    await server.serve(sockets=[sock])


class _Server(uvicorn.Server):
    """Says when it answers, and ends on a signal as on any other reason."""

    def __init__(
        self, config: uvicorn.Config, on_ready: Callable[[], None], on_end: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._on_ready, self._on_end = on_ready, on_end

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say so."""
        await super().startup(sockets)
        if self.started:
            self._on_ready()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """End in good order on the first signal, at once on the second one."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        loop = asyncio.get_running_loop()

        def handle(number: int, _: FrameType | None) -> None:
            if self.should_exit:
                os._exit(128 + number)
            self.should_exit = True
            loop.call_soon_threadsafe(self._on_end)

        numbers = [signal.SIGINT, signal.SIGTERM]
        numbers += [signal.SIGHUP] if hasattr(signal, "SIGHUP") else []
        before = {number: signal.getsignal(number) for number in numbers}
        for number, handler in before.items():
            if handler is not signal.SIG_IGN:  # nohup
                signal.signal(number, handle)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


class PatientProtocol(H11Protocol):
    """HTTP with an end of patience: for heads that do not come, and answers that nobody reads."""

    cycle: Any  # None before the first request
    _head: asyncio.TimerHandle | None = None
    _reader: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Expect the head of a request soon."""
        super().connection_made(transport)
        self._expect_head()

    def data_received(self, data: bytes) -> None:
        """Take bytes; once a request has begun, its body has patience of its own."""
        if self._head is None and (self.cycle is None or self.cycle.response_complete):
            self._expect_head()
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._head = _stop(self._head)

    def on_response_complete(self) -> None:
        """Wait for the next request, which keep-alive limits."""
        self._head = _stop(self._head)
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget what was expected."""
        self._head, self._reader = _stop(self._head), _stop(self._reader)
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Give a client that reads more slowly than is written some time to go on."""
        super().pause_writing()
        self._reader = _stop(self._reader) or self.loop.call_later(_PATIENCE, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on with a client that has read."""
        self._reader = _stop(self._reader)
        super().resume_writing()

    def _expect_head(self) -> None:
        self._head = self.loop.call_later(_PATIENCE, self.transport.abort)


def _stop(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()
