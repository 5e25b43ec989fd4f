"""How restored frames are encoded: the source's way wherever it can be had."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from multiaxis.errors import ConfigError
from multiaxis.video.av import load
from multiaxis.video.clip import Clip
from multiaxis.video.containers import format_of, takes
from multiaxis.video.pixels import BT709, FULL, LIMITED, RGB, UNSPECIFIED, Colour, has_alpha

_ENCODERS = {
    "h264": "libx264",
    "hevc": "libx265",
    "vp9": "libvpx-vp9",
    "av1": "libsvtav1",
    "vp8": "libvpx",
    "prores": "prores_ks",
}
_SAME = ("ffv1", "ffvhuff", "huffyuv", "utvideo", "magicyuv", "png", "qtrle", "v210")  # lossless
_CRF = {"libx264": 16, "libx265": 18, "libvpx-vp9": 20, "libsvtav1": 20, "libvpx": 8}
_FINE = 2 * 118  # quantiser 2 of MPEG-2, in FFmpeg's units
_PRORES = {"apco": 0, "apcs": 1, "apcn": 2, "apch": 3, "ap4h": 4, "ap4x": 5}  # profiles
_BOTTOM_FIRST = (3, 4)  # of FFmpeg's field orders, those that show the bottom field first
FIELD_ENCODERS = ("libx264", "prores_ks", "mpeg2video", "mpeg4")
_NO_FIELDS = "and written as progressive: deinterlace it first, or see --codec libx264"


@dataclass(frozen=True)
class Encoding:
    """How frames are encoded.

    Attributes
    ----------
    encoder, pixel_format : str
        FFmpeg's names.
    crf : int or None
        Constant quality; None where the encoder has none.
    colour : Colour
        What the encoded numbers mean.
    remarks : tuple of str
        What becomes different from the source, known before the work.
    """

    encoder: str
    pixel_format: str
    crf: int | None
    colour: Colour
    remarks: tuple[str, ...]

    @classmethod
    def choose(cls, clip: Clip, codec: str | None, crf: int | None, target: Path) -> Encoding:
        """Choose the encoder and the pixel format: the source's wherever they can be had.

        Raises
        ------
        ConfigError
            If the encoder is unknown, or takes no frames of this size.
        """
        encoder, remarks = (codec, []) if codec else _default(clip, target)
        wanted = _wanted(clip)
        tried: list[str] = []
        for kind in _formats(encoder, wanted):
            quality = _CRF.get(encoder) if crf is None else crf
            plan = cls(encoder, kind, quality, written_colour(clip, kind), ())
            if not (why := plan.fails(clip)):
                remarks += _remarks(clip, wanted, plan)
                if crf is not None and encoder not in _CRF:
                    remarks.append(f"--crf {crf} may have no effect: {encoder} has its own rules")
                return replace(plan, remarks=tuple(remarks))
            tried.append(f"{kind} ({why})")
        raise ConfigError(
            f"{encoder} does not take frames of {clip.width}x{clip.height}, tried as "
            f"{', '.join(tried[:3])}: choose another with --codec, such as libx264, libx265 or ffv1"
        )

    def describe(self) -> list[Any]:
        """List what decides the encoded bytes."""
        return [self.encoder, self.pixel_format, self.crf]

    @property
    def container(self) -> str:
        """FFmpeg's name of a container for segments: one that keeps times and packets whole."""
        if self.has_alpha_stream:
            return "matroska"
        return next(name for name in ("nut", "mov", "matroska") if takes(name, self.encoder))

    @property
    def has_alpha_stream(self) -> bool:
        """Whether transparency is encoded beside the film's packets: VP8 and VP9 do so."""
        return self.encoder.startswith("libvpx") and has_alpha(self.pixel_format)

    def fails(self, clip: Clip) -> str:
        """Try the encoder on nothing; say why it does not start, or nothing."""
        av = load()
        try:
            with av.open(io.BytesIO(), "w", format=self.container) as container:
                self.open(container, clip)
                container.start_encoding()
        except (av.error.FFmpegError, OSError, ValueError) as error:
            return str(getattr(error, "strerror", None) or error)
        return ""

    def open(self, container: Any, clip: Clip) -> Any:
        """Add a video stream to a container."""
        stream = container.add_stream(self.encoder, rate=clip.rate, options=self._options(clip))
        stream.width, stream.height = clip.width, clip.height
        stream.pix_fmt = self.pixel_format
        context = stream.codec_context
        fixed = self.encoder == "mpeg2video" and clip.rate  # its header names a rate of few
        context.time_base = 1 / fixed if fixed else clip.time_base
        if self.encoder == "libsvtav1":
            os.environ.setdefault("SVT_LOG", "1")  # it talks to the terminal
        if self.encoder == "libx264":
            context.thread_count = 1  # on a busy machine, several give other bytes now and then
        context.max_b_frames = 0  # so that segments can be joined whatever the frame times are
        colour = self.colour
        context.colorspace, context.color_range = colour.matrix, colour.range
        context.color_primaries, context.color_trc = colour.primaries, colour.transfer
        if clip.aspect:
            context.sample_aspect_ratio = clip.aspect
        if clip.field_order > 1 and self.encoder in FIELD_ENCODERS:
            flags = load().codec.context.Flags
            context.flags |= int(flags.interlaced_dct | flags.interlaced_me)
            context.field_order = clip.field_order
        return stream

    def _options(self, clip: Clip) -> dict[str, str]:
        options = {} if self.crf is None else {"crf": str(self.crf)}
        if self.encoder == "libx265":
            options["x265-params"] = "log-level=none"
        if self.encoder == "libx264" and clip.field_order in _BOTTOM_FIRST:
            options["x264-params"] = "bff=1"  # FFmpeg tells it only of the first frame's
        if self.encoder == "mpeg2video":
            options.update({"flags": "+qscale", "global_quality": str(_FINE)})
        if self.encoder.startswith("libvpx"):
            options["b"] = "0"  # else the quality is bounded by a rate
        if self.has_alpha_stream:
            options["auto-alt-ref"] = "0"  # VP8 takes no transparency with it
        if self.encoder == "prores_ks" and clip.tag in _PRORES:
            options["profile"] = str(_PRORES[clip.tag])
        if clip.light:
            for name, words in clip.light.options(self.encoder).items():
                options[name] = ":".join(filter(None, (options.get(name), words)))
        return options


