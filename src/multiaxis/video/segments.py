"""Frames, restored and encoded in segments: what a run that was stopped goes on from."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from multiaxis.errors import ImageError
from multiaxis.images import from_unit, to_unit
from multiaxis.video.av import load
from multiaxis.video.clip import Clip
from multiaxis.video.encoding import Encoding
from multiaxis.video.pixels import as_rgb, from_rgb, turn, turn_back
from multiaxis.video.steady import Steady

SEGMENT = 48
"""Frames between two points from which a run that was stopped goes on."""

Values = NDArray[np.float32]


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
            self._start(index)
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
        self._mux(self._stream.encode(made))

    def finish(self) -> None:
        """Close the last segment."""
        self._close()

    def _start(self, index: int) -> None:
        if self.segments.path(index).exists():
            # What steadies frames starts anew behind a segment that is skipped.
            return
        av = load()
        self._part = self.segments.path(index).with_suffix(".part")
        self._path = self.segments.path(index)
        try:
            self._output = av.open(str(self._part), "w", format="nut")
            self._stream = self.plan.open(self._output, self.clip)
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
