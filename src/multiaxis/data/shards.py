"""Samples out of tar files (webdataset), read in a row: the way to train from slow or far storage.

Position b of a process is a function of seed and b, as everywhere: a worker that starts later reads
past the samples before it without decoding them.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch.utils.data import IterableDataset, get_worker_info

from multiaxis.data.classes import ClassFolders, look
from multiaxis.data.limits import check_limits
from multiaxis.data.pictures import naming, read_levels
from multiaxis.data.restoration import cut_pair
from multiaxis.data.source import Sample, collate, to_sample
from multiaxis.errors import DataError, MissingExtraError, MultiaxisError
from multiaxis.images import READABLE_SUFFIXES

Raw = dict[str, Any]
_DIGITS = 9  # of a class
_EMPTY_SHARDS = 1000  # shards without a sample in a row before the data as a whole is given up


@dataclass(frozen=True, kw_only=True)
class PairShards:
    """Tar files with ``NAME.input.png`` and ``NAME.target.png``, or any other kind that is read.

    Attributes
    ----------
    urls : str
        Files or addresses, with braces for ranges: ``train-{000..099}.tar``.
    crop : int
        Side of the squares, pixels.
    shuffle : int
        Samples that wait for their turn, out of order; their files stay in memory undecoded.
    """

    urls: str
    crop: int = 256
    shuffle: int = 256

    def __post_init__(self) -> None:
        check_limits("data", self, {"crop": (1, 65536), "shuffle": (1, 10**6)})

    def open(self) -> Shards:
        """Expand the names."""
        return Shards(self, _expand(self.urls), [])

    def decode(
        self, raw: Raw, rng: np.random.Generator
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Make a pair of arrays out of files."""
        pair = [_picture(raw, f"{kind}.") for kind in ("input", "target")]
        with naming(_key(raw)):
            return cut_pair(pair, self.crop, rng)


