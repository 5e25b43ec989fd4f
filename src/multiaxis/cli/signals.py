"""Signals that ask a command to end: each becomes a KeyboardInterrupt, so that there is one end."""

from __future__ import annotations

import _thread
import os
import signal
import sys
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

# SIGHUP: the terminal is gone. Windows does not have it.
_NUMBERS = [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]
_ECHO = 1.0  # seconds in which a second signal is the first one again, sent to the group as well


@dataclass
class FirstSignal:
    """The first signal that came.

    Attributes
    ----------
    number : int
        SIGINT until one comes.
    """

    number: int = signal.SIGINT
    _since: float | None = None

    @property
    def exit_code(self) -> int:
        """As shells know it."""
        return 128 + self.number

    def __call__(self, number: int, _: FrameType | None) -> None:
        """Handle a signal: the first interrupts, and a second one ends at once."""
        now = time.monotonic()
        if self._since is None:
            self.number, self._since = number, now
            raise KeyboardInterrupt
        if now - self._since > _ECHO:
            os._exit(self.exit_code)

    def is_swallowed(self, failure: UnraisableHookArgs) -> bool:
        """Interrupt once more where the first time was inside a callback of C, which goes on."""
        if self._since is None or not issubclass(failure.exc_type, KeyboardInterrupt):
            return False
        self._since = None
        # Not from here: that would be swallowed like the first.
        again = threading.Timer(0.02, _interrupt, (self.number,))
        again.daemon = True
        again.start()
        return True


def _interrupt(number: int) -> None:
    if sys.platform == "win32":
        _thread.interrupt_main(number)
    else:  # this wakes a main thread that waits, too
        signal.pthread_kill(threading.main_thread().ident or 0, number)


@contextmanager
def interruptible() -> Generator[FirstSignal]:
    """Turn SIGINT, SIGTERM and SIGHUP into a KeyboardInterrupt of the main thread.

    What is ignored stays ignored (nohup, jobs in the background), and what somebody else handles
    stays theirs.
    """
    first = FirstSignal()
    mine = (signal.SIG_DFL, signal.default_int_handler)
    before = {number: signal.getsignal(number) for number in _NUMBERS}
    free = {number: handler for number, handler in before.items() if handler in mine}
    if threading.current_thread() is not threading.main_thread():
        free.clear()  # signals are its business
    show = sys.unraisablehook

    def hook(failure: UnraisableHookArgs) -> None:
        if not first.is_swallowed(failure):
            show(failure)

    for number in free:
        signal.signal(number, first)
    sys.unraisablehook = hook
    try:
        yield first
    finally:
        sys.unraisablehook = show
        for number, handler in free.items():
            signal.signal(number, handler)


def leave(code: int) -> NoReturn:
    """Exit; at once where threads are still busy with what nobody waits for any more."""
    rest = [thread for thread in threading.enumerate() if not thread.daemon]
    if rest != [threading.main_thread()]:
        os._exit(code)
    sys.exit(code)
