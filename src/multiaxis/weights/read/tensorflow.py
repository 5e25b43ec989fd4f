"""TensorFlow checkpoints (format V2), read without TensorFlow.

``PREFIX.index`` is a table of names; each value is a small protocol buffer that says where in the
shards ``PREFIX.data-0000I-of-0000N`` the bytes of the tensor are.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from multiaxis.errors import WeightsError
from multiaxis.files.bounds import (
    check_array,
    open_regular,
    quoted,
    read_regular,
    readable,
    unpacked_limit,
)
from multiaxis.weights.read.crc32c import crc32c, mask
from multiaxis.weights.read.table import read_table, varint

AVERAGE = "/ExponentialMovingAverage"
"""What the name of a variable's moving average ends with."""

_BFLOAT16 = 14
# DataType of TensorFlow's types.proto; strings and the rest are no parameters.
_FLOATS = {1: "<f4", 2: "<f8", 19: "<f2", _BFLOAT16: "<u2"}
_INTEGERS = {3: "<i4", 4: "u1", 5: "<i2", 6: "i1", 9: "<i8", 10: "?", 17: "<u2", 22: "<u4"}
_DTYPES = _FLOATS | _INTEGERS
_MOST_INDEX = 1 << 24  # bytes; the largest published one has some 200,000
_MOST_POINTER = 1 << 16  # bytes of the text file that names the latest checkpoint
_WIDTHS = {1: 8, 5: 4}  # bytes of the two fixed kinds of field
_SHARD = re.compile(r"(?P<prefix>.*)\.data-\d{5}-of-\d{5}")
_LATEST = re.compile(r'^model_checkpoint_path: *"([^"]*)"', re.MULTILINE)


@dataclass(frozen=True)
class _Entry:
    """Where a tensor is."""

    dtype: int
    shape: tuple[int, ...]
    shard: Path
    offset: int
    size: int
    checksum: int


