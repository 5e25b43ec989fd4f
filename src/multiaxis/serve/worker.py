"""What a process of the server does: it alone touches uploads, and a crash costs one job.

Two kinds: a reader looks at headers and makes views, without torch; a restorer restores.
"""

from __future__ import annotations

import os
import queue
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from multiaxis import batch
from multiaxis.batch import Header, Request, Watcher
from multiaxis.batch.lifeline import end_with_starter
from multiaxis.errors import ConfigError, MultiaxisError, WeightsUnavailableError, explain
from multiaxis.progress import Progress
from multiaxis.tasks.restore.verb import Restore

if TYPE_CHECKING:
    from multiaxis.tasks.restore.loaded import LoadedRestorers

_READER_MEMORY = 8 << 30  # bytes of address space: what a header or a view never needs
_STEP = 0.005  # of a picture, between two reports


@dataclass(frozen=True)
class Order:
    """One thing to do.

    Attributes
    ----------
    what : str
        ``"plan"``, ``"view"`` or ``"restore"``.
    input, output : str
        Paths.
    verb : Restore or None
        Not for views.
    """

    what: str
    input: str
    output: str
    verb: Restore | None = None


@dataclass(frozen=True)
class Report:
    """How far an order is.

    Attributes
    ----------
    stage : str
        ``"loading"`` or ``"restoring"``.
    done : float
        0 to 1.
    """

    stage: str
    done: float


@dataclass(frozen=True)
class Answer:
    """What became of an order.

    Attributes
    ----------
    error : str
        Why not, in a sentence; empty where it was done.
    kind : str
        ``"picture"``, ``"weights"`` or ``"unexpected"``: whose fault an error is.
    header : Header
    lost, remarks : tuple of str
    seconds : float
        Of the work, without loading.
    where : str
        On what it was done.
    loaded : tuple of str
        Tasks whose models are held.
    """

    error: str = ""
    kind: str = "picture"
    header: Header = field(default_factory=Header)
    lost: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    seconds: float = 0.0
    where: str = ""
    loaded: tuple[str, ...] = ()


@dataclass(frozen=True)
class Ready:
    """What a restorer says once, before its first order.

    Attributes
    ----------
    device : str
        The kind of device that holds its maps, such as ``"cpu"`` or ``"cuda"``.
    """

    device: str


@dataclass(frozen=True)
class Role:
    """What a process is for.

    Attributes
    ----------
    restores : bool
        Whether it restores; else it reads.
    threads : int
        For arithmetic; 0 leaves them to torch.
    models : int
        Held at once.
    index : int
        Its number among the workers: on a machine with several GPUs each takes the next one.
    device : str
        As the server was told, ``"auto"`` too.
    """

    restores: bool
    threads: int = 0
    models: int = 1
    index: int = 0
    device: str = "auto"


class JobCancelledError(KeyboardInterrupt):
    """The job in work was cancelled; as an interrupt it ends a batch cleanly."""


def work(line: Connection, pipe: Connection, role: Role) -> None:
    """Do orders from a pipe until it is closed; reports and answers go back."""
    end_with_starter(line)
    for number in (signal.SIGINT, signal.SIGTERM):  # sent to the whole group: the server decides
        signal.signal(number, signal.SIG_IGN)
    os.umask(0o077)
    if role.threads:
        os.environ["OMP_NUM_THREADS"] = str(role.threads)
    models = _ready(role, pipe)
    orders: queue.Queue[Order | None] = queue.Queue()
    stop = threading.Event()
    threading.Thread(target=_listen, args=(pipe, orders, stop), daemon=True).start()
    while (order := orders.get()) is not None:
        try:
            answer = _do(order, models, _Teller(pipe.send, stop))
        except JobCancelledError:
            answer = Answer("it was cancelled", "cancelled")
        except Exception as error:  # noqa: BLE001 (whatever it is, the others are served)
            answer = Answer(explain(error), _kind(error))
        stop.clear()
        with suppress(OSError):  # the server is gone
            pipe.send(answer)


def _ready(role: Role, pipe: Connection) -> LoadedRestorers | None:
    if not role.restores:
        _limit_memory()
        return None
    from multiaxis.devices import find_device, share_gpus
    from multiaxis.tasks.restore.loaded import LoadedRestorers

    share_gpus(role.index)
    with suppress(ConfigError, OSError):  # a device that is not there: each order says so
        pipe.send(Ready(find_device(role.device).type))
    return LoadedRestorers(role.models)


def _limit_memory() -> None:
    """Let a header that asks for absurd amounts fail here, and not the machine."""
    if sys.platform != "win32":
        import resource

        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_AS, (_READER_MEMORY, _READER_MEMORY))


def _listen(pipe: Connection, orders: queue.Queue[Order | None], stop: threading.Event) -> None:
    """Take orders while another is done; anything else than an order cancels that."""
    with suppress(EOFError, OSError):
        while True:
            received = pipe.recv()
            if isinstance(received, Order):
                orders.put(received)
            else:
                stop.set()
    orders.put(None)


class _Teller(Watcher):
    """Tells the server how far a batch of one file is, and hears from it whether to go on."""

    def __init__(self, send: Callable[[Any], None], stop: threading.Event) -> None:
        self._send, self._stop = send, stop
        self._last = Report("", 0.0)

    def on_loading(self, progress: Progress) -> None:
        """Tell how far weights are fetched."""
        self._tell("loading", progress.done / progress.total if progress.total else 0.0)

    def on_fraction(self, fraction: float) -> None:
        """Tell how much is restored."""
        self._tell("restoring", fraction)

    def _tell(self, stage: str, done: float) -> None:
        if self._stop.is_set():
            raise JobCancelledError
        if stage != self._last.stage or done - self._last.done >= _STEP:
            self._last = Report(stage, done)
            self._send(self._last)


def _do(order: Order, models: LoadedRestorers | None, teller: _Teller) -> Answer:
    if order.what == "view":
        return _view(order)
    if order.verb is None:
        raise ValueError("an order without a verb")
    request = Request([order.input], order.output, overwrite=True)
    if order.what == "plan" or models is None:
        return _plan(order.verb, request)
    restorer = models.get(order.verb.arguments, teller.on_loading)
    done = batch.run(replace(order.verb, loaded=restorer), request, teller)
    if done.plan.refused:
        return Answer(done.plan.refused[0][1])
    (result,) = done.results
    return Answer(
        result.error or "",
        header=result.header,
        lost=result.lost,
        remarks=result.remarks,
        seconds=result.seconds,
        where=done.where,
        loaded=tuple(models.tasks),
    )


def _plan(verb: Restore, request: Request) -> Answer:
    planned = batch.plan(verb, request)
    if planned.refused:
        return Answer(planned.refused[0][1])
    header = planned.jobs[0].header
    return Answer(header=header, remarks=header.remarks)


def _view(order: Order) -> Answer:
    """Make a picture that any browser shows."""
    from multiaxis.files.place import put
    from multiaxis.images import decode_picture, open_several, read_bytes
    from multiaxis.images.view import viewable

    data = read_bytes(Path(order.input))
    several = open_several(data, order.input)
    first = next(several.pictures())[0] if several else decode_picture(data, order.input)
    put(Path(order.output), viewable(first), overwrite=True)
    return Answer()


def _kind(error: Exception) -> str:
    if isinstance(error, WeightsUnavailableError):
        return "weights"
    return "picture" if isinstance(error, MultiaxisError) else "unexpected"
