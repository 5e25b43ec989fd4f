"""What a training says: to its caller, to a file, to a tracker."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import TracebackType

import torch
from torch import Tensor

from multiaxis.data.source import Sample
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
    score : float or None
        Of a validation at this step.
    skipped, unreadable : int
        As in `Position`.
    complaints : tuple of str
        Items that could not be read since the last report and had not been named before.
    """

    step: int
    steps: int
    loss: float
    norm: float
    rate: float
    per_second: float
    seconds_left: float
    score: float | None = None
    skipped: int = 0
    unreadable: int = 0
    complaints: tuple[str, ...] = ()


class Log:
    """Collects steps to reports; the file ``log.jsonl`` has one line for each."""

    def __init__(self, session: Session, on_report: Callable[[Report], None] | None) -> None:
        self._session, self._on_report = session, on_report
        self._path = session.folder / "log.jsonl"
        self._losses: list[Tensor] = []
        self._complaints: list[str] = []
        self._named: set[str] = set()
        self._since = time.monotonic()
        self._last: Report | None = None
        self._tracks = session.recipe.run.tracker != "none"

    def __enter__(self) -> Log:
        """Drop lines of steps that a stopped training did after its last checkpoint."""
        session = self._session
        if session.accelerator.is_main_process:
            _cut(self._path, session.position.step)
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

    def step(self, loss: Tensor, norm: float, rate: float, passes: list[Sample]) -> None:
        """Take note of a step; report now and then."""
        run, position = self._session.recipe.run, self._session.position
        self._losses.append(loss)
        for complaint in (c for sample in passes for c in sample.complaints):
            position.unreadable += 1
            if complaint not in self._named and len(self._named) < _NAMED:
                self._named.add(complaint)
                self._complaints.append(complaint)
        if position.step % run.log_every and position.step != run.steps:
            return
        accelerator = self._session.accelerator
        loss = torch.stack(self._losses).mean()
        mean = float(accelerator.reduce(loss, "mean"))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        seconds = (time.monotonic() - self._since) / len(self._losses)
        samples = run.batch * run.accumulate * accelerator.num_processes
        report = Report(
            step=position.step,
            steps=run.steps,
            loss=mean,
            norm=norm,
            rate=rate,
            per_second=samples / seconds,
            seconds_left=(run.steps - position.step) * seconds,
            skipped=position.skipped,
            unreadable=position.unreadable,
            complaints=tuple(self._complaints),
        )
        self._losses, self._complaints, self._since = [], [], time.monotonic()
        self._tell(report, {"loss": mean, "norm": norm, "rate": rate})

    def validated(self, score: float, name: str) -> None:
        """Take note of a validation."""
        if self._last is not None:
            self._tell(replace(self._last, score=score, complaints=()), {name: score})
        self._since = time.monotonic()

    def _tell(self, report: Report, values: dict[str, float]) -> None:
        self._last = report
        if not self._session.accelerator.is_main_process:
            return
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(report)) + "\n")
        if self._tracks:
            self._session.accelerator.log(values, step=report.step)
        if self._on_report:
            self._on_report(report)


def _cut(path: Path, step: int) -> None:
    if not path.exists():
        return
    kept: list[str] = []
    for line in path.read_text("utf-8").splitlines():
        try:
            if json.loads(line)["step"] <= step:
                kept.append(line + "\n")
        except (ValueError, KeyError):  # a line that was cut short
            continue
    path.write_text("".join(kept), "utf-8")
