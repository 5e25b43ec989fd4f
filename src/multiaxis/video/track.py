"""What a container says about the restored film beside its packets."""

from __future__ import annotations

from typing import Any

from multiaxis.video.clip import Clip
from multiaxis.video.encoding import written_colour

_MOV = ("mp4", "mov", "ipod", "3gp", "3g2", "psp")  # FFmpeg's names of one family


def describe_track(stream: Any, clip: Clip) -> None:
    """Give an output stream, made from a segment's, what its source says of the film.

    Parameters
    ----------
    stream : av.VideoStream
        Of a container whose header is not written yet.
    clip : Clip
    """
    context = stream.codec_context
    if clip.turn:
        stream.set_display_matrix(clip.turn)
    if clip.aspect:
        context.sample_aspect_ratio = clip.aspect
    colour = written_colour(clip, context.pix_fmt)  # which segments do not hold
    context.colorspace, context.color_range = colour.matrix, colour.range
    context.color_primaries, context.color_trc = colour.primaries, colour.transfer
    if clip.rate:
        context.framerate = clip.rate
    if clip.field_order:
        context.field_order = clip.field_order
    if context.codec.canonical_name == "hevc" and stream.container.format.name in _MOV:
        context.codec_tag = "hvc1"
