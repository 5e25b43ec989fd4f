"""The folder of uploads, results and records: it survives the server, and is cleaned by it."""

from __future__ import annotations

import json
import logging
import os
import shutil
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Self

from filelock import FileLock, Timeout

from multiaxis.errors import ConfigError
from multiaxis.files.publish import publish
from multiaxis.serve.job import Job, Upload
from multiaxis.weights.cache import home

_log = logging.getLogger(__name__)
_SLOTS = 100  # servers of one user on one machine
_MOST = 20_000  # records, however small their pictures are


class Spool:
    """A folder that one server at a time uses. Names in it are ours; none comes from a client.

    Parameters
    ----------
    folder : Path or None
        By default the first free one in the cache: after a restart, that of the last run.

    Raises
    ------
    ConfigError
        If it cannot be used.
    """

    def __init__(self, folder: Path | None) -> None:
        slots = [home() / "serve" / str(k) for k in range(1, _SLOTS)]
        for place in [folder] if folder is not None else slots:
            try:
                self._open(place)
            except Timeout:
                continue
            except OSError as error:
                raise ConfigError(
                    f"cannot use the spool folder {place}: {error.strerror}; choose another with "
                    "--spool"
                ) from error
            break
        else:
            raise ConfigError(
                f"the spool folder {folder or home() / 'serve'} is used by another server: choose "
                "another with --spool"
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def _open(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.chmod(0o700)  # pictures are their owner's
        self._lock = FileLock(folder / ".lock", thread_local=False)
        self._lock.acquire(timeout=0)
        self.folder = folder
        self._records, self._files, self._incoming = (
            folder / name for name in ("records", "files", "incoming")
        )
        shutil.rmtree(self._incoming, ignore_errors=True)  # what was on its way is lost
        for path in (self._records, self._files, self._incoming):
            path.mkdir(exist_ok=True)

    # Places.

    def incoming(self, name: str) -> Path:
        """Say where an upload lies while it arrives."""
        return self._incoming / name

    def input(self, upload: Upload, job: Job | None = None) -> Path:
        """Say where a picture lies: that of a job is its own, and outlives the upload."""
        return self._files / (job or upload).id / f"upload{upload.suffix}"

    def output(self, job: Job) -> Path:
        """Say where the result of a job lies."""
        return self._files / job.id / f"result{job.output_suffix}"

    def view(self, owner: Upload | Job, which: str) -> Path:
        """Say where what a browser is shown lies."""
        return self._files / owner.id / f"{which}.view.png"

    # Keeping.

    def take(self, upload: Upload, path: Path) -> None:
        """Give an upload that has arrived its place."""
        target = self.input(upload)
        target.parent.mkdir()
        path.replace(target)

    def share(self, job: Job) -> None:
        """Give a job its own name for its picture, without another copy where that is possible."""
        source, target = self.input(job.upload), self.input(job.upload, job)
        target.parent.mkdir(exist_ok=True)
        try:
            os.link(source, target)
        except OSError:
            shutil.copyfile(source, target)

    def save(self, one: Upload | Job) -> None:
        """Keep a record of it."""
        kind = "job" if isinstance(one, Job) else "upload"
        record = json.dumps({"kind": kind, **asdict(one)}).encode()
        publish(self._records / f"{one.id}.json", record, overwrite=True)

    def load(self) -> list[Upload | Job]:
        """Read what an earlier server left, the oldest first; damaged records are left out."""
        found: list[Upload | Job] = []
        for path in self._records.glob("*.json"):
            try:
                record = json.loads(path.read_bytes())
                kind = record.pop("kind")
                found.append(Job.from_record(record) if kind == "job" else Upload(**record))
            except (OSError, ValueError, TypeError, KeyError, AttributeError):
                _log.warning("the record %s is damaged and left out", path)
        known = {one.id for one in found}
        for folder in self._files.iterdir():  # what was on its way to a record
            if folder.name not in known:
                shutil.rmtree(folder, ignore_errors=True)
        return sorted(found, key=lambda one: one.created)

    def remove(self, one: Upload | Job) -> None:
        """Remove it and its files."""
        with suppress(OSError):
            (self._records / f"{one.id}.json").unlink()
        shutil.rmtree(self._files / one.id, ignore_errors=True)

    def used(self) -> int:
        """Count the bytes of all files; a file with two names counts once."""
        sizes: dict[int, int] = {}
        for folder in (self._files, self._incoming):
            for path in folder.rglob("*"):
                with suppress(OSError):
                    found = path.stat()
                    sizes[found.st_ino] = found.st_blocks * 512
        return sum(sizes.values())

    def stale(
        self, held: Iterable[Upload | Job], keep_hours: float, most_bytes: int
    ) -> list[Upload | Job]:
        """List what is to be removed: what is too old, and the oldest while there is too much."""
        over = sorted((one for one in held if one.is_over), key=_age)
        limit = time.time() - keep_hours * 3600
        stale = [one for one in over if _age(one) < limit]
        left = over[len(stale) :]
        surplus = self.used() - most_bytes
        while left and (surplus > 0 or len(left) > _MOST):
            one = left.pop(0)
            stale.append(one)
            surplus -= self._size(one)
        return stale

    def _size(self, one: Upload | Job) -> int:
        paths = (self._files / one.id).glob("*")
        return sum(found.st_blocks * 512 for path in paths if (found := path.stat()).st_nlink < 2)


def _age(one: Upload | Job) -> float:
    return one.finished if isinstance(one, Job) and one.finished else one.created
