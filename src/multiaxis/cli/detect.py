"""``multiaxis detect``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from multiaxis.cli.batch import DEFAULT_BATCH, BatchOptions, run_batch
from multiaxis.cli.options import Flag
from multiaxis.errors import ConfigError

if TYPE_CHECKING:
    from multiaxis.batch import Batch, Result


@Parameter(name="*")
@dataclass(frozen=True)
class FindOptions:
    """What is looked for, and how closely.

    Attributes
    ----------
    threshold
        Leave out what scores less, from 0 to 1. Results that are to be scored need 0.
    classes
        Look for these classes only, by name, with commas between them. By default for all.
    size
        The longer side of a picture as the network sees it, in pixels. By default as in training.
    device
        Where to compute: cpu, cuda, cuda:N, mps, or auto (a GPU if there is one).
    dtype
        Precision: float32, bfloat16 or auto.
    """

    threshold: float = 0.5
    classes: str | None = None
    size: int | None = None
    device: str = "auto"
    dtype: str = "float32"


@Parameter(name="*")
@dataclass(frozen=True)
class ResultOptions:
    """What is written beside drawings.

    Attributes
    ----------
    results
        Write everything that was found to this file. .json has the form of COCO's results, with
        masks as run lengths; .csv is a table. Repeat the option for both.
    annotations
        For results: take the ids of the pictures from this file of COCO annotations. By default
        they are numbered from 1 in the order of their names.
    as_json
        Print one line of JSON for each picture.
    overwrite
        Replace outputs and results that exist. By default they are reported and left alone.
    """

    results: Annotated[list[Path] | None, Parameter(negative=())] = None
    annotations: Path | None = None
    as_json: Annotated[Flag, Parameter(name="--json")] = False
    overwrite: Flag = False


def detect(
    inputs: list[str],
    /,
    *,
    weights: Annotated[Path, Parameter(alias="-w")],
    output: Annotated[str | None, Parameter(alias="-o")] = None,
    find: FindOptions = FindOptions(),
    written: ResultOptions = ResultOptions(),
    files: BatchOptions = DEFAULT_BATCH,
    quiet: Annotated[Flag, Parameter(alias="-q")] = False,
) -> int:
    """Find what pictures show, and draw boxes, outlines and scores, with a detector of yours.

    It needs the extra detect: pip install 'multiaxis[detect]'. Originals are never changed.

    Parameters
    ----------
    inputs
        Pictures, folders (the pictures directly in them), or patterns such as "*.png". Addresses
        work, too: s3://bucket/in, https://...
    weights
        The detector: a file that "multiaxis train" wrote, such as
        runs/detect-folder/weights.safetensors.
    output
        A folder for copies of the pictures with boxes, outlines, names and scores drawn on them; or
        a file for a single picture. Without it nothing is drawn.
    quiet
        Print results and errors only.
    """
    from multiaxis.tasks.detect.results import Numbers, check_results, write_results
    from multiaxis.tasks.detect.verb import Detect
    from multiaxis.weights.find import find_own

    paths, overwrite = written.results or [], written.overwrite
    if written.annotations is not None and not any(p.suffix.lower() == ".json" for p in paths):
        raise ConfigError("--annotations gives ids to --results FILE.json: name such a file, too")
    names = None if find.classes is None else _names(find.classes)
    found = str(find_own(str(weights)))
    arguments: dict[str, Any] = {"weights": found, **asdict(find), "classes": names}
    verb = Detect(arguments, output is not None)
    if not files.dry_run:
        check_results(paths, replace=overwrite or files.resume)
    numbers = Numbers(written.annotations)

    def write(batch: Batch) -> Iterator[str]:
        yield from write_results(paths, batch, numbers)

    return run_batch(
        verb,
        files.request(inputs, output, overwrite=overwrite),
        dry_run=files.dry_run,
        quiet=quiet,
        lines=_line if written.as_json else _table,
        at_end=write if paths else None,
    )


def _names(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if not names:
        raise ConfigError("--classes is empty: name at least one class, or leave it out")
    return names


def _line(result: Result) -> list[str]:
    found = result.record["detections"]
    return [json.dumps({"input": str(result.job.input), "detections": found})]


def _table(result: Result) -> list[str]:
    rows = [
        f"  {one['score']:.2f}  {one['label']} at {one['bbox'][0]:.0f}, {one['bbox'][1]:.0f}, "
        f"{one['bbox'][2]:.0f} x {one['bbox'][3]:.0f}"
        for one in result.record["detections"]
    ]
    return [str(result.job.input), *(rows or ["  nothing"])]
