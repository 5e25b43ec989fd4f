"""The folder beside an output in which segments wait: one for each piece of work, held by one."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

from multiaxis.errors import ImageError
from multiaxis.video.hold import hold, is_free

SEGMENT = 48
"""Frames between two points from which a run that was stopped goes on."""

_KEY, _LOCK = "key.json", ".lock"


class Segments:
    """A folder of finished segments.

    Attributes
    ----------
    folder, target : Path
    """

    def __init__(self, folder: Path, target: Path) -> None:
        self.folder, self.target = folder, target

    def path(self, index: int) -> Path:
        """Give the file of a segment."""
        return self.folder / f"{index:06}.seg"

    @property
    def joined(self) -> Path:
        """The output, before it gets its name."""
        return self.folder / "joined.part"

    def __iter__(self) -> Iterator[Path]:
        return iter(sorted(self.folder.glob("??????.seg")))

    def unwritten(self, error: Exception) -> ImageError:
        """Say that something could not be written, and how to go on."""
        kept = (
            "; the restored frames are kept: run the same command to continue" if any(self) else ""
        )
        return ImageError(
            f"cannot write {self.target}: {why(error)}; free space, or choose another folder with "
            f"-o{kept}"
        )


@contextlib.contextmanager
def open_segments(source: Path, target: Path, key: list[Any]) -> Generator[Segments]:
    """Hold the segments of a piece of work; those without any are removed at the end.

    Their folder is named by the work, not by its output, so that another output, or another kind
    of container, in the same folder goes on with them.

    Parameters
    ----------
    source, target : Path
    key : list
        What decides the segments' bytes, but for the source's content.

    Raises
    ------
    ImageError
        If another process has the same work or the same output in hand, or the folder cannot be
        made.
    """
    work = {"key": key, "source": identity(source)}
    folder = target.with_name(f".{_digest(work)}.segments")
    claim = target.with_name(f".{_digest(os.path.normcase(target.name))}.lock")
    segments = Segments(folder, target)
    with contextlib.ExitStack() as opened:
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            opened.enter_context(hold(claim))
            _clear_left(source, target, folder)
            folder.mkdir(exist_ok=True)
            opened.callback(_remove_empty, folder)  # when it is no longer held
            opened.enter_context(hold(folder / _LOCK))
            note = json.dumps({**work, "target": str(target.resolve())})
            _write_note(folder / _KEY, note)
        except TimeoutError as error:
            raise ImageError(
                f"{source} is being restored into {target}, or beside it with the same settings, "
                "by another process: wait until it ends"
            ) from error
        except OSError as error:
            raise segments.unwritten(error) from error
        try:
            yield segments
        finally:
            if not any(segments):
                _remove(folder)


def _write_note(path: Path, note: str) -> None:
    try:
        path.write_text(note, "utf-8")
    except OSError:  # a full disk holds the name, and none of the content
        path.unlink(missing_ok=True)
        raise


def frames_kept(source: Path, target: Path) -> int:
    """Count the frames of a clip that wait in segments for an output."""
    for folder in target.parent.glob(f".{'?' * 32}.segments"):
        try:
            note = json.loads((folder / _KEY).read_text("utf-8"))
        except (OSError, ValueError):
            continue
        if [note["source"][0], note["target"]] == [str(source.resolve()), str(target.resolve())]:
            return SEGMENT * sum(1 for _ in folder.glob("??????.seg"))
    return 0


def finish(segments: Segments) -> None:
    """Remove segments whose output has its name."""
    _remove(segments.folder)


def identity(path: Path) -> list[Any]:
    """Tell a file and its content from others.

    Raises
    ------
    ImageError
        If it is gone.
    """
    try:
        found = path.stat()
    except OSError as error:
        raise ImageError(f"cannot read {path}: {why(error)}; it was there before") from error
    return [str(path.resolve()), found.st_size, found.st_mtime_ns]


def why(error: Exception) -> str:
    """Say what went wrong, in the system's words."""
    return str(getattr(error, "strerror", None) or error)


def _digest(what: Any) -> str:
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()[:32]


def _remove(folder: Path) -> None:
    """Remove what a folder holds, its lock last: that shows that it is in use."""
    with contextlib.suppress(OSError):
        (folder / _KEY).unlink()  # from here on it is nobody's
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            if path.name != _LOCK:
                path.unlink()


def _remove_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):
        folder.rmdir()


def _clear_left(source: Path, target: Path, own: Path) -> None:
    """Remove folders that no run goes on with, and locks of processes that died."""
    for lock in target.parent.glob(f".{'?' * 32}.lock"):
        is_free(lock)
    for folder in target.parent.glob(f".{'?' * 32}.segments"):
        if folder == own or _is_wanted(folder, source, target):
            continue
        with contextlib.suppress(OSError), hold(folder / _LOCK):
            _remove(folder)
        _remove_empty(folder)


def _is_wanted(folder: Path, source: Path, target: Path) -> bool:
    """Tell whether its source is still the same, and the run at hand does not replace it."""
    try:
        note = json.loads((folder / _KEY).read_text("utf-8"))
        if identity(Path(note["source"][0])) != note["source"]:
            return False
        mine = [str(source.resolve()), str(target.resolve())]
        return [note["source"][0], note["target"]] != mine
    except (ImageError, OSError, ValueError, LookupError, TypeError):
        return False
