"""What a batch does with a file: the contract that a use fills in."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any, Generic, TypeVar

from multiaxis.files.read import read_file
from multiaxis.progress import OnFraction, OnProgress

Item = TypeVar("Item")


@dataclass(frozen=True)
class Wording:
    """The words for a verb in messages.

    Attributes
    ----------
    verb, doing, done : str
        Such as ``"restore"``, ``"restoring"``, ``"restored"``.
    noun : str
        A file, such as ``"picture"``.
    accepts : str
        The kinds of files that are accepted, for people.
    """

    verb: str
    doing: str
    done: str
    noun: str = "picture"
    accepts: str = "any file"


@dataclass(frozen=True)
class Header:
    """What is known of a file before it is worked on.

    Attributes
    ----------
    amount : float
        Work, in megapixels; 0 where it is not known.
    facts : mapping of str to value
        For the report, such as ``{"width": 640}``.
    text : str
        The same for people, such as ``"640x480"``.
    """

    amount: float = 0.0
    facts: Mapping[str, Any] = field(default_factory=dict[str, Any])
    text: str = ""


@dataclass(frozen=True)
class Outcome:
    """What became of a file.

    Attributes
    ----------
    content : bytes, Path or None
        What is put under the output's name: bytes, or a file beside it, which is renamed. None
        where the record is the result.
    record : mapping of str to value
        For the report, such as labels; what JSON can hold.
    lost : tuple of str
        What the output could not hold of the input, such as ``"exif"``.
    remarks : tuple of str
        What else a user should know.
    """

    content: bytes | Path | None = None
    record: Mapping[str, Any] = field(default_factory=dict[str, Any])
    lost: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


class File:
    """An input: its content, read once, and the digest of what was read.

    Parameters
    ----------
    path : Path
        Where it lies on this machine.
    name : str
        What the user calls it: the path, or the address that it came from.
    """

    def __init__(self, path: Path, name: str) -> None:
        self.path, self.name = path, name
        self.digest: str | None = None

    def read(self) -> bytes:
        """Read all of it.

        Raises
        ------
        ImageError
            If it cannot be read.
        """
        data = read_file(self.path, self.name)
        self.digest = hashlib.sha256(data).hexdigest()
        return data


class Runner(ABC, Generic[Item]):
    """A verb made ready, once in each process. One file is read while another is run."""

    def read(self, file: File, target: PurePath | None) -> Item:  # noqa: ARG002 (for those who look)
        """Read a file, and refuse what cannot be done with it or written as `target`."""
        return file.read()  # pyright: ignore[reportReturnType]

    @abstractmethod
    def run(self, item: Item, on_progress: OnFraction | None = None) -> Any:
        """Do the work: from what `read` gave to what `encode` takes."""

    def encode(self, item: Any, target: PurePath | None) -> Outcome:  # noqa: ARG002
        """Give the output's bytes."""
        return item if isinstance(item, Outcome) else Outcome(record=item)

    def describe(self) -> str:
        """Say on what it computes, for the end of a batch."""
        return "this machine"


class Verb(ABC):
    """What is done with each file. It is sent to other processes: a value, without open things.

    Attributes
    ----------
    wording : Wording
    suffixes : frozenset of str or None
        Of the files of a folder that it is for, lower case; None for all.
    columns : tuple of str
        Of the report, beside those of every batch: keys of facts and records.
    beside : str
        Appended to the stem of an output that lies beside its input.
    device : str
        Where it computes, as the user named it.
    """

    wording: Wording
    suffixes: frozenset[str] | None = None
    columns: tuple[str, ...] = ()
    beside: str = ""
    device: str = "cpu"

    def settings(self) -> Mapping[str, Any]:
        """List what decides a result, but for the input: what JSON can hold."""
        return {}

    def output_name(self, name: str) -> str | None:  # noqa: ARG002
        """Name the output of an input; None where the record is the result."""
        return None

    def check(self, path: Path, target: PurePath | None) -> Header:  # noqa: ARG002
        """Read a file's header, and refuse what cannot work, before a model is loaded.

        Raises
        ------
        ImageError
        """
        return Header()

    @abstractmethod
    def load(self, on_progress: OnProgress | None = None) -> Runner[Any]:
        """Make ready: load models."""

    def local_files(self) -> Sequence[Path]:
        """List the files of this machine that another machine needs, such as weights."""
        return ()

    def with_files(self, places: Mapping[Path, Path]) -> Verb:  # noqa: ARG002
        """Give the same verb where those files lie elsewhere."""
        return self

    def on_processor(self) -> Verb:
        """Give the same verb on this machine's processor, to fetch what others need."""
        return self
