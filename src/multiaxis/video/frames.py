"""The frames of a clip in order: each with a time, all of one kind, none of them damaged."""

from __future__ import annotations

import itertools
import math
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

from multiaxis.errors import ImageError
from multiaxis.video.av import av_version, load
from multiaxis.video.streams import film, origin

_UNTIMED = 32  # frames that may wait for one that has a time
_ADVISED = 1.5e-3  # seconds: the times that messages name are in milliseconds
_WITH_ALPHA = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
_UNORDERED = ("avi", "asf")  # tell when packets come, not when their frames are shown
_STRAY = 4  # frames by which FFmpeg misplaces those of MPEG-PS that share a packet
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
    ahead = _timed(_ordered(_items(container, stream), container, stream), stream)
    for item in ahead:
        frame, lost = item.frame, item.lost
        if frame is not None:
            time = kept.time(frame)
            if end is not None and time >= end - _SLACK:
                return
            if start and time < start - _SLACK:
                continue
            if start and item.sound and time < start + _ADVISED:
                lost = ""  # what is missing came before
        if error := kept.damaged(item, ahead) if lost else kept.check(frame):
            if kept.last is not None and end is not None and end <= kept.end() + _SLACK:
                return
            raise error
        yield frame


def side_data(frame: Any) -> dict[str, bytes]:
    """Give what a frame carries beside pixels, by FFmpeg's names."""
    try:
        held = frame.side_data  # before PyAV 19 a sequence, then a mapping from kinds
        items = held.values() if av_version() >= 19 else held
        return {item.type.name: bytes(item) for item in items}
    except ValueError:  # a kind that PyAV does not know
        return {}


def length(stream: Any) -> int:
    """Give how long a frame lasts by its stream's rate, in units of its time base."""
    rate, unit = stream.average_rate, stream.time_base
    return max(1, round(1 / (rate * unit))) if rate and unit else 1


class _Item(NamedTuple):
    """A decoded frame, or None at the end where more is missing.

    `lost` says what is wrong with it or directly before it; `sound` that it is right itself.
    """

    frame: Any
    lost: str
    sound: bool


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

    def damaged(self, item: _Item, ahead: Iterator[_Item]) -> ImageError:
        """Make the error for damage before or in the next frame."""
        if self.count:
            return ImageError(
                f"cannot read {self.path}: what follows frame {self.count} is damaged "
                f"({item.lost}); {self._before()}"
            )
        sound = next((one.frame for one in itertools.chain([item], ahead) if one.sound), None)
        if sound is None:
            return ImageError(f"cannot read {self.path}: its frames are damaged ({item.lost})")
        return ImageError(
            f"cannot read {self.path}: its first frames are damaged ({item.lost}); with --start "
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


def _items(container: Any, stream: Any) -> Generator[_Item]:
    """Decode frames. Behind damage, none is sound up to the next key frame."""
    av = load()
    decoder = _decoder(stream)
    packets = container.demux(stream)
    packet, lost, broken = None, "", False
    while True:
        try:
            packet = next(packets, None)
            frames = [] if packet is None else decoder.decode(packet)
        except av.error.FFmpegError as error:
            lost, broken, frames = str(error.strerror or error), True, []
        for frame in frames:
            if frame.is_corrupt:
                lost, broken = lost or "data are missing", True
            elif frame.key_frame:
                broken = False
            yield _Item(frame, lost, not broken)
            lost = lost if broken else ""
        if packet is None:
            break
    if lost:
        yield _Item(None, lost, sound=False)


def _ordered(items: Generator[_Item], container: Any, stream: Any) -> Iterable[_Item]:
    """Set times where containers tell none for each frame: FFmpeg guesses badly."""
    if container.format.name in _UNORDERED:
        return _counted(items)
    return _raised(items, length(stream)) if container.format.name == "mpeg" else items


def _counted(items: Iterable[_Item]) -> Generator[_Item]:
    """Set times by the order of packets."""
    delay: int | None = None
    for item in items:
        if (frame := item.frame) is not None:
            if delay is None and None not in (frame.dts, frame.pts):
                delay = frame.dts - frame.pts
            frame.pts = None if None in (frame.dts, delay) else frame.dts - delay
        yield item


def _raised(items: Iterable[_Item], step: int) -> Generator[_Item]:
    """Move frames on that would be shown with, or shortly before, the one before."""
    last: int | None = None
    for item in items:
        if (frame := item.frame) is not None and frame.pts is not None:
            if last is not None and last - _STRAY * step < frame.pts <= last:
                frame.pts = last + (frame.duration or step)
            last = frame.pts
        yield item


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


def _timed(items: Iterable[_Item], stream: Any) -> Generator[_Item]:
    """Give every frame a time, where it has none by its neighbours', and a duration."""
    step = length(stream)
    before: _Item | None = None
    for item in _placed(items, step):
        if before is not None:
            if item.frame is not None:
                before.frame.duration = max(0, item.frame.pts - before.frame.pts)
            yield before
        before = item
    if before is not None:
        if (last := before.frame) is not None:
            # What a stream states as its end may be missing: that is for others to say.
            last.duration = last.duration or step
        yield before


def _placed(items: Iterable[_Item], step: int) -> Generator[_Item]:
    """Give times to frames that have none."""
    waiting: list[_Item] = []
    last: Any = None
    for item in items:
        waiting.append(item)
        if (item.frame is None or item.frame.pts is None) and len(waiting) <= _UNTIMED:
            continue
        _fill([one.frame for one in waiting if one.frame is not None], last, step)
        yield from waiting
        last, waiting = item.frame or last, []
    _fill([one.frame for one in waiting if one.frame is not None], last, step)
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
