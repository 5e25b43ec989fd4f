"""Tiny clips of any codec, pixel format and tags, made with PyAV."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_LOSSLESS = {
    "libx264": {"crf": "0"},
    "libx265": {"x265-params": "lossless=1:log-level=none:bframes=0"},
    "libvpx-vp9": {"lossless": "1"},
    "libsvtav1": {"crf": "4"},
}
PATCHES = ((200, 30, 30), (30, 180, 40), (40, 50, 190), (220, 210, 60), (128, 128, 128))


def patches(size: tuple[int, int] = (80, 32), moved: int = 0) -> NDArray[np.uint8]:
    """Stripes of plain colours, in RGB."""
    width, height = size
    columns = (np.arange(width) * len(PATCHES) // width + moved) % len(PATCHES)
    stripes = np.array(PATCHES, np.uint8)[columns]
    return np.ascontiguousarray(np.broadcast_to(stripes, (height, width, 3)))


def write_clip(
    path: Path,
    pictures: Iterable[NDArray[Any]],
    *,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    times: Sequence[int] | None = None,
    time_base: Fraction | None = None,
    options: dict[str, str] | None = None,
    change: Callable[[Any], None] | None = None,
    **tags: Any,
) -> Path:
    """Write RGB(A) pictures as a clip.

    Parameters
    ----------
    path : Path
    pictures : iterable of arrays of uint8 or uint16, shape (height, width, 3 or 4)
    codec, pixel_format : str
    times : sequence of int, optional
        In units of `time_base`; by default ten frames in a second.
    time_base : Fraction, optional
        Milliseconds by default; tenths of a second in AVI, which counts frames.
    options : dict, optional
        Of the encoder; lossless by default.
    change : callable, optional
        Receives the stream before it is opened.
    **tags
        Of the stream: ``colorspace``, ``color_range``, ``sample_aspect_ratio`` ...
    """
    import av

    pictures = list(pictures)
    time_base = time_base or Fraction(1, 10 if path.suffix == ".avi" else 1000)
    times = times or [round(k / 10 / time_base) for k in range(len(pictures))]
    with av.open(str(path), "w") as container:
        options = _LOSSLESS.get(codec, {}) if options is None else options
        stream: Any = container.add_stream(codec, rate=10, options=options)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = pixel_format
        stream.codec_context.time_base = time_base
        for name, value in tags.items():
            setattr(stream.codec_context, name, value)
        if change:
            change(stream)
        for picture, at in zip(pictures, times, strict=True):
            kind = {3: "rgb24", 4: "rgba"}[picture.shape[2]]
            if picture.dtype == np.uint16:
                kind = kind.replace("24", "48le").replace("rgba", "rgba64le")
            frame = av.VideoFrame.from_ndarray(picture, format=kind)
            frame.colorspace = tags.get("colorspace", 2)
            frame.color_range = tags.get("color_range", 0)
            frame = frame.reformat(format=pixel_format)
            frame.pts, frame.time_base = at, time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path
