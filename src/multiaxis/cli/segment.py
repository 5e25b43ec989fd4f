"""``multiaxis segment``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from multiaxis.cli.batch import DEFAULT_BATCH, BatchOptions, run_batch
from multiaxis.cli.options import Flag

if TYPE_CHECKING:
    from multiaxis.batch import Result


@Parameter(name="*")
@dataclass(frozen=True)
class SegmentOptions:
    """How pictures are shown to the model, and what is written.

    Attributes
    ----------
    form
        labels writes PNG files whose pixels are the classes' numbers, with the colours as their
        palette. overlay writes JPEG files of the pictures with the colours over them. both writes
        NAME.png and NAME_overlay.jpg.
    strength
        How strong the colours are over the pictures, from 0 to 1.
    size
        Show pictures to the model at this length of the shorter side, in pixels. Labels come back
        at the picture's own size. Use about the size of the training pictures, if yours are much
        larger: the model knows things at that scale. By default pictures are shown as they are.
    memory
        Refuse pictures that would take more memory, such as 4GB. By default the limit is the free
        memory.
    device
        Where to compute: cpu, cuda, cuda:N, mps, or auto (a GPU if there is one).
    dtype
        Precision: float32, bfloat16, float16 or auto.
    """

    form: Annotated[Literal["labels", "overlay", "both"], Parameter(name="--as")] = "labels"
    strength: float = 0.5
    size: int | None = None
    memory: str | None = None
    device: str = "auto"
    dtype: str = "float32"


DEFAULT_OPTIONS = SegmentOptions()


def segment(
    inputs: list[str],
    /,
    *,
    weights: Annotated[str, Parameter(alias="-w")],
    output: Annotated[str | None, Parameter(alias="-o")] = None,
    options: SegmentOptions = DEFAULT_OPTIONS,
    as_json: Annotated[Flag, Parameter(name="--json")] = False,
    overwrite: Flag = False,
    files: BatchOptions = DEFAULT_BATCH,
    max_megapixels: float = 400.0,
    quiet: Annotated[Flag, Parameter(alias="-q")] = False,
) -> int:
    """Name the class of every pixel of pictures, with a MaxViT that you have trained.

    Each picture is segmented whole and at its own size, never in tiles. For each one, the command
    prints the classes that it shows: number, colour, share of the pixels, and name.

    Parameters
    ----------
    inputs
        Pictures, folders (the pictures directly in them), or patterns such as "*.png". Addresses
        work, too: s3://bucket/in, https://...
    weights
        The weights.safetensors of a training such as segment-folder.
    output
        A folder, or a file for a single picture. By default each output lies beside its input,
        with _segments appended to its name.
    as_json
        Print one line of JSON for each picture.
    overwrite
        Replace outputs that exist. By default they are reported and left alone.
    max_megapixels
        Refuse pictures with more megapixels before they are decoded.
    quiet
        Print results and errors only.
    """
    from multiaxis.tasks.segment.verb import Segment
    from multiaxis.weights.find import find_own

    shared = ("size", "memory", "device", "dtype")
    arguments: dict[str, Any] = {name: getattr(options, name) for name in shared}
    arguments["weights"] = str(find_own(weights))
    return run_batch(
        Segment(arguments, options.form, options.strength, max_megapixels),
        files.request(inputs, output, overwrite=overwrite),
        dry_run=files.dry_run,
        quiet=quiet,
        lines=_line if as_json else _table,
    )


def _line(result: Result) -> list[str]:
    about = {"input": str(result.job.input), "output": str(result.job.output)}
    return [json.dumps({**about, "classes": result.record["classes"]})]


def _table(result: Result) -> list[str]:
    rows = [
        f"  {one['number']:>3}  {one['colour']}  {100 * one['share']:5.1f} %  {one['name']}"
        for one in result.record["classes"]
    ]
    return [str(result.job.input), *rows]
