"""Frames, restored and encoded in segments: what a run that was stopped goes on from."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from multiaxis.errors import ImageError
from multiaxis.images import from_unit, to_unit
from multiaxis.video.av import load
from multiaxis.video.clip import Clip
from multiaxis.video.encoding import Encoding
from multiaxis.video.folder import SEGMENT, Segments, why
from multiaxis.video.mux import Times
from multiaxis.video.pixels import as_rgb, from_rgb, turn, turn_back
from multiaxis.video.steady import Steady
from multiaxis.video.streams import locate

_MILLISECOND = Fraction(1, 1000)  # to which Matroska rounds

Values = NDArray[np.float32]


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
        self.times = Times(clip.time_base)
        self.resumed = 0
        self._output: Any = None
        self._stream: Any = None
        self._path = self._part = segments.folder

    @property
    def count(self) -> int:
        """Frames that were taken."""
        return len(self.times.shown)

    def add(self, frame: Any) -> None:
        """Take the next frame of the clip."""
        index, place = divmod(self.count, SEGMENT)
        if place == 0:
            self.finish()
            self._start(index)
        self.times.shown.append(frame.pts)
        if self._output is None:
            self.resumed += 1
            return
        rgb = as_rgb(frame, deep=self.clip.deep, alpha=self.clip.alpha)
        pixels = rgb.to_ndarray()
        given = to_unit(np.ascontiguousarray(turn(pixels[..., :3], self.clip.turn)))
        restored = self.restore(given)
        if self.steady:
            restored = self.steady(given, restored)
        pixels[..., :3] = turn_back(from_unit(restored, pixels.dtype), self.clip.turn)
        made = from_rgb(pixels, rgb, self.plan.pixel_format, self.plan.colour)
        # A segment's clock starts at nothing: its container holds no times below that.
        made.pts = frame.pts - self.times.shown[index * SEGMENT]
        self._encode(made)

    def finish(self) -> None:
        """End a segment; it gets its name when it holds every frame.

        Raises
        ------
        ImageError
            If it does not, or cannot be written.
        """
        if self._output is not None:
            self._encode(None)
            try:
                self._output.close()
            except (load().error.FFmpegError, OSError) as error:
                raise self._unwritten(error) from error
            finally:
                self._output = None
            self._compare(self._part)
            try:
                self._part.replace(self._path)
            except OSError as error:
                raise self._unwritten(error) from error
        elif self.count:
            self._compare(self._path)

    def abandon(self) -> None:
        """Leave a segment that is not finished."""
        if self._output is not None:
            with contextlib.suppress(load().error.FFmpegError, OSError):
                self._output.close()
            self._output = None

    def _start(self, index: int) -> None:
        self._path = self.segments.path(index)
        if self._path.exists():
            # What steadies frames starts anew behind a segment that is skipped.
            return
        av = load()
        self._part = self._path.with_suffix(".part")
        try:
            self._output = av.open(locate(self._part), "w", format=self.plan.container)
            self._stream = self.plan.open(self._output, self.clip)
            self._output.start_encoding()
        except (av.error.FFmpegError, OSError, ValueError) as error:
            self.abandon()
            raise self._unwritten(error) from error

    def _encode(self, frame: Any) -> None:
        av = load()
        try:
            packets = self._stream.encode(frame)
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise ImageError(
                f"{self.plan.encoder} did not take frame {self.count} ({why(error)}): choose "
                "another with --codec"
            ) from error
        try:
            self._output.mux(packets)
        except (av.error.FFmpegError, OSError) as error:
            raise self._unwritten(error) from error

    def _compare(self, path: Path) -> None:
        """Compare a segment with the frames that it was given: all, at their times.

        Raises
        ------
        ImageError
            If it does not hold them.
        """
        first = (self.count - 1) // SEGMENT * SEGMENT
        shown = self.times.shown[first:]
        wanted = [(at - shown[0]) * self.clip.time_base for at in shown]
        try:
            found = [packet.pts * packet.time_base for packet in packets_of(path)]
        except (load().error.FFmpegError, OSError, TypeError):
            found = list[Fraction]()
        # An encoder that needs time before it shows a frame has all of them moved.
        pairs = zip(found, wanted, strict=False)
        near = [abs(a - found[0] - b) <= _MILLISECOND for a, b in pairs]
        if len(found) != len(wanted) or not all(near):
            path.unlink(missing_ok=True)
            raise ImageError(
                f"{path} held {len(found)} of {len(wanted)} frames as {self.plan.encoder} was "
                "given them, and was removed: run it again, or choose another with --codec"
            )

    def _unwritten(self, error: Exception) -> ImageError:
        return self.segments.unwritten(error)


def packets_of(path: Path) -> Generator[Any]:
    """Read a segment: a packet for each frame, in the order in which they are shown."""
    with load().open(locate(path)) as container:
        for packet in container.demux(video=0):
            if packet.size:
                yield packet
