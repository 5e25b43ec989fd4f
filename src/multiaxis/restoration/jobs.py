"""Many files: what goes where, decided before anything is touched; then one after the other."""

from __future__ import annotations

import logging
import os
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from multiaxis.errors import ConfigError, ImageError, explain
from multiaxis.images import (
    DEFAULT_MEGAPIXELS,
    check_holds,
    check_write,
    probe_picture,
    read_picture,
    write_picture,
)
from multiaxis.restoration.inputs import find_inputs
from multiaxis.restoration.restorer import Restorer
from multiaxis.streaming.streamed import OnFraction

_log = logging.getLogger(__name__)


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
    others : tuple of Path
        Files in the given folders that are of no kind that is read.
    earlier : tuple of Path
        Files that an earlier run wrote beside their inputs: they are not restored again.
    """

    jobs: tuple[Job, ...]
    refused: tuple[tuple[Path, str], ...]
    others: tuple[Path, ...] = ()
    earlier: tuple[Path, ...] = ()


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
    remarks : tuple of str
        What else a user should know, such as that 16 bits did not do.
    """

    job: Job
    seconds: float
    error: str | None = None
    lost: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


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
        Appended to the names of outputs that lie beside their inputs; what an earlier run wrote
        so is not restored again.
    overwrite : bool
        Whether outputs may replace files. An input is never replaced.
    max_megapixels : float
        Larger inputs are refused.

    Raises
    ------
    ConfigError
        If the output is empty, or names a file where there are several inputs.
    """
    found = find_inputs(inputs, suffix if output is None else None)
    as_file = output is not None and _is_file_target(output, inputs, found.paths)
    jobs: list[Job] = []
    refused = list(found.refused)
    taken: dict[str, Path] = {}
    originals = {_real(path) for path in found.paths}
    for path in found.paths:
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
        except OSError as error:  # a name that is too long, a folder that may not be entered
            reason = f"cannot write {target}: {error.strerror}; choose another with -o"
            refused.append((path, reason))
        else:
            taken[_real(target)] = path
            jobs.append(Job(path, target, header.width * header.height))
    return Plan(tuple(jobs), tuple(refused), found.others, found.earlier)


def run_jobs(
    restorer: Restorer,
    jobs: Iterable[Job],
    *,
    overwrite: bool = False,
    max_megapixels: float = DEFAULT_MEGAPIXELS,
    on_result: Callable[[Result], None] | None = None,
    on_progress: OnFraction | None = None,
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
    on_progress : callable, optional
        Receives the finished fraction of the file in work.
    """
    results: list[Result] = []
    for job in jobs:
        start, error, lost = time.monotonic(), None, ()
        remarks: list[str] = []
        try:
            picture = read_picture(job.input, max_megapixels=max_megapixels)
            _make_folder(job.output.parent)
            check_write(job.output, picture, overwrite=overwrite)
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always", RuntimeWarning)
                restored = restorer.restore_picture(picture, on_progress=on_progress)
            remarks = [str(warning.message) for warning in caught]
            lost = write_picture(job.output, restored, overwrite=overwrite)
        except Exception as failure:  # noqa: BLE001 (whatever it is, the other files are not lost)
            _log.debug("%s failed", job.input, exc_info=True)
            error = explain(failure)
            if str(job.input) not in error:
                error = f"{job.input}: {error}"
        seconds = time.monotonic() - start
        results.append(Result(job, seconds, error, lost, tuple(remarks)))
        if on_result:
            on_result(results[-1])
    return results


def _is_file_target(output: str, inputs: Sequence[str], paths: Sequence[Path]) -> bool:
    if not output:
        raise ConfigError("the output is empty: name a folder or a file, or leave it out")
    target = Path(output)
    if output.endswith(("/", os.sep)) or not target.suffix or _is_folder(target):
        return False
    is_single_file = len(inputs) == 1 and list(paths) == [Path(inputs[0])]
    if paths and not is_single_file:
        raise ConfigError(
            f"the output {output} is named like a file, and a single input file goes into one: "
            f"for a folder of that name, end it with a slash ({output}/)"
        )
    return is_single_file


def _real(path: Path) -> str:
    """Follow links as far as they lead; unlike `Path.resolve`, without an error."""
    try:
        return os.path.realpath(path)
    except ValueError:  # a null character
        return str(path)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):  # too long a name, or a null character: found out for each file
        return False


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ImageError(
            f"cannot make the folder {folder}: {error.strerror}; choose another with -o"
        ) from error


def _target(path: Path, output: str | None, suffix: str, *, as_file: bool) -> Path:
    if output is None:
        return path.with_name(f"{path.stem}{suffix}{path.suffix}")
    return Path(output) if as_file else Path(output) / path.name


def _check_target(
    target: Path, originals: set[str], taken: dict[str, Path], *, overwrite: bool
) -> None:
    resolved = _real(target)
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
