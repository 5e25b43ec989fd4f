"""A clip on its way through a restorer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from multiaxis.batch.ledger import settings_digest
from multiaxis.batch.verb import File, Header, Outcome
from multiaxis.errors import ImageError
from multiaxis.files.address import Where
from multiaxis.progress import OnFraction, Progress
from multiaxis.video import SUFFIXES

if TYPE_CHECKING:
    from multiaxis.tasks.restore.output import Output
    from multiaxis.tasks.restore.restorer import Restorer
    from multiaxis.video import ClipPlan, ClipResult


@dataclass(frozen=True)
class ClipOptions:
    """What part of a clip is restored, and how it is written.

    Attributes
    ----------
    start, end : float
        Seconds from the clip's start; `end` may be None.
    codec : str or None
        FFmpeg's name of an encoder; by default the source's kind.
    crf : int or None
        Constant quality of that encoder.
    steady : float
        Against flicker, 0 to 1.

    Raises
    ------
    ConfigError
        If `steady` is another.
    """

    start: float = 0.0
    end: float | None = None
    codec: str | None = None
    crf: int | None = None
    steady: float = 0.0

    def __post_init__(self) -> None:
        from multiaxis.video.steady import Steady

        Steady(self.steady)  # refuses another strength

    def settings(self) -> dict[str, Any]:
        """List what decides the bytes of an output."""
        return asdict(self)

    def planned(self) -> dict[str, Any]:
        """Give what a plan is made from."""
        return {key: value for key, value in asdict(self).items() if key != "steady"}


def is_clip(name: str) -> bool:
    """Tell a clip by its name."""
    return PurePath(name).suffix.lower() in SUFFIXES


def check_clip(file: File, options: ClipOptions, output: Output) -> Header:
    """Find out what a restoration will keep, without restoring a frame.

    Parameters
    ----------
    file : File
    options : ClipOptions
    output : Output
        How pictures are written: what of it was asked for and does not go for clips is said.

    Raises
    ------
    ImageError
        If the clip cannot be read, its output cannot hold it, or it is to be stripped.
    """
    if output.strip:
        raise ImageError(f"{file.path} is a clip, and --strip works on pictures only: leave it out")
    plan = _plan(file, options)
    asked = [name for name in ("format", "quality", "depth") if getattr(output, name) is not None]
    unheeded = f"for pictures only, not clips: {', '.join(f'--{name}' for name in asked)}"
    clip = plan.clip
    return Header(
        amount=clip.width * clip.height * max(clip.frames, 1) / 1e6,
        facts={"width": clip.width, "height": clip.height, "frames": clip.frames},
        text=f"{clip.width}x{clip.height}, {clip.frames} frames",
        remarks=plan.remarks + (unheeded,) * bool(asked),
    )


def _local(target: Where | None) -> Path:
    if not isinstance(target, Path):
        raise ImageError(
            f"{target} is an address: clips are restored between local files; name a local folder "
            "with -o"
        )
    return target


def _plan(file: File, options: ClipOptions) -> ClipPlan:
    from multiaxis.video import plan_clip

    target = _local(file.output)
    return plan_clip(file.path, target, **options.planned(), overwrite=file.replaces)


class ClipWork:
    """One clip: planned, restored, written beside its place, and named."""

    def __init__(self, file: File, plan: ClipPlan, steady: float, settings: str) -> None:
        self.file, self.plan, self.steady, self.settings = file, plan, steady, settings
        self.result: ClipResult | None = None

    @classmethod
    def open(cls, file: File, options: ClipOptions, settings: Mapping[str, Any]) -> ClipWork:
        """Plan it again: it may have changed since the batch was planned."""
        plan = _plan(file, options)
        file.take_digest()
        return cls(file, plan, options.steady, settings_digest(settings))

    def run(self, restorer: Restorer, on_progress: OnFraction | None) -> None:
        """Restore all frames, and give the output its name."""
        from multiaxis.video import run_plan

        def fraction(report: Progress) -> None:
            if on_progress is not None and report.total:
                on_progress(min(report.done / report.total, 1.0))

        self.result = run_plan(
            restorer.restore_values,
            self.plan,
            steady=self.steady,
            settings=self.settings,
            overwrite=self.file.replaces,
            before_naming=self.file.before_naming,
            on_progress=fraction,
        )

    def outcome(self) -> Outcome:
        """Say what became of it."""
        result = self.result
        if result is None:
            raise ImageError(f"{self.file.name} was not restored")
        resumed = (f"{result.resumed} frames were restored earlier",) if result.resumed else ()
        return Outcome(record={"frames": result.frames}, remarks=result.remarks + resumed)

    def partial(self) -> str:
        """Say what an interrupt leaves for the next run."""
        from multiaxis.video.folder import frames_kept

        frames = frames_kept(self.plan.source, self.plan.target)
        if not frames:
            return f"no frames of {self.plan.source} are kept: less than one segment was restored"
        return (
            f"{frames} frames of {self.plan.source} are kept beside {self.plan.target}; run the "
            "same command to continue"
        )