def _default(clip: Clip, target: Path) -> tuple[str, list[str]]:
    """Give the encoder of the clip's own kind, or else what the target's container takes."""
    container = format_of(target)
    if container == "vob":  # of other codecs, readers of MPEG-PS find no stream
        choices = ["mpeg2video"]
    elif container == "mpegts":  # takes others as private data, in which readers find no film
        own = _ENCODERS.get(clip.codec)
        choices = [own] if own in ("libx264", "libx265") else ["libx264"]
    else:
        own = clip.codec if clip.codec in _SAME else _ENCODERS.get(clip.codec)
        choices = [*filter(None, [own]), "libx264", "libvpx-vp9"]
    encoder = next((name for name in choices if takes(container, name)), choices[0])
    if clip.codec in (load().Codec(encoder, "w").canonical_name, encoder):
        return encoder, []
    return encoder, [f"the clip is {clip.codec}: written by {encoder}"]


def _formats(encoder: str, wanted: str) -> list[str]:
    """List an encoder's pixel formats, the nearest to what is wanted first.

    Raises
    ------
    ConfigError
        If the encoder is unknown.
    """
    av = load()
    try:
        known = av.Codec(encoder, "w")
    except (av.error.FFmpegError, ValueError) as error:
        raise ConfigError(
            f"unknown encoder {encoder!r}: accepted are FFmpeg's names, such as libx264, "
            "libx265, libvpx-vp9, libsvtav1"
        ) from error
    if known.type != "video":
        raise ConfigError(f"{encoder} encodes {known.type}: name one for video, such as libx264")
    # Those of devices have no samples that could be written here.
    kinds = [kind.name for kind in known.video_formats or () if kind.components]
    names = kinds or [wanted]
    return sorted(names, key=lambda name: (*_Traits.of(name).lost_from(wanted), name != wanted))


