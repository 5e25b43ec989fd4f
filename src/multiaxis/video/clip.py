"""What a clip is, and its frames as pictures."""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from multiaxis.errors import ImageError
from multiaxis.video.av import load
from multiaxis.video.frames import decode, side_data
from multiaxis.video.light import Light
from multiaxis.video.pixels import Colour, as_rgb, has_alpha
from multiaxis.video.streams import film, open_input, origin

_KNOWN = "mp4 mkv mov m4v webm avi ts mts m2ts mpg mpeg wmv flv 3gp"
SUFFIXES = frozenset(f".{name}" for name in _KNOWN.split())
"""Suffixes of clips, lower case."""

_HDR = {16: "PQ", 18: "HLG"}  # transfer characteristics of ITU-T H.273
_TOP_FIRST = 2  # of FFmpeg's field orders
_UPRIGHT = (1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
_LOSSES = {  # side data of frames that no encoder here writes, in words
    "STEREO3D": "stereoscopic layout",
    "SPHERICAL": "spherical projection",
    "ICC_PROFILE": "ICC profile",
    "DYNAMIC_HDR_PLUS": "HDR10+ metadata",
    "DYNAMIC_HDR_VIVID": "HDR Vivid metadata",
    "DOVI_RPU_BUFFER": "Dolby Vision metadata",
    "DOVI_METADATA": "Dolby Vision metadata",
    "AMBIENT_VIEWING_ENVIRONMENT": "ambient viewing environment",
}


@dataclass(frozen=True)
class Clip:
    """What a clip's headers say.

    Attributes
    ----------
    width, height : int
        As stored, before turning.
    frames : int
        Estimated number; 0 where nothing tells.
    seconds : float
        Duration; 0 where nothing tells.
    start : Fraction
        Seconds: the container's time from which users count.
    rate : Fraction or None
        Frames in a second, on average.
    time_base : Fraction
        Seconds: the unit of the frames' times.
    turn : tuple of 9 int, or None
        FFmpeg's display matrix: how players turn and mirror frames.
    aspect : Fraction or None
        Width of a pixel over its height.
    field_order : int
        FFmpeg's number: above 1, frames hold two fields.
    deep, alpha : bool
        Whether samples have more than 8 bits; whether frames are transparent somewhere.
    pixel_format, codec : str
        FFmpeg's names.
    tag : str
        The codec's four letters in the container.
    colour : Colour
    light : Light or None
        Of HDR10.
    hdr : str or None
        ``"PQ"`` or ``"HLG"``.
    losses : tuple of str
        What frames carry beside pixels that cannot be kept, in words.
    """

    width: int
    height: int
    frames: int
    seconds: float
    start: Fraction
    rate: Fraction | None
    time_base: Fraction
    turn: tuple[int, ...] | None
    aspect: Fraction | None
    field_order: int
    deep: bool
    alpha: bool
    pixel_format: str
    codec: str
    tag: str
    colour: Colour
    light: Light | None
    hdr: str | None
    losses: tuple[str, ...]

    @property
    def rotation(self) -> int:
        """Degrees counter-clockwise by which players turn frames, mirroring apart."""
        if self.turn is None:
            return 0
        a, b = self.turn[:2]
        return round(math.degrees(math.atan2(-b, a)) / 90) * 90 % 360


def open_clip(path: Path) -> Any:
    """Open a clip for reading.

    Raises
    ------
    ImageError
        If it is no clip, or has no video.
    MissingExtraError
        If PyAV is not installed.
    """
    av = load()
    try:
        if not path.is_file():
            said = "it is not a file" if path.exists() else "there is no such file"
            raise ImageError(f"cannot read {path}: {said}; check the path")
        container = open_input(path)
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise ImageError(
            f"cannot read {path}: it is damaged, or no clip that FFmpeg knows ({_why(error)})"
        ) from error
    if film(container) is None:
        container.close()
        raise ImageError(f"cannot read {path}: it holds no video; accepted are pictures and clips")
    return container


def probe(path: Path, start: float = 0.0) -> Clip:
    """Read what a clip says, decoding its first frame from `start` seconds on.

    Raises
    ------
    ImageError
        If it is no clip, there is no frame, or the first one cannot be decoded.
    """
    with contextlib.closing(open_clip(path)) as container:
        first = next(decode(container, path, start), None)
        if first is not None:
            return describe(container, path, first)
    if start:  # nothing is there: whoever restores the part says so
        return probe(path)
    raise ImageError(f"cannot read {path}: it holds no frames")


def look_ahead(path: Path, start: float = 0.0, end: float | None = None) -> None:
    """Look through a recording for where it breaks off, before any frame is restored.

    Only containers whose clocks may jump (MPEG-TS, MPEG-PS) are read: there, recordings are joined
    by appending. All frames are decoded only where packets and key frames differ.

    Raises
    ------
    ImageError
        As by `decode`.
    """
    with contextlib.closing(open_clip(path)) as container:
        free = container.format.flags & load().format.Flags.ts_discont.value
        if not free or _is_even(container):
            return
    with contextlib.closing(open_clip(path)) as container:
        for _ in decode(container, path, start, end):
            pass


def _is_even(container: Any) -> bool:
    """Tell whether times never go back, and all key frames are of one size and kind."""
    stream = film(container)
    stream.codec_context.skip_frame = "NONKEY"
    last, kinds = None, set[tuple[Any, ...]]()
    for packet in container.demux(stream):
        if packet.dts is not None:
            if last is not None and packet.dts < last:
                return False
            last = packet.dts
        with contextlib.suppress(load().error.FFmpegError):
            for frame in stream.codec_context.decode(packet):
                kinds.add((frame.width, frame.height, frame.format.name))
    return len(kinds) <= 1


def _fraction(number: Any) -> Fraction | None:
    """Make Python's fraction of PyAV's, which is another kind from PyAV 19 on; None for zero."""
    return Fraction(number.numerator, number.denominator) if number else None


def describe(container: Any, path: Path, first: Any) -> Clip:
    """Read what a clip says, its first frame being decoded.

    Raises
    ------
    ImageError
        If its colours cannot be converted.
    """
    stream = film(container)
    context, held = stream.codec_context, side_data(first)
    seconds = float(stream.duration * stream.time_base) if stream.duration else 0.0
    if not seconds and container.duration:
        seconds = container.duration / 1e6
    frames = stream.frames or round(seconds * float(stream.average_rate or 0))
    colour = Colour.of(first)
    if not colour.is_converted:
        raise ImageError(
            f"cannot read {path}: its colours use matrix {colour.matrix} of ITU-T H.273, which "
            "FFmpeg cannot convert; convert it to BT.709 first"
        )
    return Clip(
        width=first.width,
        height=first.height,
        frames=frames,
        seconds=seconds,
        start=origin(container),
        rate=_fraction(stream.average_rate),
        time_base=Fraction(stream.time_base.numerator, stream.time_base.denominator),
        turn=_turn(first),
        aspect=_fraction(stream.sample_aspect_ratio),
        field_order=_field_order(context, first),
        deep=any(part.bits > 8 for part in first.format.components),
        alpha=_is_transparent(first),
        pixel_format=first.format.name,
        codec=context.codec.canonical_name,
        tag=spell_tag(context),
        colour=colour,
        light=Light.of(held),
        hdr=_HDR.get(colour.transfer),
        losses=tuple(dict.fromkeys(_LOSSES[name] for name in held if name in _LOSSES)),
    )


def spell_tag(context: Any) -> str:
    """Give a codec's letters; of MPEG-TS they are a number, which may be no letters."""
    try:
        return str(context.codec_tag)
    except UnicodeDecodeError:
        return ""


def _turn(frame: Any) -> tuple[int, ...] | None:
    if not (data := side_data(frame).get("DISPLAYMATRIX")):
        return None
    turn = tuple(int(value) for value in np.frombuffer(data, "=i4"))
    return None if turn == _UPRIGHT else turn


def _field_order(context: Any, frame: Any) -> int:
    """Give FFmpeg's number; decoders that tell no order leave 0, and top first is common."""
    order = int(context.field_order)
    return max(order, _TOP_FIRST) if frame.interlaced_frame and order <= 1 else order


def _is_transparent(frame: Any) -> bool:
    if not frame.format.has_palette:
        return has_alpha(frame.format.name)
    return bool((as_rgb(frame, deep=False, alpha=True).to_ndarray()[..., 3] < 255).any())


def _why(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)
