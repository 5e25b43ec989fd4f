"""Plans and runs of batches as tests ask for them: with a restorer that is loaded already."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from multiaxis import Restorer
from multiaxis.batch import Job, Plan, Request, Result
from multiaxis.batch.ledger import Note
from multiaxis.batch.planner import make_plan
from multiaxis.batch.work import do_jobs
from multiaxis.images import DEFAULT_MEGAPIXELS
from multiaxis.progress import OnFraction
from multiaxis.tasks.restore.output import Output
from multiaxis.tasks.restore.verb import Restore

AS_GIVEN = Output()


@dataclass(frozen=True)
class Named(Restore):
    """Restoring under settings that are a word."""

    suffix: str = "_x"
    word: str = ""

    @property
    def beside(self) -> str:
        return self.suffix

    def settings(self, name: str) -> Mapping[str, Any]:
        return {"word": self.word}


def plan_jobs(
    inputs: Sequence[str],
    output: str | None,
    *,
    suffix: str,
    options: Output = AS_GIVEN,
    overwrite: bool = False,
    recursive: bool = False,
    resume: str | None = None,
    max_megapixels: float = DEFAULT_MEGAPIXELS,
) -> Plan:
    verb = Named({"task": "derain"}, options, max_megapixels=max_megapixels, suffix=suffix,
                 word=resume or "")  # fmt: skip
    request = Request(
        inputs, output, recursive=recursive, resume=resume is not None, overwrite=overwrite
    )
    return make_plan(verb, request)


def run_jobs(
    restorer: Restorer,
    jobs: Iterable[Job],
    *,
    options: Output = AS_GIVEN,
    settings: str | None = None,
    on_result: Callable[[Result], None] = lambda _: None,
    on_progress: OnFraction | None = None,
) -> list[Result]:
    verb = Named({"task": "derain"}, options, loaded=restorer, word=settings or "")
    note = None if settings is None else Note()
    results = []
    for result in do_jobs(verb, verb.load(), jobs, note, on_progress=on_progress):
        results.append(result)
        on_result(result)
    return results
