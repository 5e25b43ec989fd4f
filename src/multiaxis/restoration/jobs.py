"""Many files: what goes where, decided before anything is touched."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

from multiaxis.errors import ConfigError, ImageError, MultiaxisError, explain
from multiaxis.files import remote
from multiaxis.files.address import Remote, Where, to_where
from multiaxis.images import (
    DEFAULT_MEGAPIXELS,
    Probe,
    check_holds,
    check_several,
    open_several,
    probe_header,
    read_outline,
)
from multiaxis.images.formats import format_of
from multiaxis.restoration.inputs import Inputs, find_inputs
from multiaxis.restoration.ledger import check_ledger
from multiaxis.restoration.look import Look, say_taken
from multiaxis.restoration.output import Output

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """One file to restore.

    Attributes
    ----------
    input, output : Path or Remote
    width, height : int
        Of the input, upright; 0 where it lies at an address, until it is fetched.
    replaces : bool
        Whether the output may take the place of a file.
    pictures : int
        Pages or frames; 1 as a rule. Then width and height are the first one's.
    """

    input: Where
    output: Where
    width: int
    height: int
    replaces: bool = False
    pictures: int = 1

    @property
    def pixels(self) -> int:
        """Of the input, for estimates."""
        return self.width * self.height * self.pictures


@dataclass(frozen=True)
class Plan:
    """What is to be done.

    Attributes
    ----------
    jobs : tuple of Job
    refused : tuple of (Path or Remote, str)
        Inputs that cannot be done, and why.
    others : tuple of Path or Remote
        Files in the given folders that are of no kind that is read.
    earlier : tuple of Path or Remote
        Files that an earlier run wrote beside their inputs: they are not restored again.
    finished : tuple of (Path or Remote, Path or Remote)
        Inputs, and the outputs that an earlier run with the same settings finished.
    """

    jobs: tuple[Job, ...]
    refused: tuple[tuple[Where, str], ...]
    others: tuple[Where, ...] = ()
    earlier: tuple[Where, ...] = ()
    finished: tuple[tuple[Where, Where], ...] = ()


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
    earlier : bool
        Whether another run finished the output since the plan was made.
    width, height : int
        Of the input, upright, where it is known by now.
    """

    job: Job
    seconds: float
    error: str | None = None
    lost: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    earlier: bool = False
    width: int = 0
    height: int = 0

    @property
    def pixels(self) -> int:
        """Of the input."""
        return self.width * self.height * self.job.pictures or self.job.pixels


def plan_jobs(
    inputs: Sequence[str],
    output: str | None,
    *,
    suffix: str,
    options: Output = Output(),  # noqa: B008 (frozen)
    recursive: bool = False,
    resume: str | None = None,
    max_megapixels: float = DEFAULT_MEGAPIXELS,
) -> Plan:
    """Decide which file is restored into which, from names and file headers alone.

    Of inputs at addresses, from names alone: their headers are seen when they are fetched.

    Parameters
    ----------
    inputs : sequence of str
        Files, folders and shell patterns, here or at addresses (``s3://bucket/in``).
    output : str or None
        A folder; or a file, where one file is the only input. None puts each output beside its
        input.
    suffix : str
        Appended to the names of outputs that lie beside their inputs; what an earlier run wrote
        so is not restored again.
    options : Output
        How results are written.
    recursive : bool
        Whether folders inside folders count too; their tree is kept below `output`.
    resume : str, optional
        Digest of the settings (`ledger.settings_digest`): outputs that an earlier run finished
        with them, from inputs that are still the same, are left out.
    max_megapixels : float
        Larger inputs are refused.

    Raises
    ------
    ConfigError
        If the output is empty, or names a file where there are several inputs.
    """
    folder = to_where(output) if output else None
    if isinstance(folder, Remote):
        remote.check_address(folder)
    found = find_inputs(
        inputs,
        suffix if output is None else None,
        recursive=recursive,
        without=folder if folder and _is_folder(folder) else None,
    )
    targets = _targets(found, inputs, output, suffix, options)
    states = (look := Look()).states(targets, resume)
    jobs, refused = list[Job](), list(found.refused)
    finished, taken = list[tuple[Where, Where]](), dict[str, Where]()
    originals = {_real(path) for path in found.paths}
    for path, target in targets.items():
        if (state := states[path]) == "finished":
            finished.append((path, target))
        else:
            made = _job(path, target, options, max_megapixels, originals, taken, state, look)
            if isinstance(made, str) and not state and _is_finished(path, target, resume):
                finished.append((path, target))
            elif isinstance(made, str):
                refused.append((path, made))
                continue
            else:
                jobs.append(made)
        taken[_real(target)] = path
    return Plan(tuple(jobs), tuple(refused), found.others, found.earlier, tuple(finished))


def check_ledgers(plan: Plan) -> Plan:
    """Refuse what could not be noted when it is finished: a later run would not know of it."""
    reasons: dict[Where, str] = {}
    for folder in {job.output.parent for job in plan.jobs}:
        try:
            check_ledger(folder)
        except ImageError as error:
            reasons[folder] = str(error)
    if not reasons:
        return plan
    bad = [job for job in plan.jobs if job.output.parent in reasons]
    return replace(
        plan,
        jobs=tuple(job for job in plan.jobs if job.output.parent not in reasons),
        refused=(*plan.refused, *((job.input, reasons[job.output.parent]) for job in bad)),
    )


