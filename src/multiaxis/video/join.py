"""Restored segments and the other streams of their source, in one file."""

from __future__ import annotations

import contextlib
import heapq
import os
from collections.abc import Generator
from pathlib import Path
from typing import Any

from multiaxis.errors import ImageError
from multiaxis.video.av import load
from multiaxis.video.clip import Clip
from multiaxis.video.segments import Segments
from multiaxis.video.track import describe_track


def join(
    source: Path,
    target: Path,
    segments: Segments,
    clip: Clip,
    start: float,
    end: float | None,
    *,
    overwrite: bool,
) -> None:
    """Mux the segments' packets with the source's other streams, all of them or none."""
    av = load()
    part = target.with_name(f".{target.stem[:80]}.part{target.suffix}")
    try:
        with av.open(str(source)) as given, av.open(str(part), "w") as made:
            _mux_all(given, made, segments, clip, start, end)
        if overwrite:
            part.replace(target)
        else:
            os.link(part, target)
    except FileExistsError as error:
        raise ImageError(f"the output {target} exists: pass --overwrite") from error
    except (av.error.FFmpegError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ImageError(
            f"cannot write {target}: {reason}; its container may not hold the streams of {source}: "
            "try .mkv"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink()


def _mux_all(
    given: Any, made: Any, segments: Segments, clip: Clip, start: float, end: float | None
) -> None:
    av = load()
    paths = list(segments)
    made.metadata.update(given.metadata)
    video = given.streams.video[0]
    with av.open(str(paths[0])) as first:
        stream = made.add_stream_from_template(first.streams.video[0])
    stream.time_base = video.time_base
    stream.metadata.update(video.metadata)
    describe_track(stream, clip)
    others = {}
    for other in given.streams:
        if other.index != video.index and other.type in ("audio", "subtitle", "data", "attachment"):
            try:
                others[other.index] = made.add_stream_from_template(other)
            except (ValueError, av.error.FFmpegError):
                continue  # a kind that the container has no place for
            others[other.index].metadata.update(other.metadata)
    if chapters := _chapters(given.chapters(), start, end):
        made.set_chapters(chapters)
    frames = _video_packets(paths, stream, start)
    rest = _other_packets(given, others, start, end)
    for _, _, packet in heapq.merge(frames, rest, key=lambda item: item[:2]):
        made.mux(packet)


def _chapters(chapters: list[Any], start: float, end: float | None) -> list[Any]:
    """Cut chapters to the part that is kept, and move them with it."""
    kept: list[Any] = []
    for chapter in chapters:
        unit = float(chapter["time_base"])
        first = max(chapter["start"] * unit, start)
        last = chapter["end"] * unit if end is None else min(chapter["end"] * unit, end)
        if first < last:
            moved = {"start": round((first - start) / unit), "end": round((last - start) / unit)}
            kept.append({**chapter, **moved})
    return kept


def _video_packets(
    paths: list[Path], stream: Any, start: float
) -> Generator[tuple[float, int, Any]]:
    av = load()
    for path in paths:
        with av.open(str(path)) as container:
            for packet in container.demux(video=0):
                if packet.dts is None:
                    continue
                yield _placed(packet, stream, start, 0)


def _other_packets(
    given: Any, others: dict[int, Any], start: float, end: float | None
) -> Generator[tuple[float, int, Any]]:
    streams = [stream for stream in given.streams if stream.index in others]
    if not streams:
        return
    for packet in given.demux(streams):
        if packet.dts is None:
            continue
        time = float((packet.pts if packet.pts is not None else packet.dts) * packet.time_base)
        if (start and time < start) or (end is not None and time >= end):
            continue
        yield _placed(packet, others[packet.stream.index], start, 1)


def _placed(packet: Any, stream: Any, start: float, order: int) -> tuple[float, int, Any]:
    if start:
        shift = round(start / float(packet.time_base))
        packet.dts -= shift
        if packet.pts is not None:
            packet.pts -= shift
    packet.stream = stream
    return float(packet.dts * packet.time_base), order, packet
