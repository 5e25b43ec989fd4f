"""The loop: read it from top to bottom."""

from __future__ import annotations

import math
import signal
from collections.abc import Callable, Generator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from filelock import FileLock, Timeout
from torch import Tensor, nn

from multiaxis.data.source import Sample
from multiaxis.errors import TrainingError
from multiaxis.recipes.recipe import Recipe
from multiaxis.train.checkpoint import clear_parts, save
from multiaxis.train.lines import LOG, read_lines
from multiaxis.train.log import Log, Report
from multiaxis.train.optimiser import set_rate
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
    model: nn.Module | None = None,
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
    model : Module, optional
        Trained in place of the one that the recipe names.
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
    session = open_session(recipe, folder, model=model)
    with _alone(session), _signals() as signals, Log(session, on_report) as log:
        score = _run(session, log, signals)
        stopped = signals[0] if session.position.step < recipe.run.steps else None
        return Outcome(session.position.step, session.export(), score, stopped)


def _run(session: Session, log: Log, signals: list[int]) -> float | None:
    run, position, score = session.recipe.run, session.position, None
    bad_in_row = 0
    for passes in batches(session):
        share = rate_at(position.step, run.steps, session.recipe.optim)
        rate = set_rate(session.optimiser, share)
        loss, norm = step(session, passes)
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
        log.step(loss, norm, rate, passes, report=is_scored)
        if is_scored:
            score = validate(session, log.complain)
            log.validated(score, session.objective.score)
        stops = _asked_to_stop(session, signals)
        if is_last or stops or position.step % run.save_every == 0:
            save(session.accelerator, session.recipe, session.folder, position, session.average)
            session.export()
        if stops:
            break
    return score


def step(session: Session, passes: list[Sample]) -> tuple[Tensor, float]:
    """Move the parameters once.

    Returns
    -------
    loss : Tensor
        Mean over the passes of this process.
    norm : float
        Of all gradients before clipping. Where it is not finite, nothing was moved.
    """
    session.statistics.keep()
    accelerator, trained, optimiser = session.accelerator, session.trained, session.optimiser
    total = torch.zeros((), device=accelerator.device)
    for k, batch in enumerate(passes):
        is_last = k == len(passes) - 1
        with nullcontext() if is_last else accelerator.no_sync(trained):
            with accelerator.autocast():
                outputs = trained(batch.input)
                loss = session.objective.loss(outputs, batch.target) / len(passes)
            accelerator.backward(loss)
        total += loss.detach()
    limit = session.recipe.optim.clip or math.inf
    norm = float(accelerator.clip_grad_norm_(trained.parameters(), limit))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    # With float16 the scaler has to see bad gradients, and skips the step itself.
    if math.isfinite(norm) or accelerator.scaler is not None:
        optimiser.step()
        if session.average is not None and math.isfinite(norm):
            session.average.update_parameters(session.model)
    if not math.isfinite(norm):
        session.statistics.put_back()
    optimiser.zero_grad()
    return total, norm


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
            f"another training is at work in {session.folder}: wait for it, or name another folder"
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
