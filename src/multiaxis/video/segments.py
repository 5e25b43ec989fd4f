"""Frames, restored and encoded in segments: what a run that was stopped goes on from."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from multiaxis.errors import ConfigError, ImageError
from multiaxis.images import from_unit, to_unit
from multiaxis.video.av import load
from multiaxis.video.clip import Clip, from_rgb, to_rgb
from multiaxis.video.steady import Steady

SEGMENT = 48
"""Frames between two points from which a run that was stopped goes on."""

_ENCODERS = {
    "h264": "libx264",
    "hevc": "libx265",
    "vp9": "libvpx-vp9",
    "av1": "libsvtav1",
    "vp8": "libvpx",
    "mpeg4": "libx264",
}
_CRF = {"libx264": 16, "libx265": 18, "libvpx-vp9": 20, "libsvtav1": 20, "libvpx": 8}

Values = NDArray[np.float32]


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


class Segments:
    """A folder of finished segments, each with the times of its frames.

    Raises
    ------
    ImageError
        If the folder cannot be made.
    """

    def __init__(self, folder: Path, key: str) -> None:
        self.folder = folder
        key_file = folder / "key.json"
        if not (key_file.is_file() and key_file.read_text("utf-8") == key):
            shutil.rmtree(folder, ignore_errors=True)
            try:
                folder.mkdir()
                key_file.write_text(key, "utf-8")
            except OSError as error:
                raise ImageError(
                    f"cannot write beside {folder.parent}: {error.strerror}; choose another with -o"
                ) from error

    def path(self, index: int) -> Path:
        """Give the file of a segment."""
        return self.folder / f"{index:06}.nut"

    def __iter__(self) -> Iterator[Path]:
        return iter(sorted(self.folder.glob("??????.nut")))


class Writer:
    """Takes frames in order; restores and encodes those that no segment holds yet."""

    def __init__(
        self,
        segments: Segments,
        plan: Encoding,
        clip: Clip,
        restore: Callable[[Values], Values],
        steady: Steady | None,
    ) -> None:
        self.segments, self.plan, self.clip = segments, plan, clip
        self.restore, self.steady = restore, steady
        self.count = self.resumed = 0
        self._output: Any = None
        self._stream: Any = None

    def add(self, frame: Any) -> None:
        """Take the next frame of the clip."""
        index, place = divmod(self.count, SEGMENT)
        self.count += 1
        if place == 0:
            self._close()
            self._start(index, frame)
        if self._output is None:
            self.resumed += 1
            return
        pixels = to_rgb(frame, deep=self.clip.deep)
        upright = np.rot90(pixels, self.clip.rotation // 90)
        given = to_unit(np.ascontiguousarray(upright))
        restored = self.restore(given)
        if self.steady:
            restored = self.steady(given, restored)
        made = np.rot90(from_unit(restored, pixels.dtype), -(self.clip.rotation // 90))
        self._mux(self._stream.encode(from_rgb(made, frame, self.plan.pixel_format)))

    def finish(self) -> None:
        """Close the last segment."""
        self._close()

    def _start(self, index: int, frame: Any) -> None:
        if self.segments.path(index).exists():
            # What steadies frames starts anew behind a segment that is skipped.
            return
        av = load()
        self._part = self.segments.path(index).with_suffix(".part")
        self._path = self.segments.path(index)
        try:
            self._output = av.open(str(self._part), "w", format="nut")
            self._stream = self.plan.open(self._output, self.clip, frame)
            self._output.start_encoding()
        except (av.error.FFmpegError, OSError, ValueError) as error:
            self._output = None
            raise ImageError(
                f"{self.plan.encoder} does not take {self.clip.width}x{self.clip.height} "
                f"{self.plan.pixel_format} ({error}): choose another with --codec"
            ) from error

    def _close(self) -> None:
        if self._output is None:
            return
        self._mux(self._stream.encode(None))
        self._output.close()
        self._output = None
        self._part.replace(self._path)

    def _mux(self, packets: Any) -> None:
        av = load()
        try:
            self._output.mux(packets)
        except (av.error.FFmpegError, OSError) as error:
            raise ImageError(
                f"cannot write {self._part}: {error.strerror}; make room, then run it again with "
                "--resume"
            ) from error
