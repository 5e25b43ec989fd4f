"""Addresses of files (s3://, https://, file:// ...) as names: nothing is asked of them here."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath
from typing import TypeAlias
from urllib.parse import unquote, urlsplit

_ADDRESS = re.compile(r"[A-Za-z][\w+.-]+(::[A-Za-z][\w+.-]+)*://")  # C:// is a drive


@dataclass(frozen=True, order=True)
class Remote:
    """A file or folder at an address, with what `Path` has for taking names apart.

    Attributes
    ----------
    url : str
        As the user wrote it, or a name appended to that.
    """

    url: str

    def __str__(self) -> str:
        return self.url

    def __truediv__(self, other: str | PurePath) -> Remote:
        part = other if isinstance(other, str) else other.as_posix()
        scheme, _, path = self.url.partition("://")
        return Remote(f"{scheme}://{path.rstrip('/')}/{part}")

    @property
    def scheme(self) -> str:
        """What stands before ``://``."""
        return self.url.partition("://")[0].lower()

    @property
    def name(self) -> str:
        """The last part; of a web address without its query."""
        return self._path.name

    @property
    def stem(self) -> str:
        """The name without its suffix."""
        return self._path.stem

    @property
    def suffix(self) -> str:
        """The last suffix of the name, with its dot."""
        return self._path.suffix

    @property
    def parent(self) -> Remote:
        """The folder that holds it."""
        scheme, _, path = self._bare.partition("://")
        folder = path.rstrip("/").rpartition("/")[0]
        return Remote(f"{scheme}://{folder or '/' * path.startswith('/')}")

    def with_name(self, name: str) -> Remote:
        """Give the address of a neighbour."""
        return self.parent / name

    @property
    def _bare(self) -> str:
        return re.split(r"[?#]", self.url)[0] if is_on_web(self) else self.url

    @property
    def _path(self) -> PurePosixPath:
        if is_on_web(self):
            return PurePosixPath(PurePosixPath(unquote(urlsplit(self.url).path)).name)
        return PurePosixPath(self.url)


Where: TypeAlias = Path | Remote
"""A place for a file: on this machine, or at an address."""


def is_address(word: str) -> bool:
    """Tell whether a word is an address rather than a path."""
    return _ADDRESS.match(word) is not None


def to_where(word: str) -> Where:
    """Give the path or the address that a word is."""
    return Remote(word) if is_address(word) else Path(word)


def is_on_web(remote: Remote) -> bool:
    """Tell whether a web server is asked."""
    return remote.scheme in ("http", "https")


def is_read_only(remote: Remote) -> bool:
    """Tell whether nothing can ever be written there."""
    return is_on_web(remote)


def lives_in_one_process(where: Where) -> bool:
    """Tell whether another process sees another content there."""
    return isinstance(where, Remote) and where.scheme == "memory"
