"""The passes of a process, from some position on, with workers that prepare them."""

from __future__ import annotations

import os
import warnings
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from multiaxis.data.batch import Batch, collate
from multiaxis.data.numbered import NumberedSamples
from multiaxis.data.source import Reader, Source, Stream
from multiaxis.errors import MultiaxisError


@dataclass(frozen=True)
class Share:
    """What part of the samples a process sees.

    Attributes
    ----------
    batch : int
        Samples of a pass.
    process, processes : int
    workers : int
        Processes that prepare samples; 0 prepares them in the caller's own.
    pinned : bool
        Whether batches lie in memory that a GPU reads while it calculates.
    """

    batch: int
    process: int = 0
    processes: int = 1
    workers: int = 0
    pinned: bool = False

    def numbers(self, position: int) -> range:
        """Give the numbers of the samples of a pass."""
        start = (position * self.processes + self.process) * self.batch
        return range(start, start + self.batch)


class _StreamBatches(IterableDataset[Batch]):
    """The batches of one process, from some position on; position b is worker b % workers' own."""

    def __init__(self, stream: Stream, seed: int, share: Share, first: int) -> None:
        self.stream, self.seed, self.share, self.first = stream, seed, share, first

    def __iter__(self) -> Iterator[Batch]:
        """Give this worker's batches, for ever."""
        info, share = get_worker_info(), self.share
        workers, worker = (info.num_workers, info.id) if info else (1, 0)
        done, role = divmod(self.first + worker, workers)
        reader = Reader(share.process, share.processes, role, workers)
        batches = self.stream.batches(self.seed, share.batch, reader, first=done)
        for count, batch in enumerate(batches, start=done):
            numbers = share.numbers(count * workers + role)
            yield replace(batch, numbers=torch.tensor(numbers))


def passes(
    source: Source | Stream, seed: int, share: Share, *, first: int, end: int
) -> Iterator[Batch]:
    """Give the batches of the passes from `first` to before `end`.

    Pass k of process p holds the samples (k * processes + p) * batch + i, so that two processes see
    together what one with twice the batch sees. Streams are divided among the processes instead.
    """
    # A loader draws a seed: from a generator of its own, so that the training's is not shifted.
    common: dict[str, Any] = {
        "num_workers": share.workers,
        "pin_memory": share.pinned,
        "generator": torch.Generator(),
        "worker_init_fn": _leave_group,
        # A forked worker waits for ever for libvips' threads where the caller has read a picture.
        "multiprocessing_context": "spawn" if share.workers else None,
    }
    # The recipe says how many workers; a smaller machine is slower, and needs no remark on it.
    warnings.filterwarnings("ignore", "This DataLoader will create", UserWarning)
    if isinstance(source, Stream):
        loader = DataLoader(_StreamBatches(source, seed, share, first), batch_size=None, **common)
        with _in_one_sentence():
            for _, batch in zip(range(first, end), loader, strict=False):
                yield batch
        return
    samples = NumberedSamples(source, seed)
    numbers = (list(share.numbers(k)) for k in range(first, end))
    collated = partial(collate, ragged=source.ragged)
    loader = DataLoader(samples, batch_sampler=numbers, collate_fn=collated, **common)  # pyright: ignore[reportArgumentType]
    with _in_one_sentence():
        yield from loader


def _leave_group(_: int) -> None:
    """Keep signals to the process group from a worker: launchers send SIGTERM to the whole group.

    The training's own process finishes the step and saves; a worker that died would spoil that.
    """
    if hasattr(os, "setpgid"):
        os.setpgid(0, 0)


@contextmanager
def _in_one_sentence() -> Generator[None]:
    """Take the traceback away that torch puts around an error from a worker."""
    try:
        yield
    except MultiaxisError as error:
        kind = type(error)
        raise kind(str(error).rpartition(f".{kind.__name__}: ")[2].strip()) from error
