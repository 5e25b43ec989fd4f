"""Many files: what goes where, decided before anything is touched; then one after the other."""

from __future__ import annotations

import glob
import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from multiaxis.errors import ImageError, MultiaxisError
from multiaxis.images import (
    DEFAULT_MEGAPIXELS,
    READABLE_SUFFIXES,
    check_holds,
    list_pictures,
    probe_picture,
    read_picture,
    write_picture,
)
from multiaxis.restoration.restorer import Restorer


@dataclass(frozen=True)
class Job:
    """One file to restore.

    Attributes
    ----------
    input, output : Path
    pixels : int
        Of the input, for estimates.
    """

    input: Path
    output: Path
    pixels: int


@dataclass(frozen=True)
class Plan:
    """What is to be done.

    Attributes
    ----------
    jobs : tuple of Job
    refused : tuple of (Path, str)
        Inputs that cannot be done, and why.
    """

    jobs: tuple[Job, ...]
    refused: tuple[tuple[Path, str], ...]


@dataclass(frozen=True)
class Result:
    """What became of a job.

    Attributes
    ----------
    job : Job
    seconds : float
    error : str or None
        None where the output was written.
    lost : tuple of str
        Metadata that the output's format could not hold, such as ``"exif"``.
    """

    job: Job
    seconds: float
    error: str | None = None
    lost: tuple[str, ...] = ()


def plan_jobs(
    inputs: Sequence[str],
    output: str | None,
    *,
    suffix: str,
    overwrite: bool = False,
    max_megapixels: float = DEFAULT_MEGAPIXELS,
) -> Plan:
    """Decide which file is restored into which, from names and file headers alone.

    Parameters
    ----------
    inputs : sequence of str
        Files, folders and shell patterns.
    output : str or None
        A folder; or a file, where one file is the only input. None puts each output beside its
        input.
    suffix : str
        Appended to the names of outputs that lie beside their inputs.
    overwrite : bool
        Whether outputs may replace files. An input is never replaced.
    max_megapixels : float
        Larger inputs are refused.
    """
    paths, refused = _expand(inputs, suffix)
    as_file = output is not None and _is_file_target(output, inputs, paths)
    jobs: list[Job] = []
    taken: dict[Path, Path] = {}
    originals = {path.resolve() for path in paths}
    for path in paths:
        target = _target(path, output, suffix, as_file=as_file)
        try:
            _check_target(target, originals, taken, overwrite=overwrite)
            header = probe_picture(path, max_megapixels=max_megapixels)
            check_holds(
                target,
                depth=header.depth,
                alpha=header.alpha,
                height=header.height,
                width=header.width,
            )
        except ImageError as error:
            refused.append((path, str(error)))
        else:
            taken[target.resolve()] = path
            jobs.append(Job(path, target, header.width * header.height))
    return Plan(tuple(jobs), tuple(refused))


def run_jobs(
    restorer: Restorer,
    jobs: Iterable[Job],
    *,
    overwrite: bool = False,
    max_megapixels: float = DEFAULT_MEGAPIXELS,
    on_result: Callable[[Result], None] | None = None,
) -> list[Result]:
    """Restore file after file. One that fails is recorded, and the next is done.

    Parameters
    ----------
    restorer : Restorer
    jobs : iterable of Job
        From `plan_jobs`.
    overwrite, max_megapixels
        As in `plan_jobs`.
    on_result : callable, optional
        Receives each `Result` at once.
    """
    results: list[Result] = []
    for job in jobs:
        start, error, lost = time.monotonic(), None, ()
        try:
            picture = read_picture(job.input, max_megapixels=max_megapixels)
            job.output.parent.mkdir(parents=True, exist_ok=True)
            restored = restorer.restore_picture(picture)
            lost = write_picture(job.output, restored, overwrite=overwrite)
        except MultiaxisError as failure:
            error = str(failure)
        except OSError as failure:
            error = f"cannot make the folder {job.output.parent}: {failure.strerror}"
        results.append(Result(job, time.monotonic() - start, error, lost))
        if on_result:
            on_result(results[-1])
    return results


def _expand(inputs: Sequence[str], suffix: str) -> tuple[list[Path], list[tuple[Path, str]]]:
    paths: dict[Path, None] = {}
    refused: list[tuple[Path, str]] = []
    for text in inputs:
        path = Path(text)
        if not text:
            refused.append((path, "an input is empty: name a file, a folder or a pattern"))
            continue
        found: list[Path] = [path]
        if path.is_dir():
            found = _without_outputs(list_pictures(path), suffix)
        elif not path.exists() and glob.has_magic(text):
            matches = map(Path, glob.iglob(text, recursive=True))  # noqa: PTH207 (absolute too)
            found = _without_outputs(sorted(p for p in matches if p.is_file()), suffix)
        if not found:
            kinds = " ".join(sorted(READABLE_SUFFIXES))
            refused.append((path, f"{path} holds no pictures to restore ({kinds})"))
        paths.update(dict.fromkeys(found))
    return list(paths), refused


def _without_outputs(paths: list[Path], suffix: str) -> list[Path]:
    """Leave out what an earlier run wrote beside its input."""
    present = set(paths)

    def is_output(path: Path) -> bool:
        return path.stem.endswith(suffix) and (
            path.with_name(path.stem.removesuffix(suffix) + path.suffix) in present
        )

    return [path for path in paths if not is_output(path)]


def _is_file_target(output: str, inputs: Sequence[str], paths: list[Path]) -> bool:
    target = Path(output)
    is_named_like_a_folder = output.endswith(("/", os.sep)) or not target.suffix or target.is_dir()
    is_single_file = len(inputs) == 1 and len(paths) == 1 and paths[0] == Path(inputs[0])
    return is_single_file and not is_named_like_a_folder


def _target(path: Path, output: str | None, suffix: str, *, as_file: bool) -> Path:
    if output is None:
        return path.with_name(f"{path.stem}{suffix}{path.suffix}")
    return Path(output) if as_file else Path(output) / path.name


def _check_target(
    target: Path, originals: set[Path], taken: dict[Path, Path], *, overwrite: bool
) -> None:
    resolved = target.resolve()
    if resolved in originals:
        raise ImageError(f"the output {target} is an input: originals are never replaced")
    if resolved in taken:
        raise ImageError(f"the output {target} is already that of {taken[resolved]}: rename one")
    if target.is_dir():
        raise ImageError(f"the output {target} is a folder: name a file, or end it with a slash")
    if target.exists() and not overwrite:
        raise ImageError(f"the output {target} exists: pass --overwrite, or choose another with -o")
    folder = next(parent for parent in target.absolute().parents if parent.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise ImageError(f"the folder {folder} cannot be written to: choose another with -o")
