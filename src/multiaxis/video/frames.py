"""The frames of a clip in order: each with a time, all of one kind, none of them damaged."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from multiaxis.errors import ImageError
from multiaxis.video.av import load
from multiaxis.video.streams import film, origin

_UNTIMED = 32  # frames that may wait for one that has a time
_WITH_ALPHA = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
_SLACK = 1e-6  # seconds: containers state their start in microseconds


def decode(
    container: Any, path: Path, start: float = 0.0, end: float | None = None
) -> Generator[Any]:
    """Yield the frames of the film; damage is an error, not a shorter clip.

    Parameters
    ----------
    container : av.container.InputContainer
    path : Path
        Of it, for messages.
    start, end : float
        Seconds from the container's start: frames from `start` up to before `end`. What lies
        outside may be damaged.

    Raises
    ------
    ImageError
        If a frame cannot be decoded, is of another size or kind than those before, or comes
        before its predecessor; says where, and what can be restored.
    """
    stream = film(container)
    kept = _Kept(path, origin(container))
    ahead = _timed(_frames(container, stream), stream)
    for frame, damage in ahead:
        if frame is not None:
            time = kept.time(frame)
            if end is not None and time >= end - _SLACK:
                return
            if start and time < start - _SLACK:
                continue
        if error := kept.damaged(damage, ahead) if damage else kept.check(frame):
            if kept.last is not None and end is not None and end <= kept.end() + _SLACK:
                return
            raise error
        yield frame


def side_data(frame: Any) -> dict[str, bytes]:
    """Give what a frame carries beside pixels, by FFmpeg's names."""
    try:
        return {item.type.name: bytes(item) for item in frame.side_data}
    except ValueError:  # a kind that PyAV does not know
        return {}


def length(stream: Any) -> int:
    """Give how long a frame lasts by its stream's rate, in units of its time base."""
    rate, unit = stream.average_rate, stream.time_base
    return max(1, round(1 / (rate * unit))) if rate and unit else 1


@dataclass
class _Kept:
    """What the frames so far were like, and what is wrong with the next."""

    path: Path
    zero: Fraction
    count: int = 0
    last: Any = None
    kind: tuple[Any, ...] = ()

    def time(self, frame: Any) -> float:
        return float(frame.pts * frame.time_base - self.zero)

    def end(self) -> float:
        """Give a time shortly behind the last frame, in whole milliseconds."""
        return (math.floor(self.time(self.last) * 1000) + 1) / 1000

    def check(self, frame: Any) -> ImageError | None:
        """Take the next frame, or say why it does not go on from those before."""
        kind = (frame.width, frame.height, frame.format.name, int(frame.color_trc))
        if self.last is None:
            self.kind = kind
        elif frame.pts <= self.last.pts:
            before, after = (_spell_time(self.time(one)) for one in (self.last, frame))
            return ImageError(
                f"cannot read {self.path}: behind frame {self.count} the times go back from "
                f"{before} to {after} s, as where recordings were joined; {self._before()}; cut "
                "what follows into a clip of its own"
            )
        elif kind != self.kind:
            before, after = _spell(self.kind), _spell(kind)
            return ImageError(
                f"cannot read {self.path}: behind frame {self.count} its frames change from "
                f"{before} to {after}, and one clip holds one kind; {self._before()}, with "
                f"--start {_spell_time(self.time(frame))} what follows"
            )
        self.count, self.last = self.count + 1, frame
        return None

    def damaged(self, why: str, ahead: Iterator[tuple[Any, str]]) -> ImageError:
        """Make the error for a frame that is damaged."""
        if self.count:
            return ImageError(
                f"cannot read {self.path}: what follows frame {self.count} is damaged ({why}); "
                f"{self._before()}"
            )
        sound = next((frame for frame, harm in ahead if frame is not None and not harm), None)
        if sound is None:
            return ImageError(f"cannot read {self.path}: its frames are damaged ({why})")
        return ImageError(
            f"cannot read {self.path}: its first frames are damaged ({why}); with --start "
            f"{_spell_time(self.time(sound))} what follows can be restored"
        )

    def _before(self) -> str:
        """Say how what came so far can be had."""
        return f"with --end {_spell_time(self.end())} what comes before can be restored"


