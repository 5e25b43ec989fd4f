"""``multiaxis classify``."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from multiaxis.cli.batch import DEFAULT_BATCH, BatchOptions, run_batch
from multiaxis.cli.options import DEFAULT_MODEL, Flag, ModelOptions

if TYPE_CHECKING:
    from multiaxis.batch import Result


def classify(
    inputs: list[str],
    /,
    *,
    model: str | None = None,
    top: int = 5,
    preprocessing: str | None = None,
    image_size: int | None = None,
    as_json: Annotated[Flag, Parameter(name="--json")] = False,
    options: ModelOptions = DEFAULT_MODEL,
    files: BatchOptions = DEFAULT_BATCH,
    quiet: Annotated[Flag, Parameter(alias="-q")] = False,
) -> int:
    """Name what pictures show, with MaxViT.

    Parameters
    ----------
    inputs
        Pictures, folders (the pictures directly in them), or patterns such as "*.png". Addresses
        work, too: s3://bucket/in, https://...
    model
        A variant that "multiaxis models" lists. By default that of --weights, or maxvit_tiny.
    top
        How many classes to name for each picture.
    preprocessing
        How pictures are cropped and resized: authors, timm or torchvision. By default as the
        weights were published or trained.
    image_size
        Side of the square that the model sees, in pixels. By default the side that the weights
        were tuned for, or 224 if their file does not state it.
    as_json
        Print one line of JSON for each picture.
    quiet
        Print results and errors only.
    """
    from multiaxis.tasks.classify.verb import Classify

    arguments: dict[str, Any] = {
        "model": model,
        "preprocessing": preprocessing,
        "image_size": image_size,
        **asdict(options),
    }
    return run_batch(
        Classify(arguments, top),
        files.request(inputs),
        dry_run=files.dry_run,
        quiet=quiet,
        lines=_line if as_json else _table,
    )


def _line(result: Result) -> list[str]:
    predictions = result.record["predictions"]
    return [json.dumps({"input": str(result.job.input), "predictions": predictions})]


def _table(result: Result) -> list[str]:
    rows = [
        f"  {100 * one['probability']:5.1f} %  {one['label']} ({one['index']})"
        for one in result.record["predictions"]
    ]
    return [str(result.job.input), *rows]
