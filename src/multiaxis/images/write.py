"""Writing pictures: nothing is lost silently, and no part of a file is ever left."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from multiaxis.errors import ImageError
from multiaxis.files import place
from multiaxis.files.publish import publish
from multiaxis.images.codecs import CodecError, encode, open_header
from multiaxis.images.contents import lost
from multiaxis.images.formats import (
    Format,
    Target,
    check_holds,
    format_of,
    formats_for,
    usual_suffixes,
)
from multiaxis.images.picture import Picture

_CLASSIC_TIFF = 4_000_000_000  # bytes; offsets of 32 bits reach 2**32, headers need some


def write_picture(
    path: str | os.PathLike[str],
    picture: Picture,
    *,
    overwrite: bool = False,
    quality: int | None = None,
    before_publishing: Callable[[bytes], None] | None = None,
) -> tuple[str, ...]:
    """Write a picture in the format of the suffix, with its depth.

    Parameters
    ----------
    path : path
        ``.png``, ``.jpg``, ``.tif``, ``.webp`` or ``.avif``; see `formats.FORMATS` for what each
        holds.
    picture : Picture
    overwrite : bool
        Whether an existing file gives way.
    quality : int, optional
        1 to 100, for JPEG, AVIF and WebP (lossless unless given); by default what does not undo a
        restoration.
    before_publishing : callable, optional
        Receives the whole file before it gets its name.

    Returns
    -------
    tuple of str
        Names of what the source held and the output does not, such as ``"exif"``, ``"film"`` or
        ``"chunk prVt"``: both files are read by their structure and compared.

    Raises
    ------
    ImageError
        If the format cannot hold the depth, the alpha or the size, the file exists, or the
        system refuses; nothing is left behind.
    """
    path = Path(path)
    check_picture(path, picture)
    place.check_place(path, overwrite=overwrite)
    data, missing = encode_picture(path, picture, quality=quality)
    put_file(path, data, overwrite=overwrite, before_publishing=before_publishing)
    return missing


def encode_picture(
    target: Target, picture: Picture, *, quality: int | None = None
) -> tuple[bytes, tuple[str, ...]]:
    """Encode a picture; as `write_picture`, without touching a file.

    Parameters
    ----------
    target : PurePath or Remote
        What the result is for: its suffix names the format, and messages name it.
    picture, quality
        As in `write_picture`.

    Returns
    -------
    bytes
        The whole file.
    tuple of str
        Names of what the format could not hold, as of `write_picture`.

    Raises
    ------
    ImageError
        If the format cannot hold the picture.
    """
    check_picture(target, picture)
    kind = format_of(target)
    with place.refusals(target):
        data = _encoded(target, picture, kind, quality)
    try:
        written = open_header(data, kind.codec).metadata
    except CodecError as error:
        raise ImageError(
            f"cannot write {target}: as {kind.name} it could not be read again; choose another "
            "format"
        ) from error
    return data, lost(picture.metadata, written, kind.codec)


def put_file(
    path: Path,
    data: bytes,
    *,
    overwrite: bool,
    before_publishing: Callable[[bytes], None] | None = None,
) -> None:
    """Write a whole file; as `write_picture`, of bytes."""
    place.check_place(path, overwrite=overwrite)
    with place.refusals(path):
        if before_publishing:
            before_publishing(data)
        publish(path, data, overwrite=overwrite)


def check_write(
    path: str | os.PathLike[str],
    picture: Picture,
    *,
    overwrite: bool = False,
    depth: str | None = None,
) -> None:
    """Find out before long work what `write_picture` would find out after it.

    Parameters
    ----------
    path, picture, overwrite
        As in `write_picture`. The folder is tried with an empty file.
    depth : str, optional
        What the picture will have by then; by default what it has.

    Raises
    ------
    ImageError
        If `write_picture` would refuse; nothing is left behind.
    """
    path = Path(path)
    check_picture(path, picture, depth=depth)
    check_place(path, overwrite=overwrite)


def check_picture(target: Target, picture: Picture, *, depth: str | None = None) -> None:
    """Refuse a format that would lose depth, transparency or colour, and say where they fit.

    Parameters
    ----------
    target : PurePath or Remote
        As in `encode_picture`; no file is touched.
    picture : Picture
    depth : str, optional
        What the picture will have by then; by default what it has.

    Raises
    ------
    ImageError
        If `encode_picture` would refuse.
    """
    kind, depth, alpha = format_of(target), depth or picture.depth, picture.has_alpha
    icc, colour = picture.metadata.icc or b"", picture.metadata.colour
    check_holds(
        target,
        depth=depth,
        alpha=alpha,
        height=picture.height,
        width=picture.width,
        extra=0 if picture.extra is None else picture.extra.shape[2],
        hdr=colour.hdr if colour else "",
    )
    if not kind.grey and icc[16:20] == b"GRAY" and picture.pixels.shape[2] == 1:
        keeping = usual_suffixes(row for row in formats_for(depth, alpha=alpha) if row.grey)
        raise ImageError(
            f"cannot write {target}: {kind.name} cannot hold the picture's grey colour profile; "
            f"use {keeping}"
        )


def check_place(path: Path, *, overwrite: bool) -> None:
    """Try whether a file can be written under a name; as `check_write`, for any content."""
    place.try_place(path, overwrite=overwrite)


def _encoded(target: Target, picture: Picture, kind: Format, quality: int | None) -> bytes:
    parts = [part for part in (picture.pixels, picture.alpha, picture.extra) if part is not None]
    samples = np.dstack(parts) if len(parts) > 1 else picture.pixels
    options = _options(kind, samples, quality)
    extra = 0 if picture.extra is None else picture.extra.shape[2]
    try:
        return encode(samples, kind.codec, options, picture.metadata, extra=extra)
    except CodecError as error:
        raise ImageError(
            f"cannot write {target}: {kind.name} refused {picture.width}x{picture.height} pixels "
            f"of {picture.depth} with their metadata; try .png or .tif"
        ) from error


def _options(kind: Format, samples: np.ndarray[Any, Any], quality: int | None) -> dict[str, Any]:
    options = dict(kind.options)
    if quality is not None and kind.codec in ("jpeg", "webp", "heif"):
        options["Q"] = quality
        options.pop("lossless", None)
    if kind.codec == "tiff":
        options["bigtiff"] = samples.nbytes > _CLASSIC_TIFF
        if samples.dtype == np.float32:
            options["predictor"] = "float"
    return options
