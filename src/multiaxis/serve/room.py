"""Whether a job's memory fits: now, later, or never."""

from __future__ import annotations

import os

from multiaxis.memory import free_memory, process_memory
from multiaxis.serve.process import Process
from multiaxis.serve.settings import Settings

BASE = 750 << 20
"""Bytes of a worker with its models, before a picture: 590 MiB with the small one, 690 with a large
one were measured."""


class Room:
    """The memory that jobs share.

    Parameters
    ----------
    settings : Settings
    workers : list of Process
    """

    def __init__(self, settings: Settings, workers: list[Process]) -> None:
        self._share = settings.memory_of_worker
        self._workers = workers
        self.reserved: dict[Process, int] = {}

    @property
    def threads(self) -> int:
        """Threads of each worker."""
        return max(1, (os.cpu_count() or 1) // len(self._workers))

    @property
    def holds_maps(self) -> bool:
        """Whether maps lie in the memory that is shared here, not in one of a GPU's own."""
        return any(worker.device != "cuda" for worker in self._workers)

    def never(self, needed: int, megapixels: float) -> str:
        """Say why a job can never be done here; empty if it can."""
        room = self._share - BASE if self._share is not None else self._left(held_too=True)
        if room is None or needed <= room:
            return ""
        limit = "are allowed to each worker" if self._share is not None else "are free"
        total = self._share if self._share is not None else room
        extra = BASE if self._share is not None else 0
        return (
            f"restoring {megapixels:.1f} padded megapixels whole takes about "
            f"{(needed + extra) / 1e9:.1f} GB of memory, and {max(total, 0) / 1e9:.1f} GB {limit}: "
            "use a smaller picture, or give the server more with --memory"
        )

    def fits_now(self, needed: int) -> bool:
        """Tell whether a job can start beside those that run."""
        if self._share is not None:
            return True  # each worker has a share of its own
        left = self._left(held_too=False)
        return left is None or needed <= left

    def _left(self, *, held_too: bool) -> int | None:
        """Return the bytes that are free, less what running jobs will still take.

        Parameters
        ----------
        held_too : bool
            Count what running jobs hold and will take as free: it will be, once they end.
        """
        free = free_memory()
        if free is None:
            return None
        for worker, reserved in self.reserved.items():
            held = max((process_memory(worker.number) or 0) - BASE, 0) if worker.number else 0
            free += held if held_too else -max(reserved - held, 0)
        return free
