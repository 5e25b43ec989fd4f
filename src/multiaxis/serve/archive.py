"""Several results in one file."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path, PurePath

from multiaxis.serve.job import Job
from multiaxis.serve.spool import Spool


def pack(jobs: Sequence[Job], spool: Spool, path: Path) -> None:
    """Write a zip file of results, uncompressed; of equal names, later ones get a number.

    Parameters
    ----------
    jobs : sequence of Job
        That are done.
    spool : Spool
    path : Path
        Of the zip file.
    """
    taken: set[str] = set()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for job in jobs:
            name = _free(PurePath(job.output_name), taken)
            taken.add(name.lower())
            archive.write(spool.output(job), name)


def _free(path: PurePath, taken: set[str]) -> str:
    name, number = path.name, 1
    while name.lower() in taken:
        number += 1
        name = f"{path.stem} ({number}){path.suffix}"
    return name
