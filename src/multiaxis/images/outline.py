"""As much of a picture file as its header needs: samples are not read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from multiaxis.files.address import to_where
from multiaxis.files.read import open_window
from multiaxis.files.window import Window
from multiaxis.images.formats import RAW_SUFFIXES, Format, recognise
from multiaxis.images.structure import (
    Directory,
    Part,
    boxes,
    chunks,
    read_directories,
    read_directory,
    read_items,
    riff_chunks,
    segments,
)

_START = 4096  # bytes that tell formats apart, and hold most headers of small files
_HEAD = 1 << 16  # bytes of a JPEG file that are tried first
_SAMPLES = 32  # bytes that tell size and transparency, at the start of WebP's samples
_LARGEST = 1 << 16  # bytes of a TIFF tag; more is a list of places, or a maker's own
_XMP, _BELOW, _FORMAT, _FLOAT = 700, 330, 339, 3
_CODED = {"av01", "hvc1", "hev1", "avc1", "jpeg", "j2k1", "unci", "vvc1"}


def read_outline(path: Path, name: str | None = None) -> bytes:
    """Read what is asked of a picture before it is decoded.

    Parameters
    ----------
    path : Path
    name : str, optional
        What messages call the file; by default its path.

    Returns
    -------
    bytes
        For `probe_header`, `open_several` and the like, never for `decode_picture`: as long as the
        file, with zeros for its samples. A JPEG file ends where its samples start. Read whole are
        GIF (its frames have to be counted), camera raw (see `probe_file`), TIFF of floats (their
        range is wanted), and what is recognised as no picture is cut to its start.

    Raises
    ------
    ImageError
        As `files.read.read_bytes`.
    """
    where = to_where(str(path) if name is None else name)
    with open_window(path, where) as window:
        kind = recognise(window[:_START])
        if where.suffix.lower() in RAW_SUFFIXES:
            return window[:]
        if not isinstance(kind, Format):
            return window[:_START]
        return _OUTLINES.get(kind.codec, _whole)(window)


def _whole(window: Window) -> bytes:
    return window[:]


def _jpeg(window: Window) -> bytes:
    size = _HEAD
    while True:
        head = window[:size]
        if size >= len(window) or any(part.name == "SOS" for part in segments(head)):
            return head
        size *= 4


def _png(window: Window) -> bytes:
    for chunk in chunks(window):
        _take(chunk, 0 if chunk.name in ("IDAT", "fdAT") else None)
    return window.stand_in()


def _webp(window: Window) -> bytes:
    for chunk in riff_chunks(window):
        if chunk.name == "ANMF":
            _take(chunk, _SAMPLES)
            for part in riff_chunks(window, chunk.inner + 16, chunk.inner_end):
                _take(part, _SAMPLES)
        else:
            _take(chunk, _SAMPLES if chunk.name in ("VP8 ", "VP8L", "ALPH") else None)
    return window.stand_in()


def _heif(window: Window) -> bytes:
    for box in boxes(window):
        _take(box, 64 if box.name in ("mdat", "free", "skip", "mpvd") else None)
    items = read_items(window.stand_in())
    for item, kind in items.types.items():
        if kind not in _CODED:  # texts, and how pictures are joined to one
            items.body(window, item)
    return window.stand_in()


def _tiff(window: Window) -> bytes:
    pages = read_directories(window)
    formats = [entry for page in pages if (entry := page.get(_FORMAT))]
    if any(_FLOAT in entry.offsets for entry in formats):
        return window[:]
    for page in pages:
        _take_values(page)
        below = page.get(_BELOW)
        for at in below.offsets[:16] if below else ():
            if directory := read_directory(window, at):
                _take_values(directory)
    return window.stand_in()


def _take_values(page: Directory) -> None:
    for entry in page.entries:
        if entry.size <= _LARGEST or entry.tag == _XMP:
            _ = entry.body


def _take(part: Part, most: int | None) -> None:
    """Read a part, or the start of its content; its own header is read by now."""
    end = part.end if most is None else min(part.inner + most, part.inner_end)
    _ = part.data[part.inner : end]


_OUTLINES: Mapping[str, Callable[[Window], bytes]] = {
    "jpeg": _jpeg,
    "png": _png,
    "webp": _webp,
    "heif": _heif,
    "heic": _heif,
    "tiff": _tiff,
}
