"""Many files: what goes where, decided before anything is touched."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from multiaxis.errors import ConfigError, ImageError, MissingExtraError
from multiaxis.images import DEFAULT_MEGAPIXELS, check_holds, probe_picture
from multiaxis.restoration.inputs import find_inputs
from multiaxis.restoration.ledger import find_state, read_entries
from multiaxis.restoration.output import Output


@dataclass(frozen=True)
class Job:
    """One file to restore.

    Attributes
    ----------
    input, output : Path
    width, height : int
        Of the input, upright.
    replaces : bool
        Whether the output may take the place of a file.
    """

    input: Path
    output: Path
    width: int
    height: int
    replaces: bool = False

    @property
    def pixels(self) -> int:
        """Of the input, for estimates."""
        return self.width * self.height


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
    finished : tuple of (Path, Path)
        Inputs, and the outputs that an earlier run with the same settings finished.
    """

    jobs: tuple[Job, ...]
    refused: tuple[tuple[Path, str], ...]
    others: tuple[Path, ...] = ()
    earlier: tuple[Path, ...] = ()
    finished: tuple[tuple[Path, Path], ...] = ()


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
    options: Output = Output(),  # noqa: B008 (frozen)
    recursive: bool = False,
    resume: str | None = None,
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
    beside = output is None
    found = find_inputs(
        inputs,
        suffix if beside else None,
        recursive=recursive,
        without=Path(output) if output and _is_folder(Path(output)) else None,
    )
    as_file = output is not None and _is_file_target(output, inputs, found.paths)
    jobs: list[Job] = []
    refused = list(found.refused)
    finished: list[tuple[Path, Path]] = []
    taken: dict[str, Path] = {}
    originals = {_real(path) for path in found.paths}
    for path in found.paths:
        target = _target(path, found.places[path], output, suffix, options, as_file=as_file)
        state = "" if resume is None else _state(path, target, resume)
        if state == "finished":
            finished.append((path, target))
        else:
            may_replace = options.overwrite or state == "ours"
            made = _job(path, target, options, max_megapixels, originals, taken, may_replace)
            if isinstance(made, str):
                refused.append((path, made))
                continue
            jobs.append(made)
        taken[_real(target)] = path
    return Plan(tuple(jobs), tuple(refused), found.others, found.earlier, tuple(finished))


def _job(
    path: Path,
    target: Path,
    options: Output,
    max_megapixels: float,
    originals: set[str],
    taken: dict[str, Path],
    replaces: bool,  # noqa: FBT001 (private)
) -> Job | str:
    """Give the job, or why there is none."""
    try:
        _check_target(target, originals, taken, overwrite=replaces)
        header = probe_picture(path, max_megapixels=max_megapixels)
        check_holds(
            target,
            depth=options.sample_type or header.depth,
            alpha=header.alpha,
            height=header.height,
            width=header.width,
        )
    except (ImageError, MissingExtraError) as error:
        return str(error)
    except OSError as error:  # a name that is too long, a folder that may not be entered
        return f"cannot write {target}: {error.strerror}; choose another with -o"
    return Job(path, target, header.width, header.height, replaces)


def _state(path: Path, target: Path, settings: str) -> str:
    if not os.path.isfile(target):  # noqa: PTH113 (impossible names are no error here)
        return ""
    entries = read_entries(target.parent).get(target.name, [])
    return find_state(entries, path, target, settings)


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


def _target(
    path: Path, place: Path, output: str | None, suffix: str, options: Output, *, as_file: bool
) -> Path:
    if output is None:
        return path.with_name(f"{path.stem}{suffix}{options.suffix(path)}")
    return Path(output) if as_file else Path(output) / place.with_suffix(options.suffix(path))


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
        raise ImageError(
            f"the output {target} exists: pass --overwrite to replace it, --resume to go on with a "
            "batch, or choose another with -o"
        )
    folder = next(parent for parent in target.absolute().parents if parent.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise ImageError(f"the folder {folder} cannot be written to: choose another with -o")
