"""Which model restores in a given time, and what the other one would have taken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from multiaxis.cli import console
from multiaxis.cli.batch import run_batch
from multiaxis.errors import ConfigError
from multiaxis.tasks.restore.selection import models_of, split_tasks, split_weights, weights_of

if TYPE_CHECKING:
    from multiaxis.batch import Batch, Request
    from multiaxis.tasks.restore.verb import Restore

SLOW = 30.0  # seconds from which on a run is told of the quicker model


def check_within(
    model: str, within: str | None, weights: str | None, *, resume: bool, draws: bool
) -> None:
    """Refuse a time without ``auto``, and ``auto`` without a time or where nothing is to choose.

    Raises
    ------
    ConfigError
        Says which it is.
    """
    if model != "auto" and within is not None:
        raise ConfigError(f"--within {within} is for --model auto: pass both, or neither")
    if model == "auto" and within is None:
        raise ConfigError("--model auto needs the time that it may take: add --within 60s")
    if model == "auto" and weights is not None:
        raise ConfigError(f"received --model auto and --weights {weights}: give one of them")
    if model == "auto" and draws:
        raise ConfigError(
            "--model auto chooses between the exact model and the fast one, and answers are drawn "
            "by neither: leave --model and --within out"
        )
    if model == "auto" and resume:
        raise ConfigError(
            "--resume goes on with the model that was begun with, and --model auto may choose "
            "another: name it, --model full or --model fast"
        )


def choose(verb: Restore, request: Request, within: str, *, quiet: bool) -> Restore:
    """Take the exact model where it is quick enough for all inputs together, else the fast one.

    Parameters
    ----------
    verb : Restore
        With the exact model.
    request : Request
    within : str
        A time, such as ``"60s"``.
    quiet : bool
        Do not say what was chosen.

    Raises
    ------
    ConfigError
        If the time is none.
    """
    from multiaxis.batch import plan
    from multiaxis.tasks.restore.timing import Timing, parse_seconds

    task, limit = str(verb.arguments["task"]), parse_seconds(within)
    planned = plan(verb, request)
    tasks = split_tasks(task)
    kinds = [models_of(name) for name in tasks]
    if not planned.jobs:
        return verb
    if alone := [name for name, kind in zip(tasks, kinds, strict=True) if "fast" not in kind]:
        console.note(f"exact model: there is no fast one for {', '.join(alone)}", quiet=quiet)
        return verb
    fast = replace(verb, arguments={**verb.arguments, "weights": weights_of(task, "fast")})
    if not planned.is_measured:
        console.note("fast model: sizes at addresses are not known before", quiet=quiet)
        return fast
    timing, names = Timing(verb.arguments), [kind["full"] for kind in kinds]
    amount = sum(job.header.amount for job in planned.jobs)
    seconds = timing.seconds(names, amount)
    said = f"the exact model takes about {console.duration(seconds)} here"
    console.note(f"{'exact' if seconds <= limit else 'fast'} model: {said}", quiet=quiet)
    return verb if seconds <= limit else fast


def run_and_reckon(verb: Restore, request: Request, *, dry_run: bool, quiet: bool) -> int:
    """Run a batch as `run_batch`; remember how long it took, and tell of a quicker model."""
    told: list[str] = []

    def remember(batch: Batch) -> list[str]:
        arguments, names = verb.arguments, _published(verb.arguments)
        done = [r for r in batch.results if r.error is None and not r.earlier and r.header.amount]
        if names and done and arguments.get("tile") is None:
            # One after the other: without the start. Several at once: no more than the whole.
            seconds = min(batch.seconds, sum(result.seconds for result in done))
            megapixels = sum(result.header.amount for result in done)
            told.extend(_reckon(arguments, names, seconds, megapixels))
        return []

    code = run_batch(verb, request, dry_run=dry_run, quiet=quiet, at_end=remember)
    for line in told:
        console.note(line, quiet=quiet)
    return code


def _published(arguments: Mapping[str, Any]) -> list[str] | None:
    """Name the published checkpoints of a run; None where a file is among them, or it draws."""
    from multiaxis.weights.index import is_known

    if arguments.get("sampling") is not None:
        return None
    names = split_weights(arguments["weights"], split_tasks(str(arguments["task"])))
    known = [str(name) for name in names if is_known(str(name))]
    return known if len(known) == len(names) else None


def _reckon(
    arguments: Mapping[str, Any], names: list[str], seconds: float, megapixels: float
) -> list[str]:
    from multiaxis.tasks.restore.timing import Timing

    timing = Timing(arguments)
    timing.add(names, seconds, megapixels)
    kinds = [models_of(task) for task in split_tasks(str(arguments["task"]))]
    is_exact = arguments["weights"] is None
    if not is_exact or seconds < SLOW or not all("fast" in kind for kind in kinds):
        return []
    other = timing.seconds([kind["fast"] for kind in kinds], megapixels)
    return [f"--model fast would take about {console.duration(other)}, and be less exact"]
