"""What a batch is made of: jobs, their results, the plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from multiaxis.batch.verb import Header
from multiaxis.files.address import Where


@dataclass(frozen=True)
class Job:
    """One file to work on.

    Attributes
    ----------
    input : Path or Remote
    output : Path, Remote or None
        None where the record is the result.
    header : Header
        Of the input; empty where it lies at an address, until it is fetched.
    replaces : bool
        Whether the output may take the place of a file.
    """

    input: Where
    output: Where | None
    header: Header = field(default=Header(), compare=False)
    replaces: bool = False


@dataclass(frozen=True)
class Finished:
    """What an earlier run with the same settings finished."""

    input: Where
    output: Where | None
    record: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True)
class Plan:
    """What is to be done.

    Attributes
    ----------
    jobs : tuple of Job
    refused : tuple of (Path or Remote, str)
        Inputs that cannot be done, and why.
    others : tuple of Path or Remote
        Files in the given folders that are of no kind that is accepted.
    earlier : tuple of Path or Remote
        Files that an earlier run wrote beside their inputs: they are not done again.
    finished : tuple of Finished
    folders : tuple of Path
        Folders inside the given ones, which are left out unless asked for.
    """

    jobs: tuple[Job, ...]
    refused: tuple[tuple[Where, str], ...] = ()
    others: tuple[Where, ...] = ()
    earlier: tuple[Where, ...] = ()
    finished: tuple[Finished, ...] = ()
    folders: tuple[Path, ...] = ()

    @property
    def is_measured(self) -> bool:
        """Whether the amount of work is known for each job."""
        return all(job.header.amount for job in self.jobs)


@dataclass(frozen=True)
class Result:
    """What became of a job.

    Attributes
    ----------
    job : Job
    seconds : float
    error : str or None
        None where it was done.
    earlier : bool
        Whether another run finished it since the plan was made.
    header : Header
        Of the input; where it came from an address, it is known by now.
    record : mapping of str to value
    lost, remarks : tuple of str
        As in `Outcome`.
    """

    job: Job
    seconds: float
    error: str | None = None
    earlier: bool = False
    header: Header = field(default=Header(), compare=False)
    record: Mapping[str, Any] = field(default_factory=dict[str, Any], compare=False)
    lost: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Batch:
    """What a batch did.

    Attributes
    ----------
    plan : Plan
    results : tuple of Result
        In the order of finishing.
    seconds : float
    where : str
        On what it was done, such as ``"cpu in float32"``.
    report_error : str
        Why the report could not be written; empty where it was, or none was asked for.
    """

    plan: Plan
    results: tuple[Result, ...] = ()
    seconds: float = 0.0
    where: str = ""
    report_error: str = ""
