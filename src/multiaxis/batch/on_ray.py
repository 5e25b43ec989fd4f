"""The same jobs over the machines of a Ray cluster: only this file knows Ray."""

# pyright: reportMissingImports=false, reportMissingTypeStubs=false

from __future__ import annotations

import contextlib
import io
import logging
import os
import secrets
import signal
import socket
import threading
from collections import deque
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from multiaxis.batch.job import Job, Result
from multiaxis.batch.ledger import Note
from multiaxis.batch.verb import Runner, Verb
from multiaxis.batch.workers import ATTEMPTS, do_once, load_runner, worker_died
from multiaxis.errors import ConfigError, ImageError, MissingExtraError, counted, explain
from multiaxis.files.scratch import open_folder

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Cluster:
    """What a cluster has, as it is told to the user.

    Attributes
    ----------
    address : str
    machines, cores, gpus : int
    largest : int
        Cores of the largest machine.
    """

    address: str
    machines: int
    cores: int
    gpus: int
    largest: int

    def __str__(self) -> str:
        parts = [f"{counted(self.machines, 'machine')}, {counted(self.cores, 'core')}"]
        if self.gpus:
            parts.append(counted(self.gpus, "GPU"))
        return ", ".join(parts)


@dataclass(frozen=True)
class _Shared:
    """What every task gets: what to do, and what tells that the machines see the same."""

    verb: Verb
    note: Note | None
    threads: int
    files: dict[Path, Any]  # references to the content of local files, fetched once by each worker
    folder: str
    marker: Path | None
    version: str


def import_ray() -> Any:
    """Import Ray.

    Raises
    ------
    MissingExtraError
        If it is not installed.
    """
    # It counts its users unless told otherwise; a tool that restores pictures reports to nobody.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # else it prints a warning
    try:
        import ray
    except ImportError as error:
        raise MissingExtraError(
            "--engine ray needs the optional package ray: pip install 'multiaxis[ray]'"
        ) from error
    return ray


@contextmanager
def open_cluster() -> Generator[Cluster]:
    """Join the cluster of RAY_ADDRESS, or one that runs on this machine, or start one here.

    Raises
    ------
    ConfigError
        If the cluster does not answer, or cannot be started.
    """
    ray = import_ray()
    with contextlib.redirect_stdout(_Log()):  # Ray prints there that a worker died
        try:
            with _own_signals():  # Ray's handler would end the process without a word
                cluster = _describe(ray, _join(ray))
            yield cluster
        finally:
            ray.shutdown()


@contextmanager
def _own_signals() -> Generator[None]:
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)


def _join(ray: Any) -> Any:
    where = os.environ.get("RAY_ADDRESS")
    try:
        _knock(where or "")
        return ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())[:300]
        raise ConfigError(
            f"the Ray cluster at {where} does not answer: {reason}; check RAY_ADDRESS"
            if where
            else f"Ray does not start on this machine: {reason}; set RAY_ADDRESS to a cluster"
        ) from error


