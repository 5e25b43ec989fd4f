"""What a user asks of a batch, whatever is done with each file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from multiaxis.batch.report import check_report
from multiaxis.errors import ConfigError
from multiaxis.files.address import lives_in_one_process, to_where

_MOST_LOCAL, _MOST = 256, 100_000  # processes; tasks on a cluster


@dataclass(frozen=True)
class Request:
    """Which files, where to, and how.

    Attributes
    ----------
    inputs : sequence of str
        Files, folders and shell patterns, here or at addresses (``s3://bucket/in``).
    output : str or None
        A folder; or a file, where one file is the only input. None puts each output beside its
        input.
    recursive : bool
        Whether folders inside folders count too; their tree is kept below `output`.
    resume : bool
        Whether to leave alone what an earlier run with the same settings finished.
    overwrite : bool
        Whether outputs that exist are replaced. An input never is.
    report : str or None
        A file for the outcome of every input: ``.json`` or ``.csv``.
    workers : int or None
        Processes; on a cluster, files in work at once.
    engine : str
        ``"local"`` or ``"ray"``.
    """

    inputs: Sequence[str]
    output: str | None = None
    recursive: bool = False
    resume: bool = False
    overwrite: bool = False
    report: str | None = None
    workers: int | None = None
    engine: Literal["local", "ray"] = "local"

    def check(self, *, dry_run: bool = False) -> None:
        """Refuse what cannot work, before any file is looked at.

        Raises
        ------
        ConfigError
            Says what.
        MissingExtraError
            If Ray is asked for and not installed.
        """
        if self.report is not None:
            check_report(to_where(self.report), dry_run=dry_run)
        most = _MOST_LOCAL if self.engine == "local" else _MOST
        if self.workers is not None and not 1 <= self.workers <= most:
            raise ConfigError(f"--workers is {self.workers}: accepted is 1 to {most}")
        several = self.engine == "ray" or (self.workers or 1) > 1
        for word in [*self.inputs, self.output or ""]:
            if several and lives_in_one_process(to_where(word)):
                raise ConfigError(
                    f"{word} is in the memory of one process: pass --workers 1, or use files"
                )
        if self.engine == "ray":
            from multiaxis.batch.on_ray import import_ray

            import_ray()
