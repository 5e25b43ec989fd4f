"""Files at addresses are worked on here: brought first, put back last."""

from __future__ import annotations

import secrets
import tempfile
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from multiaxis.restoration import remote
from multiaxis.restoration.remote import Remote, Where


class Scratch:
    """A temporary folder, made when it is first needed.

    Messages about files in it name what the user knows: see `translate`.
    """

    def __init__(self) -> None:
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._names: dict[str, str] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> Scratch:
        return self

    def __exit__(self, *_: object) -> None:
        if self._folder is not None:
            self._folder.cleanup()

    @contextmanager
    def bring(self, where: Where) -> Generator[Path]:
        """Give a path with the content of an input, for a while.

        Raises
        ------
        ImageError
            If an address does not give it.
        """
        if isinstance(where, Path):
            yield where
            return
        with self.place(where) as path:
            remote.fetch(where, path)
            yield path

    @contextmanager
    def place(self, where: Remote) -> Generator[Path]:
        """Give a free path with the suffix of an address; what is there is removed at the end."""
        with self._lock:  # one file is read while another is written
            if self._folder is None:
                self._folder = tempfile.TemporaryDirectory(prefix="multiaxis-")
        path = Path(self._folder.name) / f"{secrets.token_hex(8)}{where.suffix}"
        self._names[str(path)] = str(where)
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)

    def translate(self, message: str) -> str:
        """Put addresses in the place of paths in the folder."""
        for path, name in list(self._names.items()):  # a copy: other threads add to it
            message = message.replace(path, name)
        return message
