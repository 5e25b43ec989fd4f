"""Restored segments and the other streams of their source, in one file."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

from multiaxis.errors import ImageError
from multiaxis.files.publish import claim
from multiaxis.video.av import load
from multiaxis.video.folder import Segments
from multiaxis.video.kept import describe_stream, is_beside
from multiaxis.video.mux import Muxed, Times, mux
from multiaxis.video.outline import format_of, lay_out, open_output
from multiaxis.video.plan import ClipPlan
from multiaxis.video.segments import packets_of
from multiaxis.video.streams import film, locate, open_input


def join(
    plan: ClipPlan,
    segments: Segments,
    times: Times,
    *,
    overwrite: bool,
    before_naming: Callable[[Path], None] | None = None,
) -> tuple[str, ...]:
    """Mux the segments' packets with the source's other streams, all of them or none.

    Returns
    -------
    tuple of str
        What became of other streams, where that could not be known beforehand.

    Raises
    ------
    ImageError
        If the output does not hold every frame, or cannot be written.
    """
    av = load()
    part, target = segments.joined, plan.target
    try:
        muxed = _mux(plan, segments, times, part)
        _count(plan, part, muxed, len(times.shown))
        gone = _empty(plan, part, muxed)
        if before_naming is not None:
            before_naming(part)
        if overwrite:
            part.replace(target)
        else:
            claim(part, target)
    except FileExistsError as error:
        raise ImageError(
            f"the output {target} exists: pass --overwrite, or choose another in the same folder "
            "with -o, which continues from the restored frames"
        ) from error
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise segments.unwritten(error) from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink()
    return gone + tuple(
        f"times of stream {index} went back {count} times, and were corrected"
        for index, count in sorted(muxed.repaired.items())
    )


def _mux(plan: ClipPlan, segments: Segments, times: Times, part: Path) -> Muxed:
    av = load()
    paths = list(segments)
    with (
        open_input(plan.source) as given,
        av.open(locate(paths[0])) as first,
        open_output(locate(part), plan.target) as made,
    ):
        template = first.streams.video[0]
        stream, others = lay_out(
            given, made, template, plan.encoding, plan.clip, plan.window, plan.kept
        )
        packets = _packets(paths, template.codec_context.extradata, plan)
        return mux(given, made, (stream, packets, times), others, plan.window)


def _packets(paths: list[Path], header: bytes | None, plan: ClipPlan) -> Generator[Any]:
    """Yield all packets of the film.

    Raises
    ------
    ImageError
        If a segment was encoded otherwise than the first.
    """
    for path in paths:
        with load().open(locate(path)) as container:
            if container.streams.video[0].codec_context.extradata != header:
                path.unlink()
                raise ImageError(
                    f"a segment of {plan.target} was encoded differently from the first, and "
                    "was removed: run the command again"
                )
        yield from packets_of(path)


def _empty(plan: ClipPlan, part: Path, muxed: Muxed) -> tuple[str, ...]:
    """Name the streams without content that the container left out: MP4 holds no empty tracks."""
    with open_input(plan.source) as given:
        kept = [given.streams[index] for index in sorted(plan.kept)]
        empty = [one for one in kept if not muxed.counts[one.index] and not is_beside(one)]
        if not empty:
            return ()
        with open_input(part, _kind(plan)) as made:
            found = [one.type for one in made.streams if one.index != film(made).index]
        for one in kept:
            if one not in empty and one.type in found:
                found.remove(one.type)
        gone: list[str] = []
        for one in empty:
            if one.type in found:
                found.remove(one.type)
            else:
                name = describe_stream(one).name
                gone.append(f"{name} holds nothing here, and {plan.target.suffix} leaves it out")
    return tuple(gone)


def _kind(plan: ClipPlan) -> str | None:
    """Name what readers might not find out: a very short MPEG-TS is not recognised."""
    return "mpegts" if format_of(plan.target) == "mpegts" else None


def _count(plan: ClipPlan, part: Path, muxed: Muxed, wanted: int) -> None:
    """Count what can be read back: frames that are restored are frames that are written.

    Raises
    ------
    ImageError
        If there are others.
    """
    found = 0
    # What cannot be read back at all holds none.
    with contextlib.suppress(load().error.FFmpegError), open_input(part, _kind(plan)) as made:
        if stream := film(made):
            found = sum(packet.size > 0 for packet in made.demux(stream))
    if not muxed.frames == found == wanted:
        raise ImageError(
            f"{plan.target} would hold {found} of {wanted} frames, and was not written: choose "
            "another container with -o, such as .mkv, in the same folder, which continues from the "
            "restored frames"
        )