def _is_finished(path: Where, target: Where, settings: str | None) -> bool:
    """Look again: another run may have finished an output since the plan looked."""
    return Look().states({path: target}, settings)[path] == "finished"


def _targets(
    found: Inputs, words: Sequence[str], output: str | None, suffix: str, options: Output
) -> dict[Where, Where]:
    as_file = output is not None and _is_file_target(output, words, found.paths)
    return {
        path: _target(path, found.places[path], output, suffix, options, as_file=as_file)
        for path in found.paths
    }


def _job(
    path: Where,
    target: Where,
    options: Output,
    max_megapixels: float,
    originals: set[str],
    taken: dict[str, Where],
    state: str | ImageError,
    look: Look,
) -> Job | str:
    """Give the job, or why there is none."""
    if isinstance(state, ImageError):
        return str(state)
    replaces = options.overwrite or state == "ours"
    try:
        _check_names(target, originals, taken)
        if isinstance(target, Remote):
            look.check_free(target, overwrite=replaces)
        else:
            _check_target(target, overwrite=replaces)
        if isinstance(path, Remote):
            format_of(Path(target.name))
            return Job(path, target, 0, 0, replaces)
        named = Path(target.name) if isinstance(target, Remote) else target
        header, pictures = _probe(path, named, options, max_megapixels)
    except MultiaxisError as error:
        return say_why(path, error)
    except OSError as error:  # a name that is too long, a folder that may not be entered
        return f"cannot write {target}: {error.strerror}; choose another with -o"
    except Exception as error:  # noqa: BLE001 (whatever it is, it costs this file alone)
        _log.debug("%s cannot be planned", path, exc_info=True)
        return say_why(path, error)
    return Job(path, target, header.width, header.height, replaces, pictures)


def _probe(path: Path, target: Path, options: Output, max_megapixels: float) -> tuple[Probe, int]:
    """Look at the header, or at the first of several; give it and how many pictures there are."""
    data = read_outline(path)
    several = open_several(data, str(path), max_megapixels=max_megapixels)
    if several:
        check_several(target, several, depth=options.sample_type)
        return several.probes[0], several.count
    header = probe_header(data, str(path), max_megapixels=max_megapixels)
    check_holds(
        target,
        depth=options.sample_type or header.depth,
        alpha=header.alpha,
        height=header.height,
        width=header.width,
        extra=header.extra,
        hdr=header.hdr,
    )
    return header, 1


def say_why(where: Where, error: Exception) -> str:
    """Say what went wrong with a file, by its name."""
    reason = explain(error)
    return reason if str(where) in reason else f"{where}: {reason}"


def _is_file_target(output: str, inputs: Sequence[str], paths: Sequence[Where]) -> bool:
    if not output:
        raise ConfigError("the output is empty: name a folder or a file, or leave it out")
    target = to_where(output)
    if output.endswith(("/", os.sep)) or not target.suffix or _is_folder(target):
        return False
    is_single_file = len(inputs) == 1 and list(paths) == [to_where(inputs[0])]
    if paths and not is_single_file:
        raise ConfigError(
            f"the output {output} is named like a file, and a single input file goes into one: "
            f"for a folder of that name, end it with a slash ({output}/)"
        )
    return is_single_file


def _real(path: Where) -> str:
    """Follow links as far as they lead; unlike `Path.resolve`, without an error."""
    if isinstance(path, Remote):
        return remote.identity(path)
    try:
        return os.path.realpath(path)
    except ValueError:  # a null character
        return str(path)


def _is_folder(path: Where) -> bool:
    if isinstance(path, Remote):
        return remote.find_kind(path) == "directory"
    try:
        return path.is_dir()
    except (OSError, ValueError):  # too long a name, or a null character: found out for each file
        return False


def _target(
    path: Where, place: PurePath, output: str | None, suffix: str, options: Output, *, as_file: bool
) -> Where:
    written = options.suffix(Path(path.name))
    if output is None:
        return path.with_name(f"{path.stem}{suffix}{written}")
    folder = to_where(output)
    return folder if as_file else folder / place.with_suffix(written)


def _check_names(target: Where, originals: set[str], taken: dict[str, Where]) -> None:
    resolved = _real(target)
    if resolved in originals:
        raise ImageError(f"the output {target} is an input: originals are never replaced")
    if resolved in taken:
        raise ImageError(f"the output {target} is already that of {taken[resolved]}: rename one")


def _check_target(target: Path, *, overwrite: bool) -> None:
    if target.is_dir():
        raise ImageError(f"the output {target} is a folder: name a file, or end it with a slash")
    if target.exists() and not overwrite:
        raise ImageError(say_taken(target))
    folder = next(parent for parent in target.absolute().parents if parent.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise ImageError(f"the folder {folder} cannot be written to: choose another with -o")
