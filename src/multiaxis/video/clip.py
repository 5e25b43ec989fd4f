"""What a clip is, and its frames as pictures."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from multiaxis.errors import ImageError
from multiaxis.video.av import load
from multiaxis.video.streams import film, locate

_KNOWN = "mp4 mkv mov m4v webm avi ts mts m2ts mpg mpeg wmv flv 3gp"
SUFFIXES = frozenset(f".{name}" for name in _KNOWN.split())
"""Suffixes of clips, lower case."""

_HDR = {16: "PQ", 18: "HLG"}  # transfer characteristics of ITU-T H.273
_BT709, _UNSPECIFIED = 1, 2
_REST = "with --end the part before it can be restored"
_HD = 720  # rows from which untagged video is BT.709


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
    rotation : int
        Degrees counter-clockwise by which players turn frames: a multiple of 90.
    deep : bool
        Whether samples have more than 8 bits.
    pixel_format, codec : str
        FFmpeg's names.
    hdr : str or None
        ``"PQ"`` or ``"HLG"``.
    """

    width: int
    height: int
    frames: int
    seconds: float
    rotation: int
    deep: bool
    pixel_format: str
    codec: str
    hdr: str | None


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
            raise ImageError(f"cannot read {path}: there is no such file; check the path")
        container = av.open(locate(path))
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise ImageError(
            f"cannot read {path}: it is no clip that FFmpeg knows, or damaged ({_why(error)})"
        ) from error
    if film(container) is None:
        container.close()
        raise ImageError(f"cannot read {path}: it holds no video; pictures and clips are accepted")
    return container


def probe(path: Path) -> Clip:
    """Read what a clip says, decoding its first frame.

    Raises
    ------
    ImageError
        If it is no clip, there is no frame, or the first one cannot be decoded.
    """
    with contextlib.closing(open_clip(path)) as container:
        return _probe(container, path)


def _probe(container: Any, path: Path) -> Clip:
    stream = film(container)
    first = next(decode(container, path), None)
    if first is None:
        raise ImageError(f"cannot read {path}: it holds no frames")
    context = stream.codec_context
    seconds = float(stream.duration * stream.time_base) if stream.duration else 0.0
    if not seconds and container.duration:
        seconds = container.duration / 1e6
    frames = stream.frames or round(seconds * float(stream.average_rate or 0))
    return Clip(
        width=first.width,
        height=first.height,
        frames=frames,
        seconds=seconds,
        rotation=int(round((first.rotation or 0) / 90) * 90) % 360,
        deep=any(part.bits > 8 for part in first.format.components),
        pixel_format=first.format.name,
        codec=context.name,
        hdr=_HDR.get(int(first.color_trc)) if first.color_trc is not None else None,
    )


def decode(container: Any, path: Path) -> Generator[Any]:
    """Yield the frames of the film; damage is an error, not a shorter clip.

    Raises
    ------
    ImageError
        If a frame cannot be decoded; says about where.
    """
    av = load()
    stream = film(container)
    stream.thread_type = "AUTO"
    count = 0
    try:
        for frame in container.decode(stream):
            if frame.pts is None:
                raise ImageError(f"cannot read {path}: frame {count + 1} has no time")
            if frame.is_corrupt:
                raise ImageError(f"cannot read {path}: frame {count + 1} is damaged; {_REST}")
            count += 1
            yield frame
    except av.error.FFmpegError as error:
        raise ImageError(
            f"cannot read {path}: what follows frame {count} is damaged ({_why(error)}); {_REST}"
        ) from error


def to_rgb(frame: Any, *, deep: bool) -> NDArray[Any]:
    """Turn a frame into RGB by its own matrix and range.

    Parameters
    ----------
    frame : av.VideoFrame
    deep : bool
        Whether 16 bits are wanted instead of 8.

    Returns
    -------
    array of uint8 or uint16, shape (height, width, 3)
    """
    kind = "rgb48le" if deep else "rgb24"
    if _is_untagged_hd(frame):
        return frame.to_ndarray(format=kind, src_colorspace=_BT709)
    return frame.to_ndarray(format=kind)


def from_rgb(pixels: NDArray[Any], like: Any, pixel_format: str) -> Any:
    """Turn RGB into a frame with the matrix, range and time of another.

    Parameters
    ----------
    pixels : array of uint8 or uint16, shape (height, width, 3)
    like : av.VideoFrame
    pixel_format : str
    """
    kind = "rgb48le" if pixels.dtype == np.uint16 else "rgb24"
    frame = load().VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format=kind)
    # What an RGB frame is tagged with is what it is converted to.
    frame.colorspace = _BT709 if _is_untagged_hd(like) else like.colorspace
    frame.color_range = like.color_range
    made = frame.reformat(format=pixel_format)
    made.pts, made.time_base = like.pts, like.time_base
    return made


def _is_untagged_hd(frame: Any) -> bool:
    """Tell large frames that name no matrix: they are BT.709, and FFmpeg would take BT.601."""
    return int(frame.colorspace) == _UNSPECIFIED and frame.height >= _HD


def _why(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)
