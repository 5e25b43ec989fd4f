"""What ``multiaxis restore`` does with clips."""

from __future__ import annotations

import os
import time
import unicodedata
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cyclopts import Parameter

from multiaxis.cli import console
from multiaxis.cli.codes import BAD_INPUT, INTERRUPTED, OK, SOME_FAILED
from multiaxis.cli.options import load_restorer
from multiaxis.errors import ConfigError, ImageError, MultiaxisError, explain
from multiaxis.progress import Progress

if TYPE_CHECKING:
    from multiaxis.video import ClipPlan


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
    alone: bool,
    overwrite: bool,
    dry_run: bool,
    quiet: bool,
) -> int:
    """Restore clips one after the other; one that fails costs only itself.

    `alone` tells that the command has no pictures to do.
    """
    targets = [_target(path, output, suffix, single=len(clips) == 1) for path in clips]
    try:
        plans, failures = _plan(clips, targets, options, overwrite=overwrite)
    except KeyboardInterrupt:
        console.complain("interrupted while the clips were looked at: nothing was begun")
        return INTERRUPTED
    if alone and len(clips) == len(failures) == 1:
        raise failures[0]
    for plan in plans:
        if dry_run:
            size = f"{plan.clip.width}x{plan.clip.height}"
            console.say(f"{plan.source} -> {plan.target} ({size}, {plan.clip.frames} frames)")
        _note(plan.remarks, quiet=quiet, about=None if dry_run else plan.source)
    for failure in failures:
        console.complain(explain(failure))
    code = SOME_FAILED if failures else OK
    if dry_run or not plans:
        return code if plans or not alone else BAD_INPUT
    how = {"settings": settings, "overwrite": overwrite, "steady": options.steady}
    return max(code, _run(plans, arguments, how, alone=alone and len(clips) == 1, quiet=quiet))


def _plan(
    clips: list[Path], targets: list[Path], options: ClipOptions, *, overwrite: bool
) -> tuple[list[ClipPlan], list[Exception]]:
    """Find out what can be done, before a model is loaded."""
    from multiaxis.video import Steady, plan_clip

    Steady(options.steady)
    asked = asdict(options)
    del asked["steady"]
    plans, failures = list[Any](), list[Exception]()
    taken: dict[str, Path] = {_folded(path): path for path in clips}
    for path, target in zip(clips, targets, strict=True):
        try:
            _claim_name(path, target, taken)
            plans.append(plan_clip(path, target, **asked, overwrite=overwrite))
        except (MultiaxisError, OSError) as error:
            # Without what was under way, which holds files open.
            failures.append(error.with_traceback(None))
    return plans, failures


def _claim_name(path: Path, target: Path, taken: dict[str, Path]) -> None:
    """Refuse an output that is an input's or another output's name.

    Raises
    ------
    ImageError
        If it is.
    """
    name = _folded(target)
    if name == _folded(path) or name not in taken:
        taken[name] = path  # its own name is refused when it is planned
    elif name == _folded(taken[name]):
        raise ImageError(f"the output {target} is an input: originals are never replaced")
    else:
        raise ImageError(f"the output {target} is already that of {taken[name]}: rename one")


def _folded(path: Path) -> str:
    """Give what tells a file: names that differ in case alone are one where folders say so."""
    real = Path(os.path.realpath(path))
    for folder in real.parents:
        other = folder.with_name(folder.name.swapcase())
        if folder.exists() and other != folder:
            try:
                is_blind = other.samefile(folder)
            except OSError:
                is_blind = False
            return unicodedata.normalize("NFC", str(real)).casefold() if is_blind else str(real)
    return str(real)


def _run(
    plans: list[ClipPlan],
    arguments: dict[str, Any],
    how: dict[str, Any],
    *,
    alone: bool,
    quiet: bool,
) -> int:
    code, done = OK, 0
    try:
        restorer = load_restorer(arguments, quiet=quiet)
    except KeyboardInterrupt:
        console.complain("interrupted while the model was loaded: nothing was begun")
        return INTERRUPTED
    for plan in plans:
        try:
            _restore(plan, restorer, how, quiet=quiet)
            done += 1
        except KeyboardInterrupt:
            console.complain(f"interrupted: {_kept(plan)}{_finished(done)}")
            return INTERRUPTED
        except (MultiaxisError, OSError) as error:
            if alone:
                raise
            console.complain(explain(error))
            code = SOME_FAILED
    return code


def _restore(plan: ClipPlan, restorer: Any, how: dict[str, Any], *, quiet: bool) -> None:
    from multiaxis.video import run_plan

    start = time.monotonic()
    with console.progress("frames", quiet=quiet) as show:
        result = run_plan(restorer.restore_values, plan, **how, on_progress=_with_rate(show))
    seconds = time.monotonic() - start
    resumed = f", {result.resumed} of them earlier" if result.resumed else ""
    console.note(
        f"{plan.source} -> {plan.target}: {result.frames} frames{resumed}, in "
        f"{console.duration(seconds)}",
        quiet=quiet,
    )
    _note([one for one in result.remarks if one not in plan.remarks], quiet=quiet)


def _kept(plan: ClipPlan) -> str:
    from multiaxis.video.folder import frames_kept

    frames = frames_kept(plan.source, plan.target)
    if not frames:
        return f"too little of {plan.source} was restored to be kept"
    return (
        f"{frames} frames of {plan.source} are kept beside {plan.target}; the same command goes on"
    )


def _finished(done: int) -> str:
    return "" if not done else f"; {done} clips are finished, and would be left alone"


def _note(remarks: Iterable[str], *, quiet: bool, about: Path | None = None) -> None:
    for remark in remarks:
        name = f"{about}: " if about else ""
        console.note(f"  note: {name}{remark}", quiet=quiet)


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