@dataclass(frozen=True)
class _Traits:
    """What a pixel format can hold."""

    alpha: bool
    colours: bool
    bits: int
    chroma: int  # samples of each chroma plane in a square of 64 by 64
    rgb: bool

    @classmethod
    def of(cls, pixel_format: str) -> _Traits:
        kind = load().VideoFormat(pixel_format, 64, 64)
        parts = [part for part in kind.components if not part.is_alpha]
        palette = kind.has_palette
        chroma = parts[1].width * parts[1].height if len(parts) > 1 else 0
        return cls(
            alpha=len(parts) < len(kind.components),
            colours=palette or len(parts) > 1,
            bits=max(part.bits for part in parts),
            chroma=64 * 64 if palette or kind.is_rgb else chroma,
            rgb=palette or kind.is_rgb,
        )

    def lost_from(self, other: str) -> tuple[int, ...]:
        """Tell how much of another format this one loses, and then how much it is larger."""
        its = _Traits.of(other)
        lost = (
            its.alpha > self.alpha,
            its.colours > self.colours,
            max(0, its.bits - self.bits),
            max(0, its.chroma - self.chroma),
            its.rgb != self.rgb,
        )
        return (*map(int, lost), self.bits - its.bits, self.chroma - its.chroma, int(self.alpha))


def _wanted(clip: Clip) -> str:
    """Give the pixel format that holds what the clip does, by its common name."""
    if clip.pixel_format == "pal8":
        return "rgba" if clip.alpha else "rgb24"
    return clip.pixel_format.replace("yuvj", "yuv")  # full range is a tag


def written_colour(clip: Clip, pixel_format: str) -> Colour:
    """Say what the numbers of a pixel format are to mean."""
    given, rgb = clip.colour, _Traits.of(clip.pixel_format).rgb
    if _Traits.of(pixel_format).rgb:
        return replace(given, matrix=RGB, range=FULL)
    if rgb:
        return replace(given, matrix=BT709, range=LIMITED)
    matrix = UNSPECIFIED if given.matrix == RGB else given.matrix
    return replace(given, matrix=matrix, range=FULL if "yuvj" in pixel_format else given.range)


def _remarks(clip: Clip, wanted: str, plan: Encoding) -> list[str]:
    """Say what becomes different from the source."""
    said: list[str] = []
    given, made = _Traits.of(wanted), _Traits.of(plan.pixel_format)
    if given.rgb and not made.rgb:
        said.append(f"RGB is written as {plan.pixel_format}, by the matrix of BT.709")
    elif given.chroma < made.chroma and (clip.width % 2 or clip.height % 2):
        said.append(f"{clip.pixel_format} does not take odd sides: written as {plan.pixel_format}")
    elif replace(given, alpha=made.alpha) != made:
        said.append(f"{plan.encoder} does not take {wanted}: written as {plan.pixel_format}")
    if given.alpha and not made.alpha:
        said.append(
            f"transparency is not kept: {plan.encoder} writes none; --codec ffv1 into .mkv does"
        )
    if clip.field_order > 1:
        kept = "and the order of fields is kept" if plan.encoder in FIELD_ENCODERS else _NO_FIELDS
        said.append(f"the clip is interlaced: both fields of a frame are restored together, {kept}")
    if clip.hdr:
        said.append(
            f"the clip is HDR ({clip.hdr}): the networks know only SDR photographs, so check "
            "the result"
        )
    said += [f"its {loss} cannot be kept" for loss in clip.losses]
    return said