def _spell_time(seconds: float) -> str:
    """Spell a time in milliseconds, rounded down, so that what starts there is not left out."""
    return f"{math.floor(seconds * 1000 + 1e-3) / 1000:.3f}".rstrip("0").rstrip(".")


def _spell(kind: tuple[Any, ...]) -> str:
    width, height, name, transfer = kind
    return f"{width}x{height} {name}" + (f" (transfer {transfer})" if transfer != 2 else "")


def _frames(container: Any, stream: Any) -> Generator[tuple[Any, str]]:
    """Yield decoded frames, each with what is wrong with it; at the end None if more are missing.

    Behind damage, nothing is sound up to the next key frame.
    """
    av = load()
    decoder = _decoder(stream)
    damage = ""
    packets = container.demux(stream)
    packet = None
    while True:
        try:
            packet = next(packets, None)
            frames = [] if packet is None else decoder.decode(packet)
        except av.error.FFmpegError as error:
            damage, frames = str(error.strerror or error), []
        for frame in frames:
            if frame.is_corrupt:
                damage = damage or "data are missing"
            elif frame.key_frame:
                damage = ""
            yield frame, damage
        if packet is None:
            break
    if damage:
        yield None, damage


def _decoder(stream: Any) -> Any:
    """Give a stream's decoder; FFmpeg's own of VP8 and VP9 leave transparency out."""
    context = stream.codec_context
    if has_alpha_stream(stream):
        context = load().CodecContext.create(_WITH_ALPHA[context.codec.canonical_name], "r")
    context.thread_type = "AUTO"
    return context


def has_alpha_stream(stream: Any) -> bool:
    """Tell whether transparency comes beside the film's packets, as in WebM."""
    told = {name.lower(): value for name, value in stream.metadata.items()}.get("alpha_mode")
    return told == "1" and stream.codec_context.codec.canonical_name in _WITH_ALPHA


def _timed(items: Iterable[tuple[Any, str]], stream: Any) -> Generator[tuple[Any, str]]:
    """Give every frame a time, where it has none by its neighbours', and a duration."""
    step = length(stream)
    before: tuple[Any, str] | None = None
    for frame, damage in _placed(items, step):
        if before is not None:
            if frame is not None and before[0] is not None:
                before[0].duration = max(0, frame.pts - before[0].pts)
            yield before
        before = frame, damage
    if before is not None:
        last = before[0]
        if last is not None:
            # A packet's own duration may be another frame's, where frames are sorted.
            end = stream.start_time + stream.duration if _states_end(stream) else 0
            last.duration = end - last.pts if end > last.pts else last.duration or step
        yield before


def _states_end(stream: Any) -> bool:
    return stream.start_time is not None and stream.duration is not None


def _placed(items: Iterable[tuple[Any, str]], step: int) -> Generator[tuple[Any, str]]:
    """Give times to frames that have none."""
    waiting: list[tuple[Any, str]] = []
    last: Any = None
    for item in items:
        frame, _ = item
        waiting.append(item)
        if (frame is None or frame.pts is None) and len(waiting) <= _UNTIMED:
            continue
        _fill([one for one, _ in waiting if one is not None], last, step)
        yield from waiting
        last, waiting = frame or last, []
    _fill([one for one, _ in waiting if one is not None], last, step)
    yield from waiting


def _fill(frames: list[Any], before: Any, step: int) -> None:
    """Set the times of frames of which only the last may have one; `before` has one."""
    if not frames:
        return
    *missing, final = frames
    if final.pts is None:
        at = before.pts + (before.duration or step) if before else frames[0].dts or 0
        for frame in frames:
            frame.pts = at
            at += frame.duration or step
    elif before is None:
        at = final.pts
        for frame in reversed(missing):
            at -= frame.duration or step
            frame.pts = at
    else:
        if before.pts - step // 4 < final.pts <= before.pts:  # rounded onto each other
            final.pts = before.pts + 1
        gap = final.pts - before.pts
        for place, frame in enumerate(missing, 1):
            frame.pts = before.pts + gap * place // len(frames)
