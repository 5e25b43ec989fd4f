"""What a batch does with a file: the contract that a use fills in."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from multiaxis.errors import counted
from multiaxis.files.address import Remote, Where
from multiaxis.files.read import read_bytes
from multiaxis.progress import OnFraction, OnProgress

Item = TypeVar("Item")
_PIECE = 1 << 20


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
    nouns : mapping of str to str
        Suffixes of files that are called otherwise, such as ``{".mp4": "clip"}``.
    """

    verb: str
    doing: str
    done: str
    noun: str = "picture"
    accepts: str = "any file"
    nouns: Mapping[str, str] = field(default_factory=dict[str, str])

    def count(self, files: Sequence[Where]) -> str:
        """Count files by their noun, such as ``"2 clips"``; of several kinds they are files."""
        nouns = {self.nouns.get(file.suffix.lower(), self.noun) for file in files}
        noun = nouns.pop() if len(nouns) == 1 else "file" if nouns else self.noun
        return counted(len(files), noun)


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
    remarks : tuple of str
        What becomes different from the input.
    """

    amount: float = 0.0
    facts: Mapping[str, Any] = field(default_factory=dict[str, Any])
    text: str = ""
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """What became of a file.

    Attributes
    ----------
    content : bytes or None
        What is put under the output's name; None where the record is the result, or where the
        verb wrote the output itself.
    record : mapping of str to value
        For the report, such as labels; what JSON can hold.
    lost : tuple of str
        What the output could not hold of the input, such as ``"exif"``.
    remarks : tuple of str
        What else a user should know.
    more : tuple of bytes
        Of the files that `Verb.more_names` names, in its order.
    """

    content: bytes | None = None
    record: Mapping[str, Any] = field(default_factory=dict[str, Any])
    lost: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    more: tuple[bytes, ...] = ()


@dataclass
class File:
    """A file in work.

    Attributes
    ----------
    path : Path
        Where its content lies on this machine.
    name : str
        What the user calls it: the path, or the address that it came from.
    output : Path, Remote or None
        Where the result goes; None where the record is the result.
    replaces : bool
        Whether the output may take the place of a file.
    before_naming : callable
        For a verb that writes its output itself: to be called with the whole file before that gets
        its name, so that a later run knows it.
    digest : str
        SHA-256 of what was read, hexadecimal; empty until something is.
    """

    path: Path
    name: str
    output: Where | None = None
    replaces: bool = False
    before_naming: Callable[[Path], None] = lambda _: None
    digest: str = ""

    def read(self) -> bytes:
        """Read all of it.

        Raises
        ------
        ImageError
            If it cannot be read.
        """
        data = read_bytes(self.path, self.name)
        # Under the input's name there may be something else by the time that the work is done.
        self.digest = hashlib.sha256(data).hexdigest()
        return data

    def take_digest(self) -> None:
        """Read it piece by piece for its digest, where it is too large to be held.

        Raises
        ------
        OSError
            If it cannot be read.
        """
        found = hashlib.sha256()
        with self.path.open("rb") as stream:
            while piece := stream.read(_PIECE):
                found.update(piece)
        self.digest = found.hexdigest()


class Runner(ABC, Generic[Item]):
    """A verb made ready, once in each process.

    One file is read, in a thread, while another is run, and a third is encoded, in a thread.
    """

    def read(self, file: File) -> Item:
        """Read a file, and refuse what cannot be done with it or written as its output."""
        return file.read()  # pyright: ignore[reportReturnType]

    @abstractmethod
    def run(self, item: Item, on_progress: OnFraction | None = None) -> Any:
        """Do the work: from what `read` gave to what `encode` takes."""

    def encode(self, item: Any) -> Outcome:
        """Give the outcome: the output's bytes, or a record."""
        return item if isinstance(item, Outcome) else Outcome(record=item)

    def partial(self, item: Item) -> str:  # noqa: ARG002
        """Say what an interrupt leaves of a file in work; empty for nothing."""
        return ""

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

    def settings(self, name: str) -> Mapping[str, Any]:  # noqa: ARG002
        """List what decides the result of a file of that name, beside its content."""
        return {}

    def output_name(self, name: str) -> str | None:  # noqa: ARG002
        """Name the output of an input; None where the record is the result."""
        return None

    def more_names(self, output: str) -> tuple[str, ...]:  # noqa: ARG002
        """Name the files that are written beside an output of that name, along with it.

        A whole path puts one elsewhere.
        """
        return ()

    def more_files(self, output: Where) -> list[Where]:
        """Give the places of the files that are written along with an output."""
        return [
            Path(name) if Path(name).is_absolute() else output.with_name(name)
            for name in self.more_names(output.name)
        ]

    def check(self, file: File) -> Header:  # noqa: ARG002
        """Read a file's header, and refuse what cannot work, before a model is loaded.

        Raises
        ------
        ImageError
            If the file cannot be done, or its output cannot hold it.
        """
        return Header()

    def check_address(self, where: Remote) -> None:  # noqa: B027 (most take any address)
        """Refuse an input at an address that cannot work, by its name.

        Raises
        ------
        ImageError
        """

    @abstractmethod
    def load(self, on_progress: OnProgress | None = None) -> Runner[Any]:
        """Make ready: load models."""

    def complete(self, rows: Sequence[dict[str, Any]]) -> None:  # noqa: B027 (most add nothing)
        """Add to the rows of a report what only all of them together tell, such as ranks.

        Parameters
        ----------
        rows : sequence of dict
            One for each input, in the columns of the report; changed in place.
        """

    def local_files(self) -> Sequence[Path]:
        """List the files of this machine that another machine needs, such as weights."""
        return ()

    def with_files(self, places: Mapping[Path, Path]) -> Verb:  # noqa: ARG002
        """Give the same verb where those files lie elsewhere."""
        return self

    def on_processor(self) -> Verb:
        """Give the same verb on this machine's processor, to fetch what others need."""
        return self
