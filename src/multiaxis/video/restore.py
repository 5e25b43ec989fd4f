"""A clip, restored in segments that survive a crash, then joined with its other streams."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from multiaxis.errors import ImageError
from multiaxis.progress import OnProgress, Progress
from multiaxis.video.av import load
from multiaxis.video.clip import Clip, open_clip
from multiaxis.video.folder import SEGMENT, finish, identity, open_segments
from multiaxis.video.frames import decode
from multiaxis.video.join import join
from multiaxis.video.plan import ClipPlan, plan_clip
from multiaxis.video.segments import Writer
from multiaxis.video.steady import Steady

_GAP = 0.5  # seconds without frames at the end of a clip that are worth a remark

_RARE = 0.1  # of all steps between frames: where more are longer, the rate is not even

Values = NDArray[np.float32]


@dataclass(frozen=True)
class ClipResult:
    """What became of a clip.

    Attributes
    ----------
    frames : int
        In the output.
    resumed : int
        Of them, those that an earlier run had restored.
    remarks : tuple of str
        What a user should know.
    """

    frames: int
    resumed: int
    remarks: tuple[str, ...]


def restore_clip(  # noqa: PLR0913 (as many as its users need)
    restore: Callable[[Values], Values],
    source: Path,
    target: Path,
    *,
    start: float = 0.0,
    end: float | None = None,
    codec: str | None = None,
    crf: int | None = None,
    steady: float = 0.0,
    settings: str = "",
    overwrite: bool = False,
    on_progress: OnProgress | None = None,
) -> ClipResult:
    """Restore a clip frame by frame.

    Parameters
    ----------
    restore : callable
        Takes and gives float32 in [0, 1], shape (height, width, 3), upright; `Restorer`'s
        `restore_values`.
    source, target : Path
        The target's suffix names the container: .mp4, .mkv, .mov, .webm.
    start, end : float
        Seconds; frames from `start` up to before `end`. By default all.
    codec : str, optional
        FFmpeg's name of an encoder; by default the source's kind.
    crf : int, optional
        Constant quality of that encoder; smaller is better and larger. By default one that does
        not undo a restoration.
    steady : float
        Strength of `Steady`, 0 to 1.
    settings : str
        Digest of what decides a frame; segments of an earlier run with the same one are used.
    overwrite : bool
        Whether the target may be replaced. The source never is.
    on_progress : callable, optional
        Receives `Progress` in frames.

    Returns
    -------
    ClipResult

    Raises
    ------
    ConfigError
        If a number or the encoder makes no sense.
    ImageError
        If the clip is damaged, HDR metadata apart, or the target cannot be written; what was
        restored by then is kept for the next run.
    """
    plan = plan_clip(
        source, target, start=start, end=end, codec=codec, crf=crf, overwrite=overwrite
    )
    return run_plan(
        restore,
        plan,
        steady=steady,
        settings=settings,
        overwrite=overwrite,
        on_progress=on_progress,
    )


def run_plan(
    restore: Callable[[Values], Values],
    plan: ClipPlan,
    *,
    steady: float = 0.0,
    settings: str = "",
    overwrite: bool = False,
    before_naming: Callable[[Path], None] | None = None,
    on_progress: OnProgress | None = None,
) -> ClipResult:
    """Restore a clip as planned; see `restore_clip`.

    `before_naming` receives the whole file before it gets its name.
    """
    filter_ = Steady(steady) if steady else None
    before = identity(plan.source)
    key = [settings, plan.encoding.describe(), plan.start, plan.end, steady, SEGMENT]
    with open_segments(plan.source, plan.target, [*key, load().ffmpeg_version_info]) as segments:
        writer = Writer(segments, plan.encoding, plan.clip, restore, filter_)
        try:
            last = _write(writer, plan, on_progress)
        finally:
            writer.abandon()
        if identity(plan.source) != before:
            raise ImageError(
                f"{plan.source} changed while it was restored: run the command again when it no "
                "longer changes"
            )
        remarks = join(
            plan, segments, writer.times, overwrite=overwrite, before_naming=before_naming
        )
        finish(segments)
    remarks = plan.remarks + remarks + _remarks_on_gaps(plan.clip, writer.times.shown)
    remarks += _remarks_on_end(plan.clip, last, plan.end)
    return ClipResult(writer.count, writer.resumed, remarks)


def _write(writer: Writer, plan: ClipPlan, on_progress: OnProgress | None) -> float:
    """Write all frames; give the time up to which the last one is shown."""
    last = 0.0
    clip, source = plan.clip, plan.source
    total = _frames_between(clip, plan.start, plan.end)
    with contextlib.closing(open_clip(source)) as container:
        for frame in decode(container, source, plan.start, plan.end):
            writer.add(frame)
            last = float((frame.pts + frame.duration) * frame.time_base - clip.start)
            writer.times.length = frame.duration or writer.times.length
            if on_progress:
                on_progress(Progress(source.name, writer.count, total, "frames"))
    writer.finish()
    if not writer.count:
        raise ImageError(
            f"no frame of {source} lies {_spell(plan)}; it has {clip.seconds:.2f} s: "
            "widen the range"
        )
    return last


def _spell(plan: ClipPlan) -> str:
    last = f"and {plan.end:g} s" if plan.end is not None else "s and the end"
    return f"between {plan.start:g} {last}"


def _remarks_on_end(clip: Clip, last: float, end: float | None) -> tuple[str, ...]:
    """Say where frames end long before the clip does: some containers hide that they were cut."""
    # Matroska counts its length from nothing, also where a clip begins later.
    if clip.seconds - last - max(clip.start, 0) < _GAP or (end is not None and end - last < _GAP):
        return ()
    said = f"frames end at {last:.2f} of the {clip.seconds:.2f} s that the clip states"
    return (f"{said}: it was cut short, or its sound goes on",)


def _remarks_on_gaps(clip: Clip, shown: list[int]) -> tuple[str, ...]:
    """Say where frames of an even rate are missing: readers step over damaged places in silence."""
    steps = np.diff(shown)
    if not len(steps):
        return ()
    usual = float(np.median(steps))
    # Times may be rounded to milliseconds.
    slack = usual / 2 + float(1 / (1000 * clip.time_base))
    is_gap = steps > usual + slack
    if not is_gap.any() or (np.abs(steps[~is_gap] - usual) > slack).any():
        return ()
    if np.count_nonzero(is_gap) > _RARE * len(steps):
        return ()
    first = int(np.argmax(is_gap))
    lost = int(np.round(steps[is_gap] / usual - 1).sum())
    before, after = (float(at * clip.time_base - clip.start) for at in shown[first : first + 2])
    places = int(np.count_nonzero(is_gap))
    where = f"between {before:.3f} and {after:.3f} s"
    where += f" and at {places - 1} other place{'s' * (places > 2)}" if places > 1 else ""
    what = f"{lost} frame{'s' * (lost > 1)} of an even rate {'are' if lost > 1 else 'is'}"
    return (f"{what} missing {where}: the clip holds a frame there, or is damaged",)


def _frames_between(clip: Clip, start: float, end: float | None) -> int:
    if not clip.seconds:
        return clip.frames
    shown = min(clip.seconds, clip.seconds if end is None else end) - start
    return max(1, round(clip.frames * shown / clip.seconds))
