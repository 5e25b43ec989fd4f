"""How restored frames are encoded: the source's way wherever it can be had."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from multiaxis.errors import ConfigError
from multiaxis.video.av import load
from multiaxis.video.clip import Clip

_ENCODERS = {
    "h264": "libx264",
    "hevc": "libx265",
    "vp9": "libvpx-vp9",
    "av1": "libsvtav1",
    "vp8": "libvpx",
    "mpeg4": "libx264",
}
_CRF = {"libx264": 16, "libx265": 18, "libvpx-vp9": 20, "libsvtav1": 20, "libvpx": 8}


@dataclass(frozen=True)
class Encoding:
    """How frames are encoded."""

    encoder: str
    pixel_format: str
    crf: int | None
    remarks: tuple[str, ...]

    @classmethod
    def choose(cls, clip: Clip, codec: str | None, crf: int | None, target: Path) -> Encoding:
        """Choose the encoder and the pixel format: the source's wherever they can be had.

        Raises
        ------
        ConfigError
            If the encoder is unknown.
        """
        av = load()
        encoder = codec or _ENCODERS.get(clip.codec, "libx264")
        if target.suffix.lower() == ".webm" and codec is None:
            encoder = "libvpx-vp9"
        try:
            known = av.Codec(encoder, "w")
        except (av.error.FFmpegError, ValueError) as error:
            raise ConfigError(
                f"unknown encoder {encoder!r}: accepted are FFmpeg's names, such as libx264, "
                "libx265, libvpx-vp9, libsvtav1"
            ) from error
        remarks: list[str] = []
        formats = [kind.name for kind in known.video_formats or ()]
        wanted = clip.pixel_format
        if (clip.width % 2 or clip.height % 2) and "420" in wanted:
            wanted = wanted.replace("420", "444").replace("nv12", "yuv444p")
            remarks.append(f"odd sides do not go with {clip.pixel_format}: written as {wanted}")
        if formats and wanted not in formats:
            deeper = [name for name in formats if clip.deep and "10" in name] or formats
            remarks.append(f"{encoder} does not take {wanted}: written as {deeper[0]}")
            wanted = deeper[0]
        if clip.hdr:
            remarks.append(
                f"the clip is HDR ({clip.hdr}): the models know SDR photographs only, so look at "
                "the result with care"
            )
        return cls(encoder, wanted, _CRF.get(encoder) if crf is None else crf, tuple(remarks))

    def describe(self) -> list[Any]:
        """List what decides the encoded bytes."""
        return [self.encoder, self.pixel_format, self.crf]

    def open(self, container: Any, clip: Clip, like: Any) -> Any:
        """Add a video stream to a container, made for frames like one."""
        options = {} if self.crf is None else {"crf": str(self.crf)}
        if self.encoder == "libx265":
            options["x265-params"] = "log-level=none"
        if self.encoder.startswith("libvpx"):
            options["b"] = "0"  # else the quality is bounded by a rate
        stream = container.add_stream(self.encoder, options=options)
        stream.width, stream.height = clip.width, clip.height
        stream.pix_fmt = self.pixel_format
        context = stream.codec_context
        context.time_base = like.time_base
        if self.encoder == "libx264":
            context.thread_count = 1  # on a busy machine, several give other bytes now and then
        context.max_b_frames = 0  # so that segments can be joined whatever the frame times are
        context.colorspace, context.color_range = like.colorspace, like.color_range
        context.color_primaries, context.color_trc = like.color_primaries, like.color_trc
        return stream
