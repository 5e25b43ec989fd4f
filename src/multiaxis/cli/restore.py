"""``multiaxis restore``."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated, Any

from cyclopts import Parameter

from multiaxis.cli.batch import DEFAULT_BATCH, BatchOptions
from multiaxis.cli.drawing import DEFAULT_DRAWING, DrawingOptions
from multiaxis.cli.options import (
    DEFAULT_LIMITS,
    DEFAULT_MODEL,
    DEFAULT_QUALITY,
    Flag,
    LimitOptions,
    ModelOptions,
    QualityOptions,
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
        Format of pictures: png, jpg, tif, webp or avif. By default the input's. HEIC becomes PNG,
        camera raw TIFF, and GIF WebP.
    quality
        Quality of jpg, avif and webp, 1 to 100. By default 95 for jpg and avif, and lossless webp.
    depth
        Depth of pictures: 8, 16 or float. By default the input's.
    strip
        Leave out EXIF, XMP and IPTC (date, place, camera). The colour profile stays.
    overwrite
        Replace outputs that exist. By default they are reported and left alone.
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
        Clips: restore from this time on, in seconds from the clip's start.
    end
        Clips: restore up to this time, in seconds from the clip's start. By default to the end.
    codec
        Clips: use this encoder, by FFmpeg's name, such as libx265. By default that of the clip's
        own codec.
    crf
        Clips: constant quality of the encoder. Smaller numbers give better and larger files. By
        default one that preserves the restoration.
    steady
        Clips: reduce flicker by drawing still areas towards the frame before, from 0 (off) to 1.
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
    drawing: DrawingOptions = DEFAULT_DRAWING,
    max_megapixels: float = 400.0,
    within: str | None = None,
    quiet: Annotated[Flag, Parameter(alias="-q")] = False,
) -> int:
    """Restore pictures and clips: denoise, deblur, derain, dehaze, brighten or retouch them.

    Each picture is restored whole and in bounded memory, unless you pass --tile. Originals are
    never changed.

    Parameters
    ----------
    inputs
        Pictures, clips, folders (the files directly in them), or patterns such as "*.png".
        Addresses work for pictures, too: s3://bucket/in, https://...
    task
        denoise, deblur, derain, dehaze-indoor, dehaze-outdoor, enhance (brighten dark pictures) or
        retouch. Separate several with commas to run them in a row: denoise,enhance.
    output
        A folder, or a file for a single input file. A folder is created if it does not exist. It
        can be an address. By default each output lies beside its input, with the task appended to
        its name.
    max_megapixels
        Refuse pictures with more megapixels before they are decoded.
    within
        With --model auto: the time that all inputs together may take, such as 60s or 5min. The
        exact model is used where it is quick enough on this machine, the fast one otherwise.
    quiet
        Print errors only.
    """
    from multiaxis.cli.choose_model import check_within, choose, run_and_reckon
    from multiaxis.tasks.restore import clips
    from multiaxis.tasks.restore.output import Output
    from multiaxis.tasks.restore.selection import split_tasks, split_weights
    from multiaxis.tasks.restore.verb import Restore

    sampling = drawing.sampling()
    check_within(quality.model, within, model.weights, resume=files.resume, draws=bool(sampling))
    arguments = restorer_arguments(task, model, limits, quality)
    split_weights(arguments["weights"], split_tasks(task), draws=bool(sampling))
    if not max_megapixels > 0:
        raise ConfigError(f"--max-megapixels is {max_megapixels:g}: accepted is a positive number")
    verb = Restore(
        {**arguments, "sampling": sampling},
        Output(**how_written(written)),
        clips.ClipOptions(**asdict(video)),
        max_megapixels,
        drawing.spread(),
    )
    request = files.request(inputs, output, overwrite=written.overwrite)
    if within is not None:
        verb = choose(verb, request, within, quiet=quiet)
    return run_and_reckon(verb, request, dry_run=files.dry_run, quiet=quiet)


def how_written(options: OutputOptions) -> dict[str, Any]:
    """Collect what `Output` is made with."""
    return {key: value for key, value in asdict(options).items() if key != "overwrite"}
