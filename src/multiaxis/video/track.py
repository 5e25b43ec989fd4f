"""What a container says about the restored film beside its packets."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any

from multiaxis.errors import ImageError
from multiaxis.video.av import load, open_container
from multiaxis.video.clip import Clip, describe
from multiaxis.video.encoding import FIELD_ENCODERS, Encoding
from multiaxis.video.frames import decode
from multiaxis.video.pixels import LIMITED, has_alpha
from multiaxis.video.streams import film

_MOV = ("mp4", "mov", "3gp")  # FFmpeg's names of one family
_UNSPECIFIED = {"matrix": 2, "range": 0, "primaries": 2, "transfer": 2}
_MEMORY = Path("rehearsal")
_NEAR = 0.01  # of a pixel aspect: some containers hold it as a width in pixels


def describe_track(stream: Any, template: Any, clip: Clip, encoding: Encoding) -> None:
    """Give an output stream, made from a segment's, what its source says of the film.

    Parameters
    ----------
    stream : av.VideoStream
        Of a container whose header is not written yet.
    template : av.VideoStream
        Of a segment.
    clip : Clip
    encoding : Encoding
    """
    context, colour = stream.codec_context, encoding.colour
    context.colorspace, context.color_range = colour.matrix, colour.range
    context.color_primaries, context.color_trc = colour.primaries, colour.transfer
    if clip.turn:
        stream.set_display_matrix(clip.turn)
    if clip.aspect:
        context.sample_aspect_ratio = clip.aspect
    if clip.rate:
        context.framerate = clip.rate
    if clip.field_order <= 1 or encoding.encoder in FIELD_ENCODERS:
        context.field_order = clip.field_order
    if encoding.has_alpha_stream:
        stream.metadata["alpha_mode"] = "1"
    if encoding.encoder == "utvideo":  # whose letters tell its kind
        context.codec_tag = template.codec_context.codec_tag
    if encoding.encoder == "libx265" and stream.container.format.name in _MOV:
        context.codec_tag = "hvc1"  # Apple's players take no other


def lost_of_film(clip: Clip, encoding: Encoding, made: io.BytesIO) -> list[str]:
    """Read a rehearsed output, and list in words what it does not say of the film."""
    made.seek(0)
    after: Clip | None = None
    opened = open_container(made)
    with contextlib.suppress(ImageError), opened as container:
        if film(container) and (first := next(decode(container, _MEMORY), None)):
            after = describe(container, _MEMORY, first)
    if after is None:  # MPEG-PS tells streams by more than one packet
        return []
    implied: tuple[str, ...] = ()  # untagged samples are of limited range, and RGB is RGB
    if after.colour.range == 0 and encoding.colour.range == LIMITED:
        implied = ("range",)
    if load().VideoFormat(after.pixel_format, 16, 16).is_rgb:
        implied = ("range", "matrix")
    found = {
        "pixel aspect": abs(1 - (clip.aspect or 1) / (after.aspect or 1)) < _NEAR,
        "turn and mirroring": clip.turn == after.turn,
        "order of fields": clip.field_order == after.field_order
        or clip.field_order <= 1
        or encoding.encoder not in FIELD_ENCODERS
        or encoding.encoder == "mpeg2video",  # whose frames tell it, but not a blank one
        "mastering display and content light": clip.light is None or after.light is not None,
        "transparency": after.alpha or not has_alpha(encoding.pixel_format),
        **{
            f"colour {name}": wanted in (getattr(after.colour, name), _UNSPECIFIED[name])
            or name in implied
            for name, wanted in vars(encoding.colour).items()
        },
    }
    return [name for name, kept in found.items() if not kept]
