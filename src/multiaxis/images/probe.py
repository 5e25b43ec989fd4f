"""What a plan has to know of a file, from as little of it as its kind allows."""

from __future__ import annotations

import os
from pathlib import Path

from multiaxis.files.address import Where, to_where
from multiaxis.files.read import open_window
from multiaxis.images.codecs import CodecError, raw_size
from multiaxis.images.formats import CAMERA_RAW, RAW_SUFFIXES
from multiaxis.images.outline import read_outline
from multiaxis.images.read import DEFAULT_MEGAPIXELS, Probe, check_megapixels, probe_header
from multiaxis.images.several import Several, open_several


def probe_picture(
    path: str | os.PathLike[str],
    name: str | None = None,
    *,
    max_megapixels: float = DEFAULT_MEGAPIXELS,
) -> Probe:
    """Read size and kind of a picture file, with little more than its header.

    Parameters
    ----------
    path, name, max_megapixels
        As in `probe_file`.

    Raises
    ------
    ImageError
        As `probe_file`, and if the file holds several pictures.
    """
    where = to_where(os.fspath(path) if name is None else name)
    raw = _probe_raw(Path(path), where, max_megapixels)
    data = b"" if raw else read_outline(Path(path), str(where))
    return raw or probe_header(data, str(where), max_megapixels=max_megapixels)


def probe_file(
    path: Path, name: str | None = None, *, max_megapixels: float = DEFAULT_MEGAPIXELS
) -> Probe | Several:
    """Read size and kind of what a file holds.

    Parameters
    ----------
    path : Path
    name : str, optional
        What messages call the file; by default its path.
    max_megapixels : float
        As in `decode_picture` and `open_several`.

    Returns
    -------
    Probe or Several
        The latter for files of several pages or frames, for its facts alone: its pictures cannot
        be read.

    Raises
    ------
    ImageError
        If the file cannot be opened, or its header says that its pictures are not read.
    """
    where = to_where(str(path) if name is None else name)
    if raw := _probe_raw(path, where, max_megapixels):
        return raw
    data = read_outline(path, str(where))
    several = open_several(data, str(where), max_megapixels=max_megapixels)
    return several or probe_header(data, str(where), max_megapixels=max_megapixels)


def _probe_raw(path: Path, where: Where, most: float) -> Probe | None:
    """Leave reading to the library, which reads little of a file and all of what is in memory."""
    if where.suffix.lower() not in RAW_SUFFIXES:
        return None
    with open_window(path, where):  # refuses what is no regular file
        try:
            width, height = raw_size(path)
        except CodecError:
            return None
    check_megapixels(where, width, height, most)
    return Probe(width, height, bands=3, depth="uint16", alpha=False, format=CAMERA_RAW.name)
