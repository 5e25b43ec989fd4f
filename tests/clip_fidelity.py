"""What each container keeps of a clip: made, restored by identity, and read back."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from multiaxis.errors import ImageError
from multiaxis.video import restore_clip
from multiaxis.video.clip import open_clip, probe
from multiaxis.video.streams import film

SUFFIXES = (".mp4", ".mov", ".mkv", ".webm", ".ts", ".avi")


def make(path: Path, add: Callable[[Any, Any], Any] | None = None, gaps: int = 1) -> Path:
    """A clip of six frames; `add` adds to its container and gives packets to mux."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "30"})
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        stream.codec_context.max_b_frames = 0
        rest = add(container, stream) if add else None
        for k in range(6):
            frame = av.VideoFrame(32, 32, "yuv420p")
            frame.pts, frame.time_base = k * gaps + k // 3, Fraction(1, 25)
            if gaps == 1:
                frame.pts = k
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        for packet in rest() if rest else ():
            container.mux(packet)
    return path


def sound(codec: str, **tags: str) -> Callable[[Any, Any], Any]:
    def add(container: Any, _: Any) -> Any:
        tone = container.add_stream(codec, rate=48000)
        tone.metadata.update(tags)

        def packets() -> Any:
            for k in range(5):
                part = av.AudioFrame.from_ndarray(np.zeros((2, 960), np.float32), "fltp", "stereo")
                part.sample_rate, part.pts, part.time_base = 48000, k * 960, Fraction(1, 48000)
                yield from tone.encode(part)
            yield from tone.encode(None)

        return packets

    return add


def several_sounds(container: Any, stream: Any) -> Any:
    first, second = (sound("aac")(container, stream) for _ in range(2))
    container.streams[1].disposition = 0
    container.streams[2].disposition = 1
    return lambda: [*first(), *second()]


def words(container: Any, _: Any) -> Any:
    stream = container.add_mux_stream("subrip")
    stream.time_base = Fraction(1, 1000)

    def packets() -> Any:
        packet = av.Packet(b"words")
        packet.pts = packet.dts = 40
        packet.duration, packet.time_base, packet.stream = 80, Fraction(1, 1000), stream
        yield packet

    return packets


def cover(container: Any, _: Any) -> Any:
    encoder = av.CodecContext.create("png", "w")
    encoder.width = encoder.height = 8
    encoder.pix_fmt, encoder.time_base = "rgb24", Fraction(1, 1)
    image = b"".join(map(bytes, encoder.encode(av.VideoFrame(8, 8, "rgb24"))))
    container.add_attachment("cover.png", "image/png", image)


def font(container: Any, _: Any) -> Any:
    container.add_attachment("a.ttf", "font/ttf", b"\0\1\0\0 a font")


def chapters(container: Any, _: Any) -> Any:
    unit = Fraction(1, 1000)
    container.set_chapters(
        [
            {"id": k, "start": k * 100, "end": k * 100 + 100, "time_base": unit, "metadata": {}}
            | {"metadata": {"title": title}}
            for k, title in enumerate(("One", "Two"))
        ]
    )


def tags(container: Any, _: Any) -> Any:
    container.metadata.update(title="A title", comment="A comment")


def turned(_: Any, stream: Any) -> Any:
    stream.set_display_rotation(90)


def oblong(_: Any, stream: Any) -> Any:
    stream.codec_context.sample_aspect_ratio = Fraction(4, 3)


def time_code(_: Any, stream: Any) -> Any:
    stream.metadata["timecode"] = "01:02:03:04"


def second_film(container: Any, _: Any) -> Any:
    stream = container.add_stream("libx264", rate=25)
    stream.width, stream.height, stream.pix_fmt = 16, 16, "yuv420p"
    stream.codec_context.max_b_frames = 0
    stream.disposition = 0

    def packets() -> Any:
        for k in range(6):
            frame = av.VideoFrame(16, 16, "yuv420p")
            frame.pts, frame.time_base = k, Fraction(1, 25)
            yield from stream.encode(frame)
        yield from stream.encode(None)

    return packets


def kinds(path: Path) -> list[tuple[str, str | None]]:
    with av.open(str(path)) as container:
        return [
            (one.type, one.codec_context.name if one.codec_context else None)
            for one in container.streams
        ]


