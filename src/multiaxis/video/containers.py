"""Which container a suffix names, and what it takes."""

from __future__ import annotations

import io
from pathlib import Path

from multiaxis.errors import ConfigError
from multiaxis.video.av import load

_FORMATS = {
    ".mp4": "mp4",
    ".m4v": "mp4",
    ".mov": "mov",
    ".mkv": "matroska",
    ".webm": "webm",
    ".avi": "avi",
    ".ts": "mpegts",
    ".mts": "mpegts",
    ".m2ts": "mpegts",
    ".mpg": "vob",
    ".mpeg": "vob",
    ".wmv": "asf",
    ".flv": "flv",
    ".3gp": "3gp",
}

_REFUSED = {"mov": ("libvpx", "libvpx-vp9", "libsvtav1")}  # by the header, though FFmpeg lists them


def format_of(target: Path) -> str:
    """Give FFmpeg's name of an output's container.

    Raises
    ------
    ConfigError
        If the suffix names none.
    """
    try:
        return _FORMATS[target.suffix.lower()]
    except KeyError:
        raise ConfigError(
            f"the output {target} names no container: accepted are {', '.join(_FORMATS)}"
        ) from None


def takes(container: str, encoder: str) -> bool:
    """Tell whether a container, by FFmpeg's name, takes what an encoder makes."""
    if encoder in _REFUSED.get(container, ()):
        return False
    av = load()
    try:
        with av.open(io.BytesIO(), "w", format=container) as made:
            made.add_stream(encoder)
    except (av.error.FFmpegError, ValueError):
        return False
    return True
