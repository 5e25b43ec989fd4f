"""Figures for Prometheus, read from the service whenever they are asked for."""

from __future__ import annotations

import time
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from multiaxis.memory import process_memory
from multiaxis.serve.service import Service

_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """Counts requests on their way, and the service when it is asked.

    Parameters
    ----------
    service : Service
    """

    def __init__(self, service: Service) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "multiaxis_requests",
            "Requests that were answered.",
            ["method", "route", "status"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "multiaxis_request_seconds",
            "Time from a request to its whole answer.",
            ["route"],
            registry=self._registry,
        )
        self._registry.register(_OfService(service))

    def response(self) -> Response:
        """Answer with all figures."""
        return Response(generate_latest(self._registry), headers={"content-type": _TYPE})

    def counting(self, app: ASGIApp) -> ASGIApp:
        """Wrap an application so that its requests are counted."""

        async def counted(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                await app(scope, receive, send)
                return
            status, start = 0, time.monotonic()

            async def noted(message: Message) -> None:
                nonlocal status
                if message["type"] == "http.response.start":
                    status = message["status"]
                await send(message)

            try:
                await app(scope, receive, noted)
            finally:
                route = _route(scope)
                method = scope["method"] if scope["method"].isalpha() else "other"
                self._requests.labels(method, route, status).inc()
                self._seconds.labels(route).observe(time.monotonic() - start)

        return counted


def _route(scope: Scope) -> str:
    """Name the route, not the path: else every job would be a figure of its own."""
    route = scope.get("route")
    return getattr(route, "path", "none")


class _OfService(Collector):
    def __init__(self, service: Service) -> None:
        self._service = service

    def collect(self) -> Iterable[Metric]:
        service, queue = self._service, self._service.queue
        ended = CounterMetricFamily("multiaxis_jobs", "Jobs that ended.", labels=["state"])
        for state in ("done", "failed", "cancelled"):
            ended.add_metric([state], queue.counts[state])
        yield ended
        processes = {"worker": queue.workers, "reader": list(service.readers.values())}
        held = GaugeMetricFamily(
            "multiaxis_process_memory_bytes", "Memory of a process.", labels=["kind", "number"]
        )
        held.add_metric(["server", "0"], process_memory() or 0)
        deaths = CounterMetricFamily(
            "multiaxis_process_deaths", "Processes that died.", labels=["kind"]
        )
        for kind, found in processes.items():
            deaths.add_metric([kind], sum(process.deaths for process in found))
            for index, process in enumerate(found):
                if process.number is not None:
                    memory = process_memory(process.number) or 0
                    held.add_metric([kind, str(index)], memory)
        yield deaths
        yield held
        yield CounterMetricFamily(
            "multiaxis_received_bytes", "Bytes of pictures that arrived.", value=service.received
        )
        for name, text, value in (
            ("jobs_waiting", "Jobs that wait.", queue.waiting),
            ("jobs_running", "Jobs in work.", queue.running),
            ("uploads_arriving", "Uploads that arrive.", service.arriving),
            ("spool_bytes", "Bytes of the spool folder, at the last look.", service.used),
            ("models_loaded", "Tasks whose models are held.", sum(map(len, queue.loaded.values()))),
        ):
            yield GaugeMetricFamily(f"multiaxis_{name}", text, value=value)
