"""What an output holds of its source's streams, tags, marks and chapters."""

from __future__ import annotations

import io
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from multiaxis.video.av import load, open_container
from multiaxis.video.outline import Window, timecode
from multiaxis.video.streams import film, open_input

_TECHNICAL = {  # tags that speak of the source's bytes or of who wrote them
    "major_brand",
    "minor_version",
    "compatible_brands",
    "encoder",
    "duration",
    "handler_name",
    "vendor_id",
    "bps",
    "number_of_frames",
    "number_of_bytes",
    "alpha_mode",
    "rotate",
    "timecode",
    "filename",
    "mimetype",
}


@dataclass(frozen=True)
class Description:
    """What a message says of a stream."""

    name: str
    type: str
    is_picture: bool


def describe_stream(stream: Any) -> Description:
    """Describe a stream in words."""
    codec = stream.codec_context.name if stream.codec_context else getattr(stream, "name", None)
    picture = bool(stream.disposition & load().stream.Disposition.attached_pic)
    kind = "cover" if picture else {"audio": "sound"}.get(stream.type, stream.type)
    language = stream.metadata.get("language", "und").replace("und", "")
    about = ", ".join(filter(None, (kind, codec, language)))
    return Description(f"stream {stream.index} ({about})", stream.type, picture)


def kind_of(stream: Any) -> tuple[str, str | None]:
    """Give a stream's kind and codec."""
    return stream.type, stream.codec_context.name if stream.codec_context else None


def is_beside(stream: Any) -> bool:
    """Tell files and covers, which a header holds, from what has packets."""
    picture = load().stream.Disposition.attached_pic
    return stream.type == "attachment" or bool(stream.disposition & picture)


def is_content(stream: Description) -> bool:
    """Tell what is seen and heard from what is beside it."""
    return stream.type in ("audio", "subtitle", "video") and not stream.is_picture


def is_timecode(stream: Any) -> bool:
    """Tell a QuickTime track of time codes; writers make it anew from the film's tags."""
    return stream.type == "data" and stream.codec_context is None and "timecode" in stream.metadata


def is_chapters(stream: Any, container: Any) -> bool:
    """Tell a QuickTime track of chapters' titles; writers make it anew from the chapters."""
    titles = container.chapters()
    return bool(
        titles
        and stream.type == "data"
        and stream.name == "bin_data"
        and stream.frames == len(titles)
        and "mov" in container.format.name.split(",")
    )


def compare(
    source: Path, made: io.BytesIO, kept: Collection[int], window: Window, suffix: str
) -> tuple[str, ...]:
    """Read a rehearsed output and say what it lost."""
    made.seek(0)
    with (
        open_input(source) as given,
        open_container(made) as read,
    ):
        main = film(given)
        wanted = [one for one in given.streams if one.index == main.index or one.index in kept]
        lost = _tags(given.metadata, read.metadata)
        free = list(read.streams)
        several = {kind for kind in ("video", "audio", "subtitle") if _many(wanted, kind)}
        for one in wanted:
            other = next((found for found in free if found.type == one.type), None)
            if other is None:
                continue  # no packet of it comes early: it is not there yet
            free.remove(other)
            lost += [
                f"{what} of stream {one.index}"
                for what in [*_tags(one.metadata, other.metadata), *_marks(one, other, several)]
            ]
        if timecode(given) and not timecode(read):
            lost.append("time code")
        if window.first is None and window.last is None:
            lost += ["chapters"] * (len(read.chapters()) < len(given.chapters()))
    return (f"{suffix} cannot hold: {', '.join(lost)}",) if lost else ()


def _many(streams: list[Any], kind: str) -> bool:
    return sum(one.type == kind for one in streams) > 1


def _tags(wanted: Mapping[str, str], found: Mapping[str, str]) -> list[str]:
    held = {key.lower() for key in found}
    return [
        key.lower()
        for key, value in wanted.items()
        if key.lower() not in held | _TECHNICAL
        and not key.startswith("_STATISTICS")
        and (key.lower(), value) != ("language", "und")
    ]


def _marks(one: Any, other: Any, several: set[str]) -> list[str]:
    """List lost dispositions; which is the default is of no account where there is no choice."""
    lost = one.disposition & ~other.disposition
    if one.type not in several:
        lost &= ~load().stream.Disposition.default
    return [f"mark {mark.name}" for mark in load().stream.Disposition if mark & lost]
