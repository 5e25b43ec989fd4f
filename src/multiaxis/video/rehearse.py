"""A small output made before the work, and read back: what a container keeps of a clip."""

from __future__ import annotations

import io
from collections.abc import Collection
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from multiaxis.errors import ImageError
from multiaxis.video.av import load, open_container
from multiaxis.video.clip import Clip
from multiaxis.video.containers import format_of
from multiaxis.video.encoding import Encoding
from multiaxis.video.folder import why
from multiaxis.video.kept import (
    compare,
    describe_stream,
    is_beside,
    is_chapters,
    is_content,
    is_timecode,
    kind_of,
)
from multiaxis.video.mux import Muxed, Times, mux
from multiaxis.video.outline import Window, lay_out, open_output
from multiaxis.video.streams import film, open_input, packet_times
from multiaxis.video.track import lost_of_film

_UNEVEN = 0.15  # of a frame: times in whole milliseconds are even, too
_PACKETS = 500  # of the source's other streams that are tried


def rehearse(
    source: Path, target: Path, clip: Clip, encoding: Encoding, window: Window
) -> tuple[frozenset[int], tuple[str, ...]]:
    """Find out what an output can hold.

    Returns
    -------
    frozenset of int, tuple of str
        The source's other streams that can be copied; and what is lost, in words.

    Raises
    ------
    ImageError
        If the container takes no film of this kind, or not the source's sound, subtitles or other
        films and there is one that does.
    """
    if format_of(target) == "avi":
        _check_even(source, target, clip, window)
    stage = _Stage(source, clip, encoding, _blank(encoding, clip), window)
    wanted = stage.others()
    kept, losses = stage.keep(target, wanted)
    missing = [index for index in wanted if index not in kept]
    content = {index for index in missing if is_content(stage.stream(index))}
    if content:
        for suffix in dict.fromkeys((source.suffix.lower(), ".mkv")):
            other = target.with_suffix(suffix)
            if _is_other(other, target) and content & stage.can_keep(other, wanted):
                names = ", ".join(stage.name(index) for index in sorted(content))
                raise ImageError(
                    f"{target.suffix} cannot hold {names} of {source}: name an output that can, "
                    f"such as -o {other.name}"
                )
    left = tuple(f"{target.suffix} cannot hold {stage.name(index)}: left out" for index in missing)
    late = tuple(
        f"{stage.name(index)} is copied, and begins at its next key frame"
        for index in sorted(kept)
        if window.first is not None and stage.is_film(index)
    )
    return frozenset(kept), left + losses + late


@dataclass(frozen=True)
class _Stage:
    """What every rehearsal of a clip needs."""

    source: Path
    clip: Clip
    encoding: Encoding
    blank: bytes
    window: Window

    def others(self) -> list[int]:
        """List the streams that are wanted beside the film."""
        with open_input(self.source) as given:
            own = film(given).index
            return [
                one.index
                for one in given.streams
                if one.index != own
                # Both are written anew: from the film's tags, and from the chapters.
                and not is_timecode(one)
                and not is_chapters(one, given)
            ]

    def stream(self, index: int) -> Any:
        with open_input(self.source) as given:
            return describe_stream(given.streams[index])

    def is_film(self, index: int) -> bool:
        found = self.stream(index)
        return found.type == "video" and not found.is_picture

    def name(self, index: int) -> str:
        return self.stream(index).name

    def keep(self, target: Path, wanted: Collection[int]) -> tuple[set[int], tuple[str, ...]]:
        """Find the streams that can be copied together, and what is lost of the rest.

        Raises
        ------
        ImageError
            If not even the film can be written.
        """
        if reason := self._fails(target, ()):
            raise ImageError(
                f"{target.suffix} cannot hold this film ({reason}): choose another container "
                "with -o, such as .mkv, or another encoder with --codec"
            )
        kept = set(wanted)
        if self._fails(target, kept):
            kept = {index for index in wanted if not self._fails(target, (index,))}
        if kept and (reason := self._fails(target, kept)):
            raise ImageError(
                f"{target.suffix} does not take the streams of {self.source} together ({reason}): "
                "choose another container with -o, such as .mkv"
            )
        made, _ = self._play(target, kept)
        lost = lost_of_film(self.clip, self.encoding, made)
        film_lost = (f"{target.suffix} cannot hold the film's {', '.join(lost)}",) if lost else ()
        return kept, film_lost + compare(self.source, made, kept, self.window, target.suffix)

    def can_keep(self, target: Path, wanted: Collection[int]) -> set[int]:
        """Find the streams that can be copied together; none where not even the film fits."""
        try:
            return self.keep(target, wanted)[0]
        except ImageError:
            return set()

    def _fails(self, target: Path, kept: Collection[int]) -> str:
        """Say what does not come back of a rehearsed output, or why there is none."""
        try:
            made, muxed = self._play(target, kept)
            with (
                open_input(self.source) as given,
                open_container(made) as read,
            ):
                found = [kind_of(one) for one in read.streams]
                for index in kept:
                    one = given.streams[index]
                    if not muxed.counts[index] and not is_beside(one):
                        continue  # no packet of it comes early
                    if kind_of(one) not in found:
                        return f"stream {index} cannot be read back"
                    found.remove(kind_of(one))
                is_back = any(kind == "video" for kind, _ in found)
                return "" if is_back else "the film cannot be read back"
        except (load().error.FFmpegError, OSError, ValueError) as error:
            return why(error)

    def _play(self, target: Path, kept: Collection[int]) -> tuple[io.BytesIO, Muxed]:
        """Write a container with one blank frame and the first packets of other streams."""
        made = io.BytesIO()
        with (
            open_input(self.source) as given,
            load().open(io.BytesIO(self.blank)) as template,
            open_output(made, target) as output,
        ):
            encoded = template.streams.video[0]
            stream, others = lay_out(
                given, output, encoded, self.encoding, self.clip, self.window, kept
            )
            packets = [packet for packet in template.demux(encoded) if packet.size]
            first = self.window.units(self.clip.time_base)
            times = Times(self.clip.time_base, [first])
            muxed = mux(given, output, (stream, packets, times), others, self.window, _PACKETS)
        made.seek(0)
        return made, muxed


def _check_even(source: Path, target: Path, clip: Clip, window: Window) -> None:
    """Refuse frames that come unevenly where a container only counts them.

    Raises
    ------
    ImageError
        If they do.
    """
    with open_input(source) as given:
        times = [time for time in packet_times(given) if window.holds(time)]
    gaps = [float((after - before) * (clip.rate or 1)) for before, after in pairwise(times)]
    if any(abs(gap - 1) > _UNEVEN for gap in gaps):
        raise ImageError(
            f"{target.suffix} holds frames of one rate, and those of {source} have a varying rate: "
            f"name another output, such as -o {target.with_suffix('.mkv').name}"
        )


def _is_other(one: Path, target: Path) -> bool:
    try:
        return format_of(one) != format_of(target)
    except ValueError:
        return False


def _blank(encoding: Encoding, clip: Clip) -> bytes:
    """Encode a frame without content."""
    av = load()
    made = io.BytesIO()
    try:
        with av.open(made, "w", format=encoding.container) as container:
            stream = encoding.open(container, clip)
            frame = av.VideoFrame(clip.width, clip.height, encoding.pixel_format)
            frame.pts, frame.time_base = 0, clip.time_base
            container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise ImageError(
            f"{encoding.encoder} does not take {clip.width}x{clip.height} "
            f"{encoding.pixel_format} ({why(error)}): choose another with --codec"
        ) from error
    return made.getvalue()
