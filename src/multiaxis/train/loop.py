"""The loop: read it from top to bottom."""

from __future__ import annotations

import math
import signal
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from filelock import FileLock, Timeout
from torch import Tensor

from multiaxis.data.batch import Batch
from multiaxis.errors import ConfigError, TrainingError
from multiaxis.memory import is_out_of_memory
from multiaxis.train.checkpoint import clear_parts, save
from multiaxis.train.lines import LOG, read_lines
from multiaxis.train.log import Log, Report
from multiaxis.train.objective import Models
from multiaxis.train.optimiser import set_rate
from multiaxis.train.recipe import Recipe
from multiaxis.train.schedule import rate_at
from multiaxis.train.session import Session, batches, open_session, validate


@dataclass(frozen=True)
class Outcome:
    """How a training ended.

    Attributes
    ----------
    step : int
        Steps done.
    weights : Path
        The exported weights.
    score : float or None
        Of the last validation.
    stopped_by : int or None
        The signal that stopped it before its end; the same call goes on from there.
    """

    step: int
    weights: Path
    score: float | None
    stopped_by: int | None


def train(
    recipe: Recipe,
    folder: str | Path,
    *,
    models: Models | None = None,
    on_report: Callable[[Report], None] | None = None,
) -> Outcome:
    """Train, or go on with a training that was stopped.

    Started by a launcher (torchrun, accelerate launch), each process calls this.

    Parameters
    ----------
    recipe : Recipe
    folder : str or Path
        For checkpoints, the log and the weights. If it has a checkpoint of this recipe, training
        goes on from it, and gives what it would have given without the stop.
    models : mapping of str to Module, optional
        Trained in place of those that the recipe names.
    on_report : callable, optional
        Receives a `Report` now and then, in the main process.

    Returns
    -------
    Outcome

    Raises
    ------
    TrainingError
        If the folder holds another recipe's checkpoints or another training is at work there,
        gradients stay undefined, or the disk is full.
    MultiaxisError
        If model or data cannot be had.
    """
    folder = Path(folder)
    _make(folder)
    session = open_session(recipe, folder, models=models)
    with _alone(session), _signals() as signals, Log(session, on_report) as log:
        score = _run(session, log, signals)
        stopped = signals[0] if session.position.step < recipe.run.steps else None
        return Outcome(session.position.step, session.export(), score, stopped)


def _run(session: Session, log: Log, signals: list[int]) -> float | None:
    run, position, score = session.recipe.run, session.position, None
    bad_in_row = 0
    for passes in batches(session):
        rate = _set_rates(session)
        with _refusing_too_large(session):
            losses, norm = step(session, passes)
        position.step += 1
        if math.isfinite(norm):
            bad_in_row = 0
        else:
            position.skipped += 1
            bad_in_row += 1
            _check_patience(session, bad_in_row)
        is_last = position.step == run.steps
        is_scored = session.held_out is not None and (
            is_last or position.step % run.validate_every == 0
        )
        log.step(losses, norm, rate, passes, report=is_scored)
        if is_scored:
            with _refusing_too_large(session):
                scores = validate(session, log.complain)
            score = scores[session.objective.score]
            log.validated(scores, score)
        stops = _asked_to_stop(session, signals)
        if is_last or stops or position.step % run.save_every == 0:
            save(session.accelerator, session.recipe, session.folder, session.parts)
            session.export()
        if stops:
            break
    return score


def _set_rates(session: Session) -> float:
    """Set the rates of all optimisers for the next step; returns the first one's."""
    position, recipe = session.position, session.recipe
    rates = [
        set_rate(optimiser, rate_at(position.step, recipe.run.steps, recipe.optim_of(turn)))
        for turn, optimiser in session.optimisers.items()
    ]
    return rates[0]


def step(session: Session, passes: list[Batch]) -> tuple[dict[str, Tensor], float]:
    """Move the parameters of every model once, one model after the other.

    Returns
    -------
    losses : dict of str to Tensor
        By name, means over the passes of this process. Where several models have turns, a name
        begins with the turn's: ``refiner.l1``.
    norm : float
        Of all gradients before clipping. Where those of a model are not finite, it was not moved.
    """
    losses: dict[str, Tensor] = {}
    norms: list[float] = []
    turns = session.objective.turns
    for turn in turns:
        found, norm = _move(session, turn, passes)
        prefix = "" if len(turns) == 1 else f"{turn}."
        losses.update({prefix + name: value for name, value in found.items()})
        norms.append(norm)
    return losses, math.hypot(*norms)