class TensorFlowArrays(Mapping[str, NDArray[np.generic]]):
    """The numeric tensors of a checkpoint by name; each is read, and checked, when it is asked for.

    A tensor whose bytes do not match their checksum raises `WeightsError`. bfloat16 becomes
    float32.
    """

    def __init__(self, entries: Mapping[str, _Entry]) -> None:
        self._entries = entries

    def __getitem__(self, name: str) -> NDArray[np.generic]:
        return _read(name, self._entries[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


def read_tensorflow(path: Path) -> TensorFlowArrays:
    """Open a checkpoint.

    Parameters
    ----------
    path : Path
        Its prefix, its ``.index`` file, one of its ``.data-`` files, or its folder. A folder may
        hold several checkpoints if a text file ``checkpoint`` names the latest.

    Returns
    -------
    mapping of str to ndarray
        Tensors that hold no numbers (strings, such as a graph of objects) are left out.

    Raises
    ------
    WeightsError
        If a part is missing, damaged or cut short, or of a kind that is not read: partitioned
        variables, compressed tables, big-endian machines.

    Examples
    --------
    >>> arrays = read_tensorflow(Path("maxvittiny/i1k/224"))  # doctest: +SKIP
    """
    prefix = find_prefix(path)
    index = prefix.with_name(f"{prefix.name}.index")
    with readable(index, "a whole, readable index of a TensorFlow checkpoint"):
        table = read_table(read_regular(index, _MOST_INDEX))
        shards = _shards(table.pop(b""))
        found = {key.decode(): _entry(value, prefix, shards) for key, value in table.items()}
        entries = {name: entry for name, entry in found.items() if entry.dtype in _DTYPES}
        _check_shards(prefix, entries)
    return TensorFlowArrays(entries)


def averaged(
    arrays: Mapping[str, NDArray[np.generic]],
) -> tuple[dict[str, NDArray[np.generic]], bool]:
    """Choose the moving averages of the variables, which is what the authors evaluate.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        As `read_tensorflow` gives them.

    Returns
    -------
    arrays : dict of str to ndarray
        The averages, under the names of their variables; variables without one (counters,
        optimiser slots) are left out. Where nothing was averaged, all arrays as they are.
    is_averaged : bool
        Whether there were averages.
    """
    averages = {
        name.removesuffix(AVERAGE): arrays[name] for name in arrays if name.endswith(AVERAGE)
    }
    return averages or dict(arrays), bool(averages)


def find_prefix(path: Path) -> Path:
    """Return the prefix of a checkpoint that is given by any of its parts, or by its folder.

    Raises
    ------
    WeightsError
        If there is no index, or it is open which of several is meant.
    """
    if path.is_dir():
        return _prefix_in(path)
    shard = _SHARD.fullmatch(path.name)
    name = shard["prefix"] if shard else path.name.removesuffix(".index")
    index = path.with_name(f"{name}.index")
    if not index.is_file():
        raise WeightsError(
            f"{path} belongs to no whole TensorFlow checkpoint: its index {index.name} is not "
            "beside it; put all files of the checkpoint into one folder, under their own names"
        )
    return path.with_name(name)


def is_shard(path: Path) -> bool:
    """Whether a file is called like a part of a checkpoint."""
    return _SHARD.fullmatch(path.name) is not None


def _prefix_in(folder: Path) -> Path:
    indices = sorted(folder.glob("*.index"))
    latest = folder / "checkpoint"
    if latest.is_file():
        with readable(latest, "a readable list of TensorFlow checkpoints"):
            text = read_regular(latest, _MOST_POINTER).decode("utf-8", errors="replace")
        match = _LATEST.search(text)
        # The path may be one of another machine: only its last part is believed.
        name = re.split(r"[/\\]", match[1])[-1] if match else ""
        if folder / f"{name}.index" in indices:
            return folder / name
    if len(indices) == 1:
        return indices[0].with_suffix("")
    found = ", ".join(index.name for index in indices[:8]) or "none"
    raise WeightsError(
        f"the folder {folder} should hold one TensorFlow checkpoint (a single .index file, or one "
        f"that a text file `checkpoint` names), found: {found}; give the prefix of the one wanted"
    )


def _shards(header: bytes) -> int:
    """Return the number of shards that the header states."""
    message = _message(header)
    if message.number(2):
        raise ValueError("it was written by a big-endian machine, which is not read")
    return message.number(1)


def _entry(value: bytes, prefix: Path, shards: int) -> _Entry:
    message = _message(value)
    if 7 in message.parts:
        raise ValueError("it holds partitioned variables, which are not read")
    shard = message.number(3)
    if shard >= shards:
        raise ValueError(f"it names shard {shard} and says that there are {shards}")
    axes = _message(b"".join(message.parts.get(2, []))).parts.get(2, [])
    return _Entry(
        dtype=message.number(1),
        shape=tuple(_message(axis).number(1) for axis in axes),
        shard=prefix.with_name(f"{prefix.name}.data-{shard:05}-of-{shards:05}"),
        offset=message.number(4),
        size=message.number(5),
        checksum=message.number(6),
    )


def _check_shards(prefix: Path, entries: Mapping[str, _Entry]) -> None:
    """Compare the index with the sizes of the files, so that what is missing shows at once."""
    sizes: dict[Path, int] = {}
    total = 0
    for name, entry in entries.items():
        width = np.dtype(_DTYPES[entry.dtype]).itemsize
        if check_array(name, entry.shape, width, entry.size) != entry.size:
            raise ValueError(
                f"it says that {quoted(name)} has the shape {entry.shape} and {entry.size} bytes, "
                "which cannot be"
            )
        if entry.shard not in sizes:
            sizes[entry.shard] = _size(entry.shard, prefix)
        if entry.offset + entry.size > sizes[entry.shard]:
            raise WeightsError(
                f"{entry.shard} is cut short: it has {sizes[entry.shard]} bytes, {quoted(name)} "
                f"ends at {entry.offset + entry.size}; fetch it again"
            )
        total += entry.size
    if total > unpacked_limit(sum(sizes.values())):
        raise ValueError("its tensors lie over each other")


def _size(shard: Path, prefix: Path) -> int:
    try:
        with open_regular(shard) as file:
            return file.seek(0, os.SEEK_END)
    except FileNotFoundError as error:
        found = sorted(p.name for p in prefix.parent.glob("*.data-*") if is_shard(p))
        raise WeightsError(
            f"{shard} is missing: the checkpoint is not whole without it; beside "
            f"its index are {', '.join(found[:8]) or 'no shards'}"
        ) from error


def _read(name: str, entry: _Entry) -> NDArray[np.generic]:
    with readable(entry.shard, "a readable part of a TensorFlow checkpoint"):
        with open_regular(entry.shard) as file:
            data = np.fromfile(file, np.uint8, entry.size, offset=entry.offset)
        if data.size != entry.size or mask(crc32c(data)) != entry.checksum:
            raise WeightsError(
                f"{entry.shard} is damaged: the bytes of {quoted(name)} differ from their "
                "checksum; fetch it again"
            )
        values = data.view(_DTYPES[entry.dtype]).reshape(entry.shape)
        if entry.dtype == _BFLOAT16:  # the upper half of a float32
            return (values.astype(np.uint32) << 16).view(np.float32)
        return values


@dataclass(frozen=True)
class _Message:
    """A protocol buffer: its numbers (the last of each field) and its strings by field."""

    numbers: dict[int, int]
    parts: dict[int, list[bytes]]

    def number(self, field: int) -> int:
        """Return a number; one that is absent is zero."""
        return self.numbers.get(field, 0)


def _message(data: bytes) -> _Message:
    message = _Message({}, {})
    at = 0
    while at < len(data):
        tag, at = varint(data, at)
        field, wire = tag >> 3, tag & 7
        if wire == 0:
            message.numbers[field], at = varint(data, at)
            continue
        size, at = varint(data, at) if wire == 2 else (_WIDTHS[wire], at)
        value, at = data[at : at + size], at + size
        if at > len(data):
            raise ValueError("a field is longer than its message")
        if wire == 2:
            message.parts.setdefault(field, []).append(value)
        else:
            message.numbers[field] = int.from_bytes(value, "little")
    return message