def _knock(address: str) -> None:
    """Ask whether anything is there at all: Ray itself tries for minutes, and prints meanwhile."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()


def do_jobs_on_ray(
    cluster: Cluster,
    verb: Verb,
    jobs: Sequence[Job],
    workers: int | None = None,
    note: Note | None = None,
) -> Generator[Result]:
    """Do jobs on the machines of a cluster, each task on its share of the cores.

    Parameters
    ----------
    cluster : Cluster
        From `open_cluster`.
    verb : Verb
        Its local files, such as weights, are sent along.
    jobs : sequence of Job
    workers : int, optional
        How many tasks are in flight at most; by default one for each core, or each GPU.
    note : Note, optional
        As in `do_jobs`.

    Yields
    ------
    Result
        In the order of finishing. What a worker that dies had in work is tried once more;
        everything else goes on.

    Raises
    ------
    ConfigError
        If the device is none that a cluster has.
    """
    ray = import_ray()
    slots, needs = _share(cluster, verb.device, len(jobs), workers)
    at_once = workers or 2 * slots  # the second half waits in the cluster, so that none is idle
    with _marker(jobs) as marker:
        shared = ray.put(
            _Shared(
                verb=verb,
                note=note,
                threads=needs["num_cpus"],
                files={path: ray.put(path.read_bytes()) for path in verb.local_files()},
                folder=str(Path.cwd()),
                marker=marker,
                version=version("multiaxis"),
            )
        )
        task = ray.remote(max_retries=0, **needs)(_do)
        yield from _run(ray, task, shared, jobs, at_once)


def _run(ray: Any, task: Any, shared: Any, jobs: Sequence[Job], at_once: int) -> Generator[Result]:
    waiting = deque((job, 1) for job in jobs)
    running: dict[Any, tuple[Job, int]] = {}
    # Nothing is cancelled at a stop: leaving the cluster ends this run's workers, and cancelling
    # while results arrive can make Ray abort ("Tried to complete task that was not pending").
    while waiting or running:
        while waiting and len(running) < at_once:
            job, attempt = waiting.popleft()
            running[task.remote(shared, job, attempt)] = job, attempt
        done, _ = ray.wait(list(running), timeout=1.0)
        for reference in done:
            job, attempt = running.pop(reference)
            result = _result(ray, reference, job, last=attempt == ATTEMPTS)
            if result is None:
                waiting.appendleft((job, attempt + 1))
            else:
                yield result


def _result(ray: Any, reference: Any, job: Job, *, last: bool) -> Result | None:
    """Give what became of a job; None where its worker died and it may be tried once more."""
    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        reason = explain(error.cause) if isinstance(error.cause, Exception) else str(error)
        return Result(job, 0.0, f"{job.input}: {reason}")
    except ray.exceptions.RayError as error:
        _log.debug("the worker of %s died", job.input, exc_info=True)
        if not last:
            return None
        memory = isinstance(error, ray.exceptions.OutOfMemoryError)
        why = " from lack of memory; lower --workers" if memory else ""
        return worker_died(job, why)


def _share(
    cluster: Cluster, device: str, jobs: int, workers: int | None
) -> tuple[int, dict[str, int]]:
    """Give how many tasks fit at once, and what each asks the cluster for."""
    if device.startswith("cuda:"):
        raise ConfigError(
            f"the device is {device}: on a cluster, Ray assigns the GPUs; pass --device cuda"
        )
    if device == "cuda" and not cluster.gpus:
        raise ConfigError("the device is cuda, and the Ray cluster has no GPU: pass --device cpu")
    if cluster.cores < 1:
        raise ConfigError(
            "the Ray cluster offers no processor cores, and every task needs one: start its "
            "machines with --num-cpus"
        )
    on_gpus = device == "cuda" or (device == "auto" and cluster.gpus > 0)
    most = cluster.gpus if on_gpus else max(1, cluster.cores)
    slots = max(1, min(workers or most, most, jobs))
    cores = max(1, min(cluster.cores // slots, cluster.largest))
    if on_gpus:
        return slots, {"num_cpus": 1, "num_gpus": 1}
    return slots, {"num_cpus": cores}


def _describe(ray: Any, context: Any) -> Cluster:
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    has = ray.cluster_resources()
    return Cluster(
        address=str(getattr(context, "address_info", {}).get("address", "")),
        machines=len(nodes),
        cores=int(has.get("CPU", 0)),
        gpus=int(has.get("GPU", 0)),
        largest=int(max((node.get("CPU", 0) for node in nodes), default=1)),
    )


@contextmanager
def _marker(jobs: Sequence[Job]) -> Generator[Path | None]:
    """Put a file where local outputs go: a machine that does not see it has another folder."""
    outputs = [job.output for job in jobs if isinstance(job.output, Path)]
    if not outputs:
        yield None
        return
    parents = outputs[0].absolute().parents
    folder = next(parent for parent in parents if parent.exists())
    marker = folder / f".{secrets.token_hex(8)}.marker"
    try:
        marker.touch()
    except OSError as error:
        raise ImageError(
            f"the folder {folder} cannot be written to: {error.strerror}; choose another with -o"
        ) from error
    try:
        yield marker
    finally:
        marker.unlink(missing_ok=True)


class _Log(io.TextIOBase):
    def write(self, text: str, /) -> int:
        if text.strip():
            _log.debug("%s", text.strip())
        return len(text)


# What runs on the cluster

_runner: Runner[Any] | None = None


def _do(shared: _Shared, job: Job, attempt: int) -> Result:
    global _runner  # noqa: PLW0603 (one for each process, and a process serves one run)
    if _runner is None:
        _runner = _start(shared)
    return do_once(shared.verb, _runner, shared.note, job, attempt)


def _start(shared: _Shared) -> Runner[Any]:
    machine = socket.gethostname()
    if version("multiaxis") != shared.version:
        raise ConfigError(
            f"{machine} has multiaxis {version('multiaxis')}, and {shared.version} runs the "
            "batch: install the same on every machine"
        )
    if shared.marker is not None and not shared.marker.exists():
        raise ConfigError(
            f"{machine} does not see the folder {shared.marker.parent}: outputs of many machines "
            "go to a folder that all of them share, or to an address such as s3://bucket/out"
        )
    with contextlib.suppress(OSError):
        os.chdir(shared.folder)  # for relative paths
    if not shared.files:
        return load_runner(shared.verb, shared.threads)
    with open_folder() as folder:
        places: dict[Path, Path] = {}
        for number, (path, content) in enumerate(shared.files.items()):
            places[path] = folder / f"{number}" / path.name
            places[path].parent.mkdir()
            places[path].write_bytes(import_ray().get(content))
        return load_runner(shared.verb.with_files(places), shared.threads)
