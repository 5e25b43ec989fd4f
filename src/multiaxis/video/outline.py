"""What an output holds: its container, the part of the source, streams, tags and chapters."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from multiaxis.video.av import load, open_container
from multiaxis.video.clip import Clip
from multiaxis.video.containers import format_of
from multiaxis.video.encoding import Encoding
from multiaxis.video.streams import film, frames_before
from multiaxis.video.timecode import advance
from multiaxis.video.track import describe_track

_OWN = {"major_brand", "minor_version", "compatible_brands", "encoder", "duration"}
_STATISTICS = {"bps", "number_of_frames", "number_of_bytes", "alpha_mode", "rotate"}


@dataclass(frozen=True)
class Window:
    """The part of a source that is kept, on the clock of its container.

    Attributes
    ----------
    first, last : Fraction or None
        Seconds: what comes from `first` up to before `last` is kept.
    shift : Fraction
        Seconds that are taken off all times.
    """

    first: Fraction | None
    last: Fraction | None
    shift: Fraction

    @classmethod
    def of(cls, given: Any, clip: Clip, start: float, end: float | None) -> Window:
        """Place a part that is counted from a clip's start."""
        first = clip.start + _exact(start) if start else None
        last = None if end is None else clip.start + _exact(end)
        # The clocks of some containers (MPEG-TS) begin anywhere.
        free = given.format.flags & load().format.Flags.ts_discont.value
        return cls(first, last, first or (clip.start if free or clip.start < 0 else Fraction(0)))

    def holds(self, time: Fraction) -> bool:
        """Tell whether a time lies in the part."""
        is_early = self.first is not None and time < self.first
        return not is_early and (self.last is None or time < self.last)

    def units(self, time_base: Fraction) -> int:
        """Give the shift in units of a time base."""
        return round(self.shift / time_base)


def _exact(seconds: float) -> Fraction:
    """Give what was meant by a number that was written with a point."""
    return Fraction(seconds).limit_denominator(1_000_000)


@contextlib.contextmanager
def open_output(file: Any, target: Path) -> Any:
    """Open a container like a target's, in a file that may have another name."""
    options = {}
    if target.suffix.lower() == ".m2ts":
        options["mpegts_m2ts_mode"] = "1"
    name = format_of(target)
    if name == "avi":  # which has no times: moved up to whole frames, the film would come late
        options["avoid_negative_ts"] = "disabled"
    with open_container(file, "w", format=name, container_options=options) as made:
        yield made


def lay_out(
    given: Any,
    made: Any,
    template: Any,
    encoding: Encoding,
    clip: Clip,
    window: Window,
    kept: Collection[int],
) -> tuple[Any, dict[int, Any]]:
    """Write an output's header.

    Parameters
    ----------
    given, made : av.container
        Source and output.
    template : av.VideoStream
        Of a segment.
    encoding : Encoding
        Of the film.
    clip : Clip
    window : Window
    kept : collection of int
        Indices of the source's other streams that are copied.

    Returns
    -------
    av.VideoStream, dict of int to av.stream.Stream
        The film, and the copied streams by their indices in the source.
    """
    main = film(given)
    made.metadata.update(_tags(given.metadata, _OWN))
    if chapters := _chapters(given.chapters(), window):
        made.set_chapters(chapters)
    others: dict[int, Any] = {}
    stream: Any = None
    for one in given.streams:
        if one.index == main.index:
            stream = added = _add_film(given, made, template, clip, window)
            describe_track(stream, template, clip, encoding)
        elif one.index in kept:
            if _is_attached(one, made):
                _attach(given, one, made)
                continue
            others[one.index] = added = made.add_stream_from_template(one, opaque=True)
            cut = window.first is not None or window.last is not None
            added.metadata.clear()
            added.metadata.update(_tags(one.metadata, _OWN | _STATISTICS if cut else _OWN))
        else:
            continue
        added.disposition = int(one.disposition)
        if made.format.name == given.format.name == "mpegts":
            added.id = one.id
    made.start_encoding()
    return stream, others


def _is_attached(stream: Any, made: Any) -> bool:
    """Tell covers that go into Matroska: it holds them as files."""
    picture = load().stream.Disposition.attached_pic
    return made.format.name == "matroska" and bool(stream.disposition & picture)


def _attach(given: Any, stream: Any, made: Any) -> None:
    with open_container(given.name) as again:
        cover = next(again.demux(again.streams[stream.index]))
        codec: str = stream.codec_context.name
        kind = codec.replace("mjpeg", "jpeg")
        tags = _tags(stream.metadata, _OWN)
        name = tags.pop("filename", f"cover.{kind.replace('jpeg', 'jpg')}")
        kind = tags.pop("mimetype", f"image/{kind}")
        added = made.add_attachment(name, kind, bytes(cover))
        added.metadata.update(tags)


def _add_film(given: Any, made: Any, template: Any, clip: Clip, window: Window) -> Any:
    main = film(given)
    stream = made.add_stream_from_template(template, opaque=True)  # AV1 is decoded by others
    stream.time_base = clip.time_base
    if made.format.name == "avi" and clip.rate:  # it counts frames, and fills gaps with empty ones
        stream.time_base = 1 / clip.rate
    stream.metadata.update(_tags(main.metadata, _OWN | _STATISTICS))
    if code := timecode(given):
        if window.first is not None and clip.rate:
            code = advance(code, frames_before(given, window.first), clip.rate)
        stream.metadata["timecode"] = code
    return stream


def timecode(given: Any) -> str | None:
    """Give the time code of a source's first frame."""
    for tags in (film(given).metadata, given.metadata, *(one.metadata for one in given.streams)):
        if code := {key.lower(): value for key, value in tags.items()}.get("timecode"):
            return code
    return None


def _tags(tags: Mapping[str, str], without: Collection[str]) -> dict[str, str]:
    """Take out what speaks of the source's bytes."""
    return {
        key: value
        for key, value in tags.items()
        if key.lower() not in without and not key.startswith("_STATISTICS")
    }


def _chapters(chapters: list[Any], window: Window) -> list[Any]:
    """Cut chapters to the part that is kept, and move them with it."""
    kept: list[Any] = []
    for chapter in chapters:
        unit = chapter["time_base"]
        first, last = chapter["start"] * unit, chapter["end"] * unit
        first = first if window.first is None else max(first, window.first)
        last = last if window.last is None else min(last, window.last)
        if first < last:
            moved = {"start": first - window.shift, "end": last - window.shift}
            kept.append({**chapter, **{key: round(time / unit) for key, time in moved.items()}})
    return kept
