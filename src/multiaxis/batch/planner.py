"""What goes where, decided before anything is touched: from names, headers and ledgers."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePath

from multiaxis.batch.inputs import Inputs, find_inputs
from multiaxis.batch.job import Finished, Job, Plan
from multiaxis.batch.ledger import check_ledger, is_ours, settings_digest
from multiaxis.batch.request import Request
from multiaxis.batch.states import State, States, say_taken
from multiaxis.batch.verb import File, Verb
from multiaxis.errors import ConfigError, ImageError, MultiaxisError, say_why
from multiaxis.files import remote
from multiaxis.files.address import Remote, Where, to_where
from multiaxis.files.names import fold_name

_log = logging.getLogger(__name__)


def make_plan(verb: Verb, request: Request) -> Plan:
    """Decide what is done with which file, from names and file headers alone.

    Of inputs at addresses, from names alone: their headers are seen when they are fetched.

    Raises
    ------
    ConfigError
        If the output is empty, or names a file where there are several inputs.
    """
    folder = to_where(request.output) if request.output else None
    if isinstance(folder, Remote):
        remote.check_address(folder)
    found = find_inputs(
        request.inputs,
        verb,
        beside="" if request.output else verb.beside,
        recursive=request.recursive,
        without=folder if folder and _is_folder(folder) else None,
    )
    targets = _targets(found, request, verb)
    settings = {path: settings_digest(verb.settings(path.name)) for path in targets}
    report = None if request.report is None else to_where(request.report)
    look = States()
    known = look.find(targets, settings if request.resume else None, report)
    planner = _Planner(verb, request, look, found)
    for path, target in targets.items():
        planner.add(path, target, known[path], settings[path])
    return planner.plan


def check_ledgers(plan: Plan) -> Plan:
    """Refuse what could not be noted when it is finished: a later run would not know of it."""
    reasons: dict[Where, str] = {}
    for folder in {job.output.parent for job in plan.jobs if job.output is not None}:
        try:
            check_ledger(folder)
        except ImageError as error:
            reasons[folder] = str(error)
    refused = [(job.input, reasons[f]) for job in plan.jobs if (f := _folder(job)) in reasons]
    jobs = tuple(job for job in plan.jobs if _folder(job) not in reasons)
    return replace(plan, jobs=jobs, refused=(*plan.refused, *refused))


def _folder(job: Job) -> Where | None:
    return None if job.output is None else job.output.parent


class _Planner:
    """Decides file after file; what an earlier one takes is taken."""

    def __init__(self, verb: Verb, request: Request, look: States, found: Inputs) -> None:
        self.verb, self.request, self.look = verb, request, look
        self.originals = {_identity(path) for path in found.paths}
        self.taken: dict[str, Where] = {}
        self.plan = Plan((), found.refused, found.others, found.earlier, (), found.folders)

    def add(
        self, path: Where, target: Where | None, state: State | ImageError, settings: str
    ) -> None:
        """Plan one more input."""
        plan = self.plan
        made = self._decide(path, target, state)
        if isinstance(made, str) and target is not None and state == State():
            # Another run may have finished it since it was looked at.
            again = States().find({path: target}, {path: settings} if self.request.resume else None)
            found = again[path]
            if isinstance(found, State) and found.name == "finished":
                made = Finished(path, target, found.record)
        if isinstance(made, str):
            self.plan = replace(plan, refused=(*plan.refused, (path, made)))
            return
        if isinstance(made, Finished):
            self.plan = replace(plan, finished=(*plan.finished, made))
        else:
            self.plan = replace(plan, jobs=(*plan.jobs, made))
        for where in self._files(target):
            self.taken[_identity(where)] = path

    def _files(self, target: Where | None) -> list[Where]:
        """List the output and what is written beside it."""
        if target is None:
            return []
        return [target, *self.verb.more_files(target)]

    def _decide(
        self, path: Where, target: Where | None, state: State | ImageError
    ) -> Job | Finished | str:
        """Give the job, or why there is none."""
        if isinstance(state, State) and state.name == "finished":
            if all(map(_may_be_there, self._files(target)[1:])):
                return Finished(path, target, state.record)
            state = State("ours")  # someone has removed a part of it
        try:
            return self._job(path, target, state)
        except MultiaxisError as error:
            return say_why(path, error)
        except OSError as error:  # a name that is too long, a folder that may not be entered
            return f"cannot write {target or path}: {error.strerror}; choose another with -o"
        except Exception as error:  # noqa: BLE001 (whatever it is, it costs this file alone)
            _log.debug("%s cannot be planned", path, exc_info=True)
            return say_why(path, error)

    def _job(self, path: Where, target: Where | None, state: State | ImageError) -> Job:
        if isinstance(state, ImageError):
            raise state
        replaces = self.request.overwrite or state.name == "ours"
        for where in self._files(target):
            left_over = self.request.resume and where != target and _is_ours(where)
            self._check_target(where, replaces=replaces or left_over)
        if isinstance(path, Remote):
            self.verb.check_address(path)
            return Job(path, target, replaces=replaces)
        return Job(path, target, self.verb.check(File(path, str(path), target, replaces)), replaces)

    def _check_target(self, target: Where, *, replaces: bool) -> None:
        name = _identity(target)
        if name in self.originals:
            raise ImageError(f"the output {target} is an input: originals are never replaced")
        if name in self.taken:
            raise ImageError(
                f"the output {target} is already the output of {self.taken[name]}: rename one"
            )
        if isinstance(target, Remote):
            self.look.check_free(target, overwrite=replaces)
        else:
            _check_place(target, overwrite=replaces)


def _may_be_there(where: Where) -> bool:
    return isinstance(where, Remote) or where.is_file()


def _is_ours(where: Where) -> bool:
    """Tell whether a run that was stopped wrote a file, and then not its output."""
    return not isinstance(where, Remote) and where.is_file() and is_ours(where)


def _targets(found: Inputs, request: Request, verb: Verb) -> dict[Where, Where | None]:
    output = request.output
    as_file = output is not None and _is_file_target(output, request.inputs, found.paths)
    return {
        path: _target(path, found.places[path], output, verb, as_file=as_file)
        for path in found.paths
    }


def _target(
    path: Where, place: PurePath, output: str | None, verb: Verb, *, as_file: bool
) -> Where | None:
    name = verb.output_name(path.name)
    if name is None:
        return None
    if output is None:
        return path.with_name(f"{PurePath(name).stem}{verb.beside}{PurePath(name).suffix}")
    folder = to_where(output)
    return folder if as_file else folder / place.with_name(name)


def _is_file_target(output: str, inputs: Sequence[str], paths: Sequence[Where]) -> bool:
    if not output:
        raise ConfigError("the output is empty: name a folder or a file, or leave it out")
    target = to_where(output)
    if output.endswith(("/", os.sep)) or not target.suffix or _is_folder(target):
        return False
    is_single_file = len(inputs) == 1 and list(paths) == [to_where(inputs[0])]
    if paths and not is_single_file:
        raise ConfigError(
            f"the output {output} is named like a file, which takes a single input file: "
            f"for a folder of that name, end it with a slash ({output}/)"
        )
    return is_single_file


def _identity(where: Where) -> str:
    """Give what tells a file: names that differ in case alone are one where the folder says so."""
    if isinstance(where, Remote):
        return remote.identity(where)
    try:
        real = Path(os.path.realpath(where))  # unlike `Path.resolve`, without an error
    except ValueError:  # a null character
        return str(where)
    return fold_name(real)


def _is_folder(path: Where) -> bool:
    if isinstance(path, Remote):
        return remote.find_kind(path) == "directory"
    try:
        return path.is_dir()
    except (OSError, ValueError):  # too long a name, or a null character: found out for each file
        return False


def _check_place(target: Path, *, overwrite: bool) -> None:
    if target.is_dir():
        raise ImageError(f"the output {target} is a folder: name a file, or end it with a slash")
    if target.exists() and not overwrite:
        raise ImageError(say_taken(target))
    folder = next(parent for parent in target.absolute().parents if parent.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise ImageError(f"the folder {folder} cannot be written to: choose another with -o")
