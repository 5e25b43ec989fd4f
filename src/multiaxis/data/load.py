"""The passes of a process, from some position on, with workers that prepare them."""

from __future__ import annotations

import os
import warnings
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.data import DataLoader

from multiaxis.data.shards import ShardBatches, Shards
from multiaxis.data.source import NumberedSamples, Sample, Source, collate
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
    """

    batch: int
    process: int = 0
    processes: int = 1
    workers: int = 0


def passes(
    source: Source | Shards, seed: int, share: Share, *, first: int, end: int
) -> Iterator[Sample]:
    """Give the batches of the passes from `first` to before `end`.

    Pass k of process p holds the samples (k * processes + p) * batch + i, so that two processes see
    together what one with twice the batch sees. Shards are divided among the processes instead.
    """
    # A loader draws a seed: from a generator of its own, so that the training's is not shifted.
    common: dict[str, Any] = {
        "num_workers": share.workers,
        "generator": torch.Generator(),
        "worker_init_fn": _leave_group,
        # A forked worker waits for ever for libvips' threads where the caller has read a picture.
        "multiprocessing_context": "spawn" if share.workers else None,
    }
    # The recipe says how many workers; a smaller machine is slower, and needs no remark on it.
    warnings.filterwarnings("ignore", "This DataLoader will create", UserWarning)
    if isinstance(source, Shards):
        stream = ShardBatches(
            source,
            seed,
            batch=share.batch,
            first=first,
            process=share.process,
            processes=share.processes,
        )
        loader = DataLoader(stream, batch_size=None, **common)
        with _in_one_sentence():
            for _, sample in zip(range(first, end), loader, strict=False):
                yield sample
        return

    def numbers() -> Iterator[list[int]]:
        for k in range(first, end):
            start = (k * share.processes + share.process) * share.batch
            yield list(range(start, start + share.batch))

    samples = NumberedSamples(source, seed)
    batches = numbers()
    loader = DataLoader(samples, batch_sampler=batches, collate_fn=collate, **common)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
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
