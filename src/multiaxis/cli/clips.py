"""What ``multiaxis restore`` does with clips."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cyclopts import Parameter

from multiaxis.cli import console
from multiaxis.cli.codes import INTERRUPTED, OK, SOME_FAILED
from multiaxis.cli.options import load_restorer
from multiaxis.errors import ConfigError, MultiaxisError, explain
from multiaxis.progress import Progress


@Parameter(name="*")
@dataclass(frozen=True)
class ClipOptions:
    """For clips only (mp4, mkv, mov, webm ...), which need the video extra.

    Attributes
    ----------
    start
        Seconds from which to restore.
    end
        Seconds up to which.
    codec
        The encoder, by FFmpeg's name, such as libx265; by default of the clip's own kind.
    crf
        That encoder's constant quality: smaller is better and larger.
    steady
        Against flicker, 0 to 1: draw what stands still to the frame before.
    """

    start: float = 0.0
    end: float | None = None
    codec: str | None = None
    crf: int | None = None
    steady: float = 0.0


def split(inputs: list[str], output: str | None, engine: str) -> tuple[list[str], list[Path]]:
    """Part the words that name clips from the others.

    Raises
    ------
    ConfigError
        If a clip lies at an address, is to go to one, or to several machines.
    """
    from multiaxis.files.address import is_address

    clips = [word for word in inputs if _is_clip(Path(word))]
    if clips and engine == "ray":
        raise ConfigError("clips are restored on one machine: leave --engine ray out for them")
    for word in [*clips, output or ""] if clips else []:
        if is_address(word):
            raise ConfigError(
                f"{word} is an address: clips are restored from files into files; fetch it, and "
                "name the file"
            )
    return [word for word in inputs if word not in clips], [Path(word) for word in clips]


def restore_clips(
    clips: list[Path],
    output: str | None,
    suffix: str,
    arguments: dict[str, Any],
    options: ClipOptions,
    settings: str,
    *,
    overwrite: bool,
    dry_run: bool,
    quiet: bool,
) -> int:
    """Restore clips one after the other; one that fails is reported, and the next is done."""
    from multiaxis.video import restore_clip
    from multiaxis.video.clip import probe

    targets = [_target(path, output, suffix, single=len(clips) == 1) for path in clips]
    if dry_run:
        for path, target in zip(clips, targets, strict=True):
            clip = probe(path)
            console.say(f"{path} -> {target} ({clip.width}x{clip.height}, {clip.frames} frames)")
        return OK
    for path in clips:
        probe(path)  # what cannot be read is said before a model is loaded
    restorer = load_restorer(arguments, quiet=quiet)
    code = OK
    for path, target in zip(clips, targets, strict=True):
        start = time.monotonic()
        try:
            with console.progress("frames", quiet=quiet) as show:
                target.parent.mkdir(parents=True, exist_ok=True)
                result = restore_clip(
                    restorer.restore_values,
                    path,
                    target,
                    **asdict(options),
                    settings=settings,
                    overwrite=overwrite,
                    on_progress=_with_rate(show),
                )
        except KeyboardInterrupt:
            console.complain(
                f"interrupted: what was restored of {path} is kept beside {target}; the same "
                "command goes on"
            )
            return INTERRUPTED
        except (MultiaxisError, OSError) as error:
            if len(clips) == 1:
                raise
            console.complain(explain(error))
            code = SOME_FAILED
            continue
        seconds = time.monotonic() - start
        resumed = f", {result.resumed} of them earlier" if result.resumed else ""
        console.note(
            f"{path} -> {target}: {result.frames} frames{resumed}, in {console.duration(seconds)}",
            quiet=quiet,
        )
        for remark in result.remarks:
            console.note(f"  note: {remark}", quiet=quiet)
    return code


def _is_clip(path: Path) -> bool:
    from multiaxis.video import SUFFIXES

    return path.suffix.lower() in SUFFIXES


def _target(path: Path, output: str | None, suffix: str, *, single: bool) -> Path:
    if output is None:
        return path.with_name(f"{path.stem}{suffix}{path.suffix}")
    named = Path(output)
    if _is_clip(named) and not named.is_dir():
        if not single:
            raise ConfigError(f"the output {output} is a file, and the inputs are several clips")
        return named
    return named / path.name


def _with_rate(show: console.OnProgress) -> console.OnProgress:
    start, first = time.monotonic(), 0.0

    def shown(report: Progress) -> None:
        nonlocal start, first
        if not first:
            start, first = time.monotonic(), report.done
        rate = (report.done - first) / max(time.monotonic() - start, 1e-9)
        label = f"{report.label}, {rate:.2g} frames/s" if report.done > first else report.label
        show(Progress(label, report.done, report.total, report.unit))

    return shown
