"""Processes that end when the one that started them does, however it ends.

The starter holds one end of a pipe, each process that it starts the other. The system closes the
first end with its process: nothing has to be asked, and nothing depends on the kind of system.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnContext


class Lifeline:
    """A pipe that ends the processes which hold its other end.

    Attributes
    ----------
    end : Connection
        Goes to each process as an argument, for `end_with_starter`.
    """

    def __init__(self, context: SpawnContext) -> None:
        self.end, self._held = context.Pipe(duplex=False)

    def cut(self) -> None:
        """End the processes, in the middle of whatever they do."""
        self._held.close()
        self.end.close()


def end_with_starter(line: Connection) -> None:
    """End this process, in the middle of whatever it does, when its starter is gone."""

    def wait() -> None:
        with suppress(EOFError, OSError):
            line.recv_bytes()
        os._exit(1)

    threading.Thread(target=wait, name="lifeline", daemon=True).start()
