"""A process of the server, seen from the server: asked, cancelled, and started again if it dies."""

from __future__ import annotations

import asyncio
import multiprocessing
import threading
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

from multiaxis.batch.lifeline import Lifeline
from multiaxis.batch.workers import interrupts_held
from multiaxis.serve.worker import Answer, Order, Ready, Report, Role, work

OnReport = Callable[[Report], None]


class WorkerDiedError(Exception):
    """The process ended in the middle of an order."""


class Process:
    """One process. It does one order at a time; those who ask meanwhile wait.

    Parameters
    ----------
    role : Role

    Attributes
    ----------
    deaths : int
        How often it died in the middle of an order.
    device : str
        The kind of device that holds its maps, once it has said so; ``"cpu"`` before.
    """

    def __init__(self, role: Role) -> None:
        self.role, self.deaths, self.device = role, 0, "cpu"
        self._context = multiprocessing.get_context("spawn")
        self._turn = asyncio.Lock()
        self._is_condemned = False
        self._child: Any = None
        self._pipe: Connection | None = None
        self._lifeline: Lifeline | None = None
        self._answer: asyncio.Future[Answer] | None = None
        self._on_report: OnReport | None = None

    @property
    def number(self) -> int | None:
        """The system's number of the process, while there is one."""
        return self._child.pid if self._child is not None and self._child.is_alive() else None

    def start(self) -> None:
        """Start the process, unless it runs."""
        if self.number is not None and not self._is_condemned:
            return
        self.stop()
        self._is_condemned = False
        self._lifeline = Lifeline(self._context)
        self._pipe, theirs = self._context.Pipe()
        arguments = (self._lifeline.end, theirs, self.role)
        self._child = self._context.Process(target=work, args=arguments, daemon=True)
        with interrupts_held():
            self._child.start()
        theirs.close()
        loop = asyncio.get_running_loop()
        threading.Thread(target=self._hear, args=(self._pipe, loop), daemon=True).start()

    async def ask(
        self, order: Order, on_report: OnReport | None = None, *, patience: float | None = None
    ) -> Answer:
        """Have an order done.

        Parameters
        ----------
        order : Order
        on_report : callable, optional
            Hears how far it is.
        patience : float, optional
            Seconds after which the process is killed.

        Raises
        ------
        WorkerDiedError
            If the process ended before it answered.
        """
        async with self._turn:
            self.start()
            assert self._pipe is not None  # noqa: S101 (it runs)
            self._answer = asyncio.get_running_loop().create_future()
            self._on_report = on_report
            try:
                self._pipe.send(order)
                return await asyncio.wait_for(self._answer, patience)
            except TimeoutError:
                self.kill()
                raise
            except (OSError, WorkerDiedError) as error:
                self.deaths += 1
                raise WorkerDiedError from error
            except asyncio.CancelledError:  # nobody waits any more: what it does is of no use
                self.kill()
                raise
            finally:
                self._answer = self._on_report = None

    def cancel(self) -> None:
        """Ask the process to give up the order in work."""
        if self._pipe is not None:
            with suppress(OSError):
                self._pipe.send("cancel")

    def kill(self) -> None:
        """End the process, in the middle of whatever it does."""
        if self._child is not None:
            self._is_condemned = True  # it may seem alive for a moment
            self._child.kill()

    def stop(self) -> None:
        """End the process and let go of what belongs to it."""
        if self._child is None:
            return
        self._child.kill()
        self._child.join()
        self._child.close()
        if self._pipe is not None:
            self._pipe.close()
        if self._lifeline is not None:
            self._lifeline.cut()
        self._child = self._pipe = self._lifeline = None

    def _hear(self, pipe: Connection, loop: asyncio.AbstractEventLoop) -> None:
        """Pass on what the process says, from a thread of its own, until it ends."""
        with suppress(RuntimeError):  # the loop is closed
            try:
                while True:
                    loop.call_soon_threadsafe(self._take, pipe, pipe.recv())
            except Exception:  # noqa: BLE001 (its end, or bytes that say nothing: it is of no use)
                loop.call_soon_threadsafe(self._take, pipe, None)

    def _take(self, pipe: Connection, said: Ready | Report | Answer | None) -> None:
        if pipe is not self._pipe:  # of a process that has been replaced
            return
        if isinstance(said, Ready):
            self.device = said.device
        elif isinstance(said, Report):
            if self._on_report is not None:
                self._on_report(said)
        elif self._answer is not None and not self._answer.done():
            if said is None:
                self._answer.set_exception(WorkerDiedError())
            else:
                self._answer.set_result(said)
