"""A picture that was sent, and a job: what is known of each, and how a record keeps it."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import PurePath
from typing import Any, Literal

from multiaxis.images import READABLE_SUFFIXES
from multiaxis.images.formats import Format, recognise

State = Literal["queued", "running", "done", "failed", "cancelled"]
_OVER = ("done", "failed", "cancelled")
_LONGEST_NAME = 150

TYPES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".jpe": "image/jpeg",
    ".jfif": "image/jpeg",
    ".webp": "image/webp",
    ".avif": "image/avif",
    ".gif": "image/gif",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
}
SHOWN = frozenset(TYPES) - {".tif", ".tiff"}
"""Suffixes of what browsers show as it is."""


def new_id() -> str:
    """Make a name that nobody guesses: who knows it may see the picture."""
    return secrets.token_urlsafe(18)


def shown_name(given: str) -> str:
    """Make what a client called a file fit to be shown: its last part, without controls."""
    last = given.replace("\\", "/").rpartition("/")[2]
    clean = "".join(c for c in last if c.isprintable()).strip()
    path = PurePath(clean or "picture")
    suffix = path.suffix[:10]
    return path.stem[: _LONGEST_NAME - len(suffix)] + suffix


def stored_suffix(name: str, start: bytes) -> str:
    """Choose the suffix that an upload is stored under, of those that are read and no other.

    The name decides, as it does for the command; where it says nothing, the content does.

    Parameters
    ----------
    name : str
        As the client calls the file.
    start : bytes
        The first bytes of its content.
    """
    suffix = PurePath(name).suffix
    if suffix.lower() in READABLE_SUFFIXES:
        return suffix
    kind = recognise(start)
    return kind.suffixes[0] if isinstance(kind, Format) else ".bin"


@dataclass
class Upload:
    """A picture that was sent, and is not yet asked for anything.

    Attributes
    ----------
    id : str
    name : str
        As shown.
    suffix : str
        Of the stored file.
    bytes : int
    width, height : int
        Upright, in pixels.
    megapixels : float
        Of all pages or frames.
    notes : list of str
    created : float
        Seconds since 1970.
    """

    id: str
    name: str
    suffix: str
    bytes: int = 0
    width: int = 0
    height: int = 0
    megapixels: float = 0.0
    notes: list[str] = field(default_factory=list[str])
    created: float = field(default_factory=time.time)

    @property
    def is_over(self) -> bool:
        """Whether it may be removed when room is needed."""
        return True


@dataclass
class Job:
    """A restoration that was asked for.

    Attributes
    ----------
    id : str
    upload : Upload
        Its picture.
    words : mapping of str to str
        The options as they were asked for.
    output_name : str
        Of the result, as shown.
    output_suffix : str
        Of the stored result.
    state : str
        ``queued``, ``running``, ``done``, ``failed`` or ``cancelled``.
    stage : str
        Of a running job: ``loading`` or ``restoring``.
    progress : float
        Of the stage, 0 to 1.
    megapixels : float
        Padded, over all models: what the time is proportional to.
    memory : int
        Bytes that the work is estimated to take.
    error : str
    notes : list of str
    lost : list of str
    seconds : float
        Of the work.
    bytes : int
        Of the result.
    attempts : int
    created, started, finished : float
        Seconds since 1970; 0 where it has not happened.
    """

    id: str
    upload: Upload
    words: Mapping[str, str]
    output_name: str
    output_suffix: str
    state: State = "queued"
    stage: str = ""
    progress: float = 0.0
    megapixels: float = 0.0
    memory: int = 0
    error: str = ""
    error_kind: str = ""
    notes: list[str] = field(default_factory=list[str])
    lost: list[str] = field(default_factory=list[str])
    seconds: float = 0.0
    bytes: int = 0
    where: str = ""
    attempts: int = 0
    created: float = field(default_factory=time.time)
    started: float = 0.0
    finished: float = 0.0

    @property
    def is_over(self) -> bool:
        """Whether nothing will change any more."""
        return self.state in _OVER

    @property
    def is_preview(self) -> bool:
        """Whether it is a crop, which goes before whole pictures."""
        return "crop" in self.words

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Job:
        """Make it again from what was kept.

        Raises
        ------
        TypeError, KeyError
            If the record is of another version.
        """
        known = {one.name for one in fields(cls)}
        kept: dict[str, Any] = {name: value for name, value in record.items() if name in known}
        kept["upload"] = Upload(**record["upload"])
        return cls(**kept)
