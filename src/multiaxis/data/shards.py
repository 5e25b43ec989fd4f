"""Samples out of tar files (webdataset), read in a row: the way to train from slow or far storage.

Batch b of a reader is a function of seed and b, as everywhere: a reader that starts later reads
past the samples before it without decoding them.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from multiaxis.data.pictures import read_levels
from multiaxis.data.source import Arrays, Reader, Stream
from multiaxis.errors import DataError, MissingExtraError, MultiaxisError
from multiaxis.images import READABLE_SUFFIXES

if TYPE_CHECKING:
    from multiaxis.data.batch import Batch

Raw = dict[str, Any]
_EMPTY_SHARDS = 1000  # shards without a sample in a row before the data as a whole is given up


class Shards(Stream):
    """Opened shards.

    Parameters
    ----------
    urls : str
        Files or addresses, with braces for ranges: ``train-{000..099}.tar``.
    decode : callable
        Makes a sample out of the files that share a name; gets a generator for what is random.
    shuffle : int
        Samples that wait for their turn, out of order; their files stay in memory undecoded.
    ragged : frozenset of str
        As in `Source`.

    Raises
    ------
    DataError
        If no shards are named.
    """

    def __init__(
        self,
        urls: str,
        decode: Callable[[Raw, np.random.Generator], Arrays],
        *,
        shuffle: int,
        ragged: frozenset[str] = frozenset(),
    ) -> None:
        self.urls, self.decode = _expand(urls), decode
        self.shuffle, self.ragged = shuffle, ragged

    def batches(self, seed: int, batch: int, reader: Reader, *, first: int) -> Iterator[Batch]:
        """Give the batches of a reader from its `first` on, for ever."""
        from multiaxis.data.batch import Sample, collate, to_sample

        if len(self.urls) < reader.count:
            raise DataError(
                f"{len(self.urls)} shards are too few for {reader.processes} processes with "
                f"{reader.workers} workers each, which need {reader.count}: make more shards, "
                "or lower run.workers"
            )
        complaints: list[str] = []
        raws = self._shuffled(seed, reader, complaints)
        for _ in range(first * batch):
            next(raws)
        complaints.clear()  # of what was skipped: they were told before the stop
        for start in itertools.count(first * batch, batch):
            made: list[Sample] = []
            for number in range(start, start + batch):
                rng = np.random.default_rng((seed, reader.number, number))
                raw = next(raws)
                try:
                    made.append(to_sample(self.decode(raw, rng), ragged=self.ragged))
                except DataError as error:
                    complaints.append(str(error))
            if not made:
                raise DataError(f"no sample of a batch can be decoded: {complaints[-1]}")
            # Others of the batch stand in for what cannot be decoded: its place is not refilled,
            # so that positions count what is in the files.
            whole = collate([made[k % len(made)] for k in range(batch)], self.ragged)
            yield replace(whole, complaints=tuple(complaints))
            complaints.clear()

    def _shuffled(self, seed: int, reader: Reader, complaints: list[str]) -> Iterator[Raw]:
        rng = np.random.default_rng((seed, reader.number))
        waiting: list[Raw] = []
        for raw in self._stream(seed, reader, complaints):
            if len(waiting) < self.shuffle:
                waiting.append(raw)
                continue
            place = int(rng.integers(len(waiting)))
            yield waiting[place]
            waiting[place] = raw

    def _stream(self, seed: int, reader: Reader, complaints: list[str]) -> Iterator[Raw]:
        urls, turn, empty = self.urls, 0, 0
        while True:
            order = np.random.default_rng((seed, turn, len(urls))).permutation(len(urls))
            for place in order[reader.number :: reader.count]:
                found = 0
                for raw in _samples(urls[place], complaints):
                    found += 1
                    yield raw
                empty = 0 if found else empty + 1
                if empty > min(_EMPTY_SHARDS, len(urls)):
                    raise DataError(
                        f"{empty} shards in a row hold no samples, such as {urls[place]}; "
                        "data.urls must name webdataset's tar files"
                        + (f" ({complaints[-1]})" if complaints else "")
                    )
            turn += 1


def _samples(url: str, complaints: list[str]) -> Iterator[Raw]:
    from webdataset.gopen import gopen
    from webdataset.tariterators import group_by_keys, tar_file_expander

    faults: list[Exception] = []

    def note(error: Exception) -> bool:
        faults.append(error)
        complaints.append(f"{url}: {type(error).__name__}: {str(error)[:200]}")
        return True

    try:
        with contextlib.closing(gopen(url)) as stream:
            watched = _Watched(stream)
            files = tar_file_expander([{"url": url, "stream": watched}], handler=note)
            yield from group_by_keys(files, handler=note)
            # tarfile takes a missing end for the end: a whole archive closes with empty blocks.
            if not (faults or watched.is_compressed) and watched.tail.strip(b"\0"):
                complaints.append(f"{url} ends early: fetch it again")
    except Exception as error:  # noqa: BLE001 (whatever the address' kind answers, also at the end)
        note(error)


class _Watched:
    """A stream that remembers how it ended."""

    def __init__(self, stream: Any) -> None:
        self._stream, self.tail, self.is_compressed = stream, b"-", False

    def read(self, size: int = -1) -> bytes:
        data: bytes = self._stream.read(size)
        if self.tail == b"-":
            self.is_compressed = data.startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ"))
        self.tail = (self.tail + data)[-512:] if data else self.tail
        return data


def _expand(urls: str) -> list[str]:
    try:
        from webdataset.shardlists import expand_urls
    except ImportError as error:
        raise MissingExtraError(
            "shards need webdataset, which is not installed: pip install 'multiaxis[train]'"
        ) from error
    found: list[str] = expand_urls(urls)
    if not found:
        raise DataError(f"{urls!r} names no shards: give a pattern such as train-{{000..099}}.tar")
    return found


def read_shard_picture(raw: Raw, prefix: str) -> NDArray[np.uint8]:
    """Read the one picture of a sample whose suffix follows `prefix`.

    Raises
    ------
    DataError
        If there is none, there are several, or it cannot be read.
    """
    names = [n for n in raw if n.startswith(prefix) and f".{n[len(prefix) :]}" in READABLE_SUFFIXES]
    if len(names) != 1:
        found = f"several pictures ({', '.join(names)})" if names else "no picture"
        raise DataError(f"{sample_key(raw)} has {found}: give it one, such as {prefix}jpg")
    try:
        return read_levels(Path(f"{raw['__key__']}.{names[0]}"), raw[names[0]])
    except MultiaxisError as error:
        raise DataError(f"{raw['__url__']}: {error}") from error


def sample_key(raw: Raw) -> str:
    """Name a sample, and the shard that it is in."""
    return f"{raw['__url__']}: {raw['__key__']}"
