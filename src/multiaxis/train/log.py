"""What a training says: to its caller, to a file, to a tracker."""

# pyright: reportMissingTypeStubs=false

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from accelerate.utils import gather_object
from torch import Tensor

from multiaxis.data.batch import Batch
from multiaxis.data.source import Stream
from multiaxis.errors import TrainingError
from multiaxis.train.lines import LOG, cut_lines
from multiaxis.train.session import Session

_log = logging.getLogger(__name__)
_NAMED = 20  # unreadable items that are named, once each; more are only counted


@dataclass(frozen=True)
class Report:
    """The state of a training.

    Attributes
    ----------
    step, steps : int
    loss : float
        Mean since the last report, over all processes.
    norm : float
        Of the last step's gradients, before clipping.
    rate : float
        Learning rate.
    per_second : float
        Samples of all processes.
    seconds_left : float
    losses : dict of str to float
        What `loss` is the sum of, by name.
    score : float or None
        Of a validation at this step.
    scored : str
        Its name among `scores`.
    scores : dict of str to float
        All that the validation computed, by name.
    skipped, unreadable : int
        As in `Position`.
    complaints : tuple of str
        Items that could not be read since the last report and had not been named before; in the
        first one also what of the data's folders is no item.
    """

    step: int
    steps: int
    loss: float
    norm: float
    rate: float
    per_second: float
    seconds_left: float
    losses: dict[str, float] = field(default_factory=dict[str, float])
    score: float | None = None
    scored: str = ""
    scores: dict[str, float] = field(default_factory=dict[str, float])
    skipped: int = 0
    unreadable: int = 0
    complaints: tuple[str, ...] = ()


class Log:
    """Collects steps to reports; the file ``log.jsonl`` has one line for each."""

    def __init__(self, session: Session, on_report: Callable[[Report], None] | None) -> None:
        self._session, self._on_report = session, on_report
        self._path = session.folder / LOG
        self._steps = 0  # since the last report, in this process: for the rate
        self._complaints: list[str] = []
        self._named: set[str] = set()
        self._since = time.monotonic()
        self._last: Report | None = None
        self._tracks = session.recipe.run.tracker != "none"

    def __enter__(self) -> Log:
        """Drop lines of steps that a stopped training did after its last checkpoint."""
        session = self._session
        if session.accelerator.is_main_process:
            with _told(self._path):
                cut_lines(self._path, session.position.step)
        for source in (session.source, session.held_out and session.held_out.source):
            if source is not None and not isinstance(source, Stream):
                self.complain(source.left_out)
        if self._tracks:
            session.accelerator.init_trackers(session.recipe.name)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._tracks:
            self._session.accelerator.end_training()

    def step(
        self,
        losses: dict[str, Tensor],
        norm: float,
        rate: float,
        passes: list[Batch],
        *,
        report: bool,
    ) -> None:
        """Take note of a step; report every so many steps, at the end, and where asked to."""
        run, position = self._session.recipe.run, self._session.position
        accelerator = self._session.accelerator
        position.losses.append(losses)
        self._steps += 1
        complaints = [c for batch in passes for c in batch.complaints]
        self.complain(complaints)
        position.unreadable += self._everywhere(len(complaints))
        if position.step % run.log_every and position.step != run.steps and not report:
            return
        means = self._means(position.losses)
        loss = sum(means.values())
        seconds = (time.monotonic() - self._since) / self._steps
        samples = run.batch * run.accumulate * accelerator.num_processes
        state = Report(
            step=position.step,
            steps=run.steps,
            loss=loss,
            losses=means,
            norm=norm,
            rate=rate,
            per_second=samples / seconds,
            seconds_left=(run.steps - position.step) * seconds,
            skipped=position.skipped,
            unreadable=position.unreadable,
            complaints=self._new_complaints(),
        )
        position.losses, self._steps, self._since = [], 0, time.monotonic()
        named = {f"loss/{name}": mean for name, mean in means.items()}
        self._tell(state, {"loss": loss, **named, "norm": norm, "rate": rate})

    def complain(self, complaints: Sequence[str]) -> None:
        """Take note of items that could not be read; the next report names new ones."""
        for complaint in complaints:
            if complaint not in self._complaints and len(self._complaints) < _NAMED:
                self._complaints.append(complaint)

    def validated(self, scores: dict[str, float], score: float) -> None:
        """Take note of a validation, for which the step was just reported."""
        assert self._last is not None  # noqa: S101
        complaints = self._new_complaints()
        named = {"score": score, "scored": self._session.objective.score, "scores": scores}
        self._tell(replace(self._last, **named, complaints=complaints), scores)
        self._since = time.monotonic()

    def _means(self, losses: list[dict[str, Tensor]]) -> dict[str, float]:
        """Average over steps and processes, by name."""
        device = self._session.accelerator.device
        means = {
            name: float(torch.stack([x[name].to(device) for x in losses if name in x]).mean())
            for name in losses[-1]
        }
        if self._session.accelerator.num_processes == 1:
            return means
        of_all: list[dict[str, float]] = gather_object([means])
        return {name: sum(each[name] for each in of_all) / len(of_all) for name in means}

    def _everywhere(self, count: int) -> int:
        """Add a number up over the processes."""
        accelerator = self._session.accelerator
        if accelerator.num_processes == 1:
            return count
        total: Any = accelerator.reduce(torch.tensor(float(count), device=accelerator.device))
        return int(total)

    def _new_complaints(self) -> tuple[str, ...]:
        found: list[str] = self._complaints
        if self._session.accelerator.num_processes > 1:
            found = gather_object(found)
        new = [c for c in dict.fromkeys(found) if c not in self._named]
        new = new[: max(_NAMED - len(self._named), 0)]
        self._named.update(new)
        self._complaints = []
        return tuple(new)

    def _tell(self, report: Report, values: dict[str, float]) -> None:
        self._last = report
        if not self._session.accelerator.is_main_process:
            return
        with _told(self._path), self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(report)) + "\n")
        if self._tracks:
            self._session.accelerator.log(values, step=report.step)
        if self._on_report:
            self._on_report(report)


@contextmanager
def _told(path: Path) -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise TrainingError(
            f"cannot write {path} ({error.strerror}): free space, and run the same command to "
            "resume from the last checkpoint"
        ) from error