def _move(session: Session, turn: str, passes: list[Batch]) -> tuple[dict[str, Tensor], float]:
    session.statistics.keep()
    accelerator, trained, optimiser = session.accelerator, session.trained, session.optimisers[turn]
    total: dict[str, Tensor] = {}
    for k, batch in enumerate(passes):
        with _gradients_of(session, turn, shared=k == len(passes) - 1):
            with accelerator.autocast():
                losses = _mean_losses(session, batch, turn)
            loss = torch.stack(list(losses.values())).sum() / len(passes)
            accelerator.backward(loss)
        for name, value in losses.items():
            total[name] = total.get(name, 0) + value.detach() / len(passes)
    limit = session.recipe.optim_of(turn).clip or math.inf
    norm = float(accelerator.clip_grad_norm_(trained[turn].parameters(), limit))  # pyright: ignore[reportArgumentType]
    # With float16 the scaler has to see bad gradients, and skips the step itself.
    if math.isfinite(norm) or accelerator.scaler is not None:
        optimiser.step()
    if not math.isfinite(norm):
        session.statistics.put_back()
    elif session.average is not None and turn == session.objective.exported:
        session.average.update_parameters(session.exported)
    for model in trained.values():  # a loss may reach into models that it does not move
        model.zero_grad()
    return total, norm


def _mean_losses(session: Session, batch: Batch, turn: str) -> dict[str, Tensor]:
    try:
        losses = session.objective.losses(session.trained, batch, turn)
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):  # PyTorch's own words
            raise
        raise ConfigError(
            "a batch norm sees one value of each channel, from which it learns nothing: set "
            "run.batch=2 or more, or give it larger pictures"
        ) from error
    if not losses:
        raise ConfigError(f"the objective has no losses for the turn of {turn}: give at least one")
    for name, each in losses.items():
        if each.shape != (len(batch),):
            raise ConfigError(
                f"the loss {name} of {len(batch)} samples has the shape {tuple(each.shape)}: "
                "accepted is a value for each sample"
            )
    weight: Any = batch.fields.get("weight", 1)
    return {name: (each.float() * weight).mean() for name, each in losses.items()}


@contextmanager
def _gradients_of(session: Session, turn: str, *, shared: bool) -> Generator[None]:
    """Let processes share the gradients of one model, after its last pass, and of no other."""
    with ExitStack() as stack:
        for name, model in session.trained.items():
            if name != turn or not shared:
                stack.enter_context(session.accelerator.no_sync(model))
        yield


@contextmanager
def _refusing_too_large(session: Session) -> Generator[None]:
    """Say what makes a step smaller, where a device ran out of memory."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise TrainingError(
            f"{session.accelerator.device} ran out of memory at step {session.position.step + 1}: "
            f"halve run.batch ({session.recipe.run.batch}) and double run.accumulate "
            f"({session.recipe.run.accumulate}), which gives the same steps, or set "
            "run.recompute=true; the last checkpoint is whole, and the same command goes on from it"
        ) from error


def _check_patience(session: Session, bad_in_row: int) -> None:
    run, position = session.recipe.run, session.position
    if bad_in_row >= run.patience:
        raise TrainingError(
            f"gradients were infinite or undefined in {bad_in_row} steps in a row, up to step "
            f"{position.step}: nothing of them was saved. Lower optim.lr, set optim.clip=1, or "
            "use run.precision=no; the last checkpoint is whole"
        )


def _asked_to_stop(session: Session, signals: list[int]) -> bool:
    accelerator = session.accelerator
    if accelerator.num_processes == 1:
        return bool(signals)
    asked = torch.tensor(float(bool(signals)), device=accelerator.device)
    total: Any = accelerator.reduce(asked)
    if total > 0 and not signals:
        signals.append(signal.SIGTERM)  # another process was told
    return bool(total > 0)


@contextmanager
def _signals() -> Generator[list[int]]:
    """Note SIGTERM and the first Ctrl-C, so that the step is finished and saved."""
    received: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        if received and number == signal.SIGINT:
            raise KeyboardInterrupt
        received.append(number)

    try:
        before = {n: signal.signal(n, note) for n in (signal.SIGTERM, signal.SIGINT)}
    except ValueError:  # not the main thread: whoever runs it there handles signals
        yield received
        return
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _alone(session: Session) -> Generator[None]:
    """Keep a second training out of the folder; the system frees the lock of one that dies."""
    if not session.accelerator.is_main_process:
        yield
        return
    lock = FileLock(session.folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise TrainingError(
            f"another training uses {session.folder}: wait for it, or name another folder"
        ) from error
    except OSError as error:
        raise _cannot_write(session.folder, error) from error
    try:
        clear_parts(session.folder)
        yield
    finally:
        lock.release()


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ".lock").touch()
    except OSError as error:
        raise _cannot_write(folder, error) from error


def _cannot_write(folder: Path, error: OSError) -> TrainingError:
    return TrainingError(
        f"cannot write into {folder} ({error.strerror}): name another folder with --output"
    )


def read_log(folder: str | Path) -> list[dict[str, Any]]:
    """Read the log of a training: one entry for each report.

    Raises
    ------
    TrainingError
        If it is no log, or cannot be read.
    """
    path = Path(folder) / LOG
    try:
        return read_lines(path)
    except OSError as error:
        raise TrainingError(f"cannot read {path} ({error.strerror}): check the folder") from error
