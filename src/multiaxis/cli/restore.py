"""``multiaxis restore``."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated, Any

from cyclopts import Parameter

from multiaxis.cli.batch import DEFAULT_BATCH, BatchOptions, run_batch
from multiaxis.cli.options import (
    DEFAULT_LIMITS,
    DEFAULT_MODEL,
    DEFAULT_QUALITY,
    Flag,
    LimitOptions,
    ModelOptions,
    QualityOptions,
    chosen_weights,
    restorer_arguments,
)
from multiaxis.errors import ConfigError


@Parameter(name="*")
@dataclass(frozen=True)
class OutputOptions:
    """How results are written: like their inputs, unless asked otherwise.

    Attributes
    ----------
    format
        png, jpg, tif, webp or avif; by default the input's (HEIC becomes PNG, camera raw TIFF).
    quality
        1 to 100, for jpg, avif and webp: 95 by default, and webp lossless.
    depth
        8, 16 or float; by default the input's.
    strip
        Leave out EXIF, XMP and IPTC (date, place, camera). The colour profile stays.
    overwrite
        Replace outputs that exist; without it, they are reported and left alone.
    """

    format: str | None = None
    quality: int | None = None
    depth: str | None = None
    strip: Flag = False
    overwrite: Flag = False


@Parameter(name="*")
@dataclass(frozen=True)
class ClipOptions:
    """For clips only (mp4, mkv, mov, webm ...), which need the video extra.

    Attributes
    ----------
    start
        Seconds from the clip's start from which to restore.
    end
        Seconds from the clip's start up to which.
    codec
        The encoder, by FFmpeg's name, such as libx265; by default of the clip's own kind.
    crf
        That encoder's constant quality: smaller is better and larger.
    steady
        Against flicker, 0 to 1: draw what stands still towards the frame before.
    """

    start: float = 0.0
    end: float | None = None
    codec: str | None = None
    crf: int | None = None
    steady: float = 0.0


def restore(
    inputs: list[str],
    /,
    *,
    task: str,
    output: Annotated[str | None, Parameter(alias="-o")] = None,
    model: ModelOptions = DEFAULT_MODEL,
    quality: QualityOptions = DEFAULT_QUALITY,
    limits: LimitOptions = DEFAULT_LIMITS,
    written: OutputOptions = OutputOptions(),
    files: BatchOptions = DEFAULT_BATCH,
    video: ClipOptions = ClipOptions(),
    max_megapixels: float = 400.0,
    quiet: Annotated[Flag, Parameter(alias="-q")] = False,
) -> int:
    """Restore pictures and clips: denoise, deblur, derain, dehaze, brighten or retouch them.

    The whole frame goes through the network at once, in bounded memory; tiles only on request.
    Originals are never changed.

    Parameters
    ----------
    inputs
        Pictures, folders (the pictures directly in them), patterns such as "*.png", also at
        addresses: s3://bucket/in, https://...; and clips.
    task
        denoise, deblur, derain, dehaze-indoor, dehaze-outdoor, enhance (brighten dark pictures) or
        retouch; or several in a row with commas between: denoise,enhance.
    output
        A folder, made if need be, or a file if there is a single input file; here or at an address.
        By default each output lies beside its input, with the task appended to its name.
    max_megapixels
        Refuse larger pictures before they are decoded.
    quiet
        Print errors only.
    """
    from multiaxis.tasks.restore import clips
    from multiaxis.tasks.restore.output import Output
    from multiaxis.tasks.restore.selection import check_weights, split_tasks
    from multiaxis.tasks.restore.verb import Restore

    tasks = split_tasks(task)
    check_weights(chosen_weights(task, model, quality), tasks)
    if not max_megapixels > 0:
        raise ConfigError(f"--max-megapixels is {max_megapixels:g}: accepted is a positive number")
    verb = Restore(
        restorer_arguments(task, model, limits, quality),
        Output(**how_written(written)),
        clips.ClipOptions(**asdict(video)),
        max_megapixels,
    )
    request = files.request(inputs, output, overwrite=written.overwrite)
    return run_batch(verb, request, dry_run=files.dry_run, quiet=quiet)


def how_written(options: OutputOptions) -> dict[str, Any]:
    """Collect what `Output` is made with."""
    return {key: value for key, value in asdict(options).items() if key != "overwrite"}