def holds(kind: str, codec: str | None = None) -> Callable[[Path, Path], bool]:
    def check(source: Path, target: Path) -> bool:
        del source
        return any(found[0] == kind and codec in (None, found[1]) for found in kinds(target))

    return check


def of_container(read: Callable[[Any], Any]) -> Callable[[Path, Path], bool]:
    def check(source: Path, target: Path) -> bool:
        found = []
        for path in (source, target):
            with av.open(str(path)) as container:
                found.append(read(container))
        return found[0] == found[1]

    return check


def of_clip(name: str) -> Callable[[Path, Path], bool]:
    return lambda source, target: getattr(probe(source), name) == getattr(probe(target), name)


def seconds(path: Path) -> list[float]:
    with open_clip(path) as container:
        return [float(one.pts * one.time_base) for one in container.decode(film(container))]


def same_times(source: Path, target: Path) -> bool:
    wanted, found = seconds(source), seconds(target)
    return len(wanted) == len(found) and bool(
        np.abs(np.subtract(wanted, wanted[0]) - np.subtract(found, found[0])).max() < 2e-3
    )


def titles(container: Any) -> list[str]:
    return [chapter["metadata"].get("title") for chapter in container.chapters()]


def lower(metadata: dict[str, str], *names: str) -> list[str | None]:
    held = {key.lower(): value for key, value in metadata.items()}
    return [held.get(name) for name in names]


ASPECTS: dict[str, tuple[Any, Callable[[Path, Path], bool]]] = {
    "every frame, even rate": (None, same_times),
    "every frame, varying rate": ("uneven", same_times),
    "sound: AAC": (sound("aac"), holds("audio", "aac")),
    "sound: Opus": (sound("libopus"), holds("audio", "opus")),
    "sound: FLAC": (sound("flac"), holds("audio", "flac")),
    "subtitles: SubRip": (words, holds("subtitle")),
    "another film: H.264": (second_film, of_container(lambda c: len(c.streams.video))),
    "cover": (cover, of_container(lambda c: [int(v.disposition) & 1024 for v in c.streams.video])),
    "font": (font, holds("attachment")),
    "chapters": (chapters, of_container(titles)),
    "title, comment": (tags, of_container(lambda c: lower(c.metadata, "title", "comment"))),
    "languages": (
        sound("aac", language="ger"),
        of_container(lambda c: [a.language for a in c.streams.audio]),
    ),
    "default, forced and other marks": (
        several_sounds,
        of_container(lambda c: [int(a.disposition) for a in c.streams.audio]),
    ),
    "turn and mirroring": (turned, of_clip("turn")),
    "pixel aspect": (oblong, of_clip("aspect")),
    "time code": (
        time_code,
        of_container(lambda c: lower(c.streams.video[0].metadata, "timecode")),
    ),
}


def outcome(folder: Path, aspect: str, suffix: str) -> str:
    """Tell what becomes of something: kept, named as lost, refused before the work, or SILENT."""
    add, is_kept = ASPECTS[aspect]
    source, target = folder / "a.mkv", folder / f"b{suffix}"
    if not source.exists():
        make(source, None if add == "uneven" else add, gaps=2 if add == "uneven" else 1)
    seen = 0

    def same(values: Any) -> Any:
        nonlocal seen
        seen += 1
        return values

    try:
        result = restore_clip(same, source, target)
    except ImageError:
        return "refused" if not seen and not target.exists() else "FAILED LATE"
    if is_kept(source, target):
        return "kept"
    said = [remark for remark in result.remarks if "cannot hold" in remark]
    return "named" if said else "SILENT"


def table(folder: Path) -> list[str]:
    """Give the table's lines in Markdown."""
    lines = [f"| | {' | '.join(SUFFIXES)} |", f"| --- |{' --- |' * len(SUFFIXES)}"]
    for number, aspect in enumerate(ASPECTS):
        place = folder / str(number)
        place.mkdir()
        cells = [outcome(place, aspect, suffix) for suffix in SUFFIXES]
        lines.append(f"| {aspect} | {' | '.join(cells)} |")
    return lines