@dataclass(frozen=True, kw_only=True)
class ClassShards:
    """Tar files with ``NAME.jpg`` (or png, tif, ...) and ``NAME.cls``, the class's number in text.

    Attributes
    ----------
    urls : str
        As in `PairShards`.
    classes : int
        How many there are.
    shuffle : int
        As in `PairShards`.
    size, train, crop, flip, layers, magnitude, erase
        As in `ClassFolders`.
    """

    urls: str
    classes: int
    shuffle: int = 2048
    size: int = 224
    train: bool = True
    crop: Literal["inception", "pad"] = "inception"
    flip: bool = True
    layers: int = 0
    magnitude: int = 0
    erase: float = 0.0

    def __post_init__(self) -> None:
        check_limits("data", self, {"classes": (1, 10**7), "shuffle": (1, 10**6)})
        _ = self.look  # checks the rest

    @property
    def look(self) -> ClassFolders:
        """How a picture is cut and changed."""
        kept = ("size", "train", "crop", "flip", "layers", "magnitude", "erase")
        return ClassFolders(folder="", **{name: getattr(self, name) for name in kept})

    def open(self) -> Shards:
        """Expand the names."""
        return Shards(self, _expand(self.urls), [str(k) for k in range(self.classes)])

    def decode(
        self, raw: Raw, rng: np.random.Generator
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Make a picture and its class out of files."""
        text = raw.get("cls", b"").decode("ascii", "replace").strip()
        if not text.isdigit() or len(text) > _DIGITS or int(text) >= self.classes:
            raise DataError(
                f"{_key(raw)} has the class {text[:20]!r}: wanted is 0 to {self.classes - 1}"
            )
        picture = look(Image.fromarray(_picture(raw, "")), self.look, rng)
        return picture, np.asarray(int(text), np.int64)


@dataclass(frozen=True)
class Shards:
    """Opened shards.

    Attributes
    ----------
    about : PairShards or ClassShards
    urls : list of str
    classes : list of str
        Names; empty for pairs.
    """

    about: PairShards | ClassShards
    urls: list[str]
    classes: list[str]


class ShardBatches(IterableDataset[Sample]):
    """The batches of one process, from some position on, each made by one worker.

    Parameters
    ----------
    shards : Shards
    seed : int
    batch : int
    first : int
        Position of the first batch.
    process, processes : int
    """

    def __init__(
        self, shards: Shards, seed: int, *, batch: int, first: int, process: int, processes: int
    ) -> None:
        self.shards, self.seed, self.batch, self.first = shards, seed, batch, first
        self.process, self.processes = process, processes

    def __iter__(self) -> Iterator[Sample]:
        """Give this worker's batches, for ever."""
        info = get_worker_info()
        workers, worker = (info.num_workers, info.id) if info else (1, 0)
        role = (self.first + worker) % workers  # position b is worker b % workers' own
        readers = self.processes * workers
        if len(self.shards.urls) < readers:
            raise DataError(
                f"{len(self.shards.urls)} shards are too few for {self.processes} processes with "
                f"{workers} workers each: wanted are {readers}; cut the data into more, or lower "
                "run.workers"
            )
        reader = self.process * workers + role
        done = (self.first + worker) // workers * self.batch
        complaints: list[str] = []
        raws = self._shuffled(reader, readers, complaints)
        for _ in range(done):
            next(raws)
        complaints.clear()  # of what was skipped: they were told before the stop
        for start in itertools.count(done, self.batch):
            made: list[Sample] = []
            for number in range(start, start + self.batch):
                rng = np.random.default_rng((self.seed, reader, number))
                raw = next(raws)
                try:
                    made.append(to_sample(*self.shards.about.decode(raw, rng)))
                except DataError as error:
                    complaints.append(str(error))
            if not made:
                raise DataError(f"no sample of a batch can be decoded: {complaints[-1]}")
            # Others of the batch stand in for what cannot be decoded: its place is not refilled,
            # so that positions count what is in the files.
            filled = [made[k % len(made)] for k in range(self.batch)]
            whole = collate(filled)
            yield Sample(whole.input, whole.target, tuple(complaints))
            complaints.clear()

    def _shuffled(self, reader: int, readers: int, complaints: list[str]) -> Iterator[Raw]:
        rng = np.random.default_rng((self.seed, reader))
        waiting: list[Raw] = []
        for raw in self._stream(reader, readers, complaints):
            if len(waiting) < self.shards.about.shuffle:
                waiting.append(raw)
                continue
            place = int(rng.integers(len(waiting)))
            yield waiting[place]
            waiting[place] = raw

    def _stream(self, reader: int, readers: int, complaints: list[str]) -> Iterator[Raw]:
        urls, turn, empty = self.shards.urls, 0, 0
        while True:
            order = np.random.default_rng((self.seed, turn, len(urls))).permutation(len(urls))
            for place in order[reader::readers]:
                found = 0
                for raw in _samples(urls[place], complaints):
                    found += 1
                    yield raw
                empty = 0 if found else empty + 1
                if empty > min(_EMPTY_SHARDS, len(urls)):
                    raise DataError(
                        f"{empty} shards in a row hold no samples, such as {urls[place]}; wanted "
                        "are webdataset's tar files, and data.urls names them"
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
        raise DataError(f"{urls!r} names no shards: wanted is such as train-{{000..099}}.tar")
    return found


def _picture(raw: Raw, prefix: str) -> NDArray[np.uint8]:
    names = [n for n in raw if n.startswith(prefix) and f".{n[len(prefix) :]}" in READABLE_SUFFIXES]
    if len(names) != 1:
        found = f"several pictures ({', '.join(names)})" if names else "no picture"
        raise DataError(f"{_key(raw)} has {found}: wanted is one, such as {prefix}jpg")
    try:
        return read_levels(Path(f"{raw['__key__']}.{names[0]}"), raw[names[0]])
    except MultiaxisError as error:
        raise DataError(f"{raw['__url__']}: {error}") from error


def _key(raw: Raw) -> str:
    return f"{raw['__url__']}: {raw['__key__']}"
