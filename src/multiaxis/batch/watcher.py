"""Who hears of a batch while it runs."""

from __future__ import annotations

from multiaxis.batch.job import Plan, Result
from multiaxis.progress import Progress


class Watcher:
    """Hears nothing; those who want to hear something override what they need."""

    def on_plan(self, plan: Plan) -> None:
        """Hear what is to be done."""

    def on_loading(self, progress: Progress) -> None:
        """Hear how far models are fetched."""

    def on_place(self, text: str) -> None:
        """Hear what is looked for, and found, to work on."""

    def on_start(self, plan: Plan, *, one_by_one: bool) -> None:
        """Hear that the work begins, and whether one file is in work at a time."""

    def on_fraction(self, fraction: float) -> None:
        """Hear how much of the file in work is done; only where one is in work at a time."""

    def on_result(self, result: Result) -> None:
        """Hear what became of a file."""
