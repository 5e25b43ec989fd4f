"""What was found in many pictures, as one file: COCO's results, or a table."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

from multiaxis.batch import Batch
from multiaxis.errors import ConfigError
from multiaxis.files.publish import publish, try_folder
from multiaxis.tasks.detect.annotations import read_annotations

COLUMNS = ("file", "label", "category_id", "score", "left", "top", "width", "height")
_KINDS = (".json", ".csv")


def check_results(paths: Sequence[Path], *, replace: bool) -> None:
    """Find out before the work whether files of results can be written.

    Raises
    ------
    ConfigError
        If a name has another suffix than .json and .csv, is taken, or its folder takes no files.
    """
    for path in paths:
        if path.suffix.lower() not in _KINDS:
            raise ConfigError(f"the results {path}: accepted are names that end in .json or .csv")
        if os.path.lexists(path) and not replace:
            raise ConfigError(f"the results {path} exist: pass --overwrite, or another name")
        try:
            try_folder(path.parent)
        except OSError as error:
            raise ConfigError(
                f"cannot write the results {path}: {error.strerror}; choose another folder"
            ) from error


class Numbers:
    """Ids of pictures: those of a file of annotations, or from 1 on in the order of the inputs.

    Parameters
    ----------
    annotations : str or Path, optional

    Raises
    ------
    DataError
        If the annotations cannot be read.
    """

    def __init__(self, annotations: str | Path | None = None) -> None:
        truth = None if annotations is None else read_annotations(annotations)
        self._known = None if truth is None else {p.name: p.id for p in truth.pictures}
        self._next = 0

    def of(self, name: str) -> int | None:
        """Give the id of a picture; None if the annotations have none of that name."""
        self._next += 1
        if self._known is None:
            return self._next
        parts = PurePath(name).parts
        for count in range(len(parts), 0, -1):  # a name may hold folders
            number = self._known.get(PurePath(*parts[-count:]).as_posix())
            if number is not None:
                return number
        return None


def write_results(paths: Sequence[Path], batch: Batch, numbers: Numbers) -> Iterator[str]:
    """Write what a batch found, with what an earlier run found where it was resumed.

    Parameters
    ----------
    paths : sequence of Path
        ``.json``: COCO's results, with the names of the files; ``.csv``: a row for each thing,
        without masks. Files of these names give way.
    batch : Batch
        Of the verb `Detect`.
    numbers : Numbers

    Yields
    ------
    str
        What is not in the files, and why.
    """
    found: list[tuple[str, int, Mapping[str, Any]]] = []
    for name, record in _records(batch):
        number = numbers.of(name)
        if number is None:
            yield f"{name} is not among the annotated pictures: it is left out of the results"
        elif "detections" not in record:
            yield f"{name} was finished by a run that kept no record: pass --overwrite to redo it"
        else:
            found += [(name, number, one) for one in record["detections"]]
    for path in paths:
        text = _as_coco(found) if path.suffix.lower() == ".json" else _as_table(found)
        try:
            publish(path, text.encode("utf-8", "surrogateescape"), overwrite=True)
        except OSError as error:
            yield f"cannot write the results {path}: {error.strerror}; choose another folder"


def _records(batch: Batch) -> list[tuple[str, Mapping[str, Any]]]:
    """List names and records in the order of the names, whichever run and worker made them."""
    rows = [(str(one.input), one.record) for one in batch.plan.finished]
    rows += [(str(r.job.input), r.record) for r in batch.results if r.error is None]
    return sorted(rows, key=lambda row: row[0])


def _as_coco(found: Sequence[tuple[str, int, Mapping[str, Any]]]) -> str:
    kept = ("category_id", "bbox", "score", "segmentation")
    rows = [
        {
            "image_id": number,
            **{key: one[key] for key in kept if key in one},
            "file_name": PurePath(name).name,
        }
        for name, number, one in found
    ]
    return "[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n"


def _as_table(found: Sequence[tuple[str, int, Mapping[str, Any]]]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream)
    writer.writerow(COLUMNS)
    for name, _, one in found:
        writer.writerow([name, one["label"], one["category_id"], one["score"], *one["bbox"]])
    return stream.getvalue()
