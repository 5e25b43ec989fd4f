"""Which of a clip's streams is the film, and when the clip begins."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

from multiaxis.video.av import load, open_container

_PEEKED = 2000  # packets that are read to tell films from still pictures
_TRANSPORT = (".ts", ".mts", ".m2ts")
_MICROSECOND = Fraction(1, 1_000_000)


def locate(path: Path) -> str:
    """Name a file to FFmpeg, which would read ``a:b.mp4`` as a protocol and its address."""
    return f"file:{path}"


def open_input(path: Path, kind: str | None = None) -> Any:
    """Open a file for reading; tags that are not UTF-8 keep their bytes.

    `kind` is FFmpeg's name of its container; by default FFmpeg finds that out.

    Raises
    ------
    av.error.FFmpegError, OSError, ValueError
        If FFmpeg cannot read it.
    """
    av = load()
    try:
        return open_container(locate(path), format=kind)
    except (av.error.FFmpegError, ValueError):
        if kind or path.suffix.lower() not in _TRANSPORT or not path.stat().st_size:
            raise
    # A very short MPEG-TS is not recognised.
    return open_container(locate(path), format="mpegts")


def film(container: Any) -> Any:
    """Find the video stream that is restored; None where there is none.

    Covers, thumbnails, still pictures and streams of unknown codecs are none. Of several films, the
    one that is marked as the default counts, then the largest, then the first.
    """
    av = load()
    picture = av.stream.Disposition.attached_pic | av.stream.Disposition.timed_thumbnails
    found = [
        stream
        for stream in container.streams.video
        # A stream of an unknown codec has no width at all.
        if getattr(stream, "width", 0) and not stream.disposition & picture
    ]
    if len(found) > 1 and container.name.startswith("file:"):  # not in memory
        moving = _moving(container.name, {stream.index for stream in found})
        found = [stream for stream in found if stream.index in moving] or found
    default = av.stream.Disposition.default
    return max(found, key=lambda one: (one.disposition & default, _area(one)), default=None)


def origin(container: Any) -> Fraction:
    """Give the time at which a clip begins, in seconds: its earliest stream's, as players count."""
    told = Fraction(container.start_time or 0, 1_000_000)
    # FFmpeg rounds it: frames that come exactly then would be too early.
    exact = (one.start_time * one.time_base for one in container.streams if one.start_time)
    return min((time for time in exact if abs(time - told) < _MICROSECOND), default=told)


def frames_before(container: Any, time: Fraction) -> int:
    """Count the film's frames before a time, by their packets."""
    return sum(at < time for at in packet_times(container))


def packet_times(container: Any) -> list[Fraction]:
    """List the times of the film's packets, in seconds; by a reader of its own."""
    with open_container(container.name) as again:
        packets = again.demux(again.streams[film(container).index])
        return sorted(one.pts * one.time_base for one in packets if one.pts is not None)


def _area(stream: Any) -> int:
    return stream.width * stream.height


def _moving(name: str, indices: set[int]) -> set[int]:
    """Tell which streams hold more than one packet; in a reader of its own, which reads ahead."""
    seen, moving = set[int](), set[int]()
    with open_container(name) as container:
        for number, packet in enumerate(container.demux()):
            index = packet.stream.index
            if index in indices and packet.size:
                (moving if index in seen else seen).add(index)
            if number == _PEEKED or moving == indices:
                break
    return moving
