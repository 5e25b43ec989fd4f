"""Files that need an optional package: HEIC (pillow-heif) and camera raw (rawpy). Read only."""

# Neither package has types.
# pyright: reportMissingImports=false, reportMissingTypeStubs=false
# pyright: reportMissingModuleSource=false

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from multiaxis.errors import MissingExtraError
from multiaxis.images.exif import exif_resolution, tiff_exif
from multiaxis.images.picture import Metadata


class ExtraCodecError(Exception):
    """An optional package could not decode; its own text is the cause, not the message."""


@dataclass(frozen=True)
class Stored:
    """What such a file says, before its samples are decoded.

    Attributes
    ----------
    width, height : int
        Upright, in pixels.
    bands : int
        Samples of one pixel, alpha counted.
    depth : str
        ``"uint8"`` or ``"uint16"``.
    pages : int
        Pictures in the file.
    metadata : Metadata
    decode : callable
        Gives the samples, shape (height, width, bands).
    bits : int
        Bits of a sample where 16 hold fewer; 0 as a rule.
    """

    width: int
    height: int
    bands: int
    depth: str
    pages: int
    metadata: Metadata
    decode: Callable[[], NDArray[Any]]
    bits: int = 0


def open_heic(data: bytes) -> Stored:
    """Open a HEIC file: 8 bits as uint8, 10 and 12 as uint16, upright.

    Raises
    ------
    MissingExtraError
        If pillow-heif is not installed.
    ExtraCodecError
        If the file is damaged.
    """
    try:
        import pillow_heif
    except ImportError as error:
        raise _missing("HEIC files", "heic", "pillow-heif") from error
    try:
        file = pillow_heif.open_heif(data, convert_hdr_to_8bit=False)
        width, height = file.size  # damaged files may open, and hold no picture
        mode, info = file.mode, dict[str, Any](file.info)
    except Exception as error:
        raise ExtraCodecError from error
    letters, _, wide = mode.partition(";")
    bands = {"I": 1, "L": 1, "LA": 2, "RGB": 3, "RGBA": 4}.get(letters.upper(), 0)
    exif: bytes | None = info.get("exif") or None

    def decode() -> NDArray[Any]:
        try:
            return np.array(file).reshape(height, width, bands)
        except Exception as error:
            raise ExtraCodecError from error

    return Stored(
        width=width,
        height=height,
        bands=bands,
        depth="uint16" if wide else "uint8",
        pages=len(file),
        metadata=Metadata(
            icc=info.get("icc_profile") or None,
            exif=exif,
            xmp=info.get("xmp") or None,
            resolution=exif_resolution(exif) if exif else None,
        ),
        decode=decode,
        bits=int(info.get("bit_depth") or 0),
    )


def open_raw(data: bytes) -> Stored:
    """Open a camera file: developed to 16-bit sRGB with the camera's white balance, upright.

    Raises
    ------
    MissingExtraError
        If rawpy is not installed.
    ExtraCodecError
        If the file is damaged.
    """
    rawpy = _rawpy()
    try:
        raw = rawpy.imread(io.BytesIO(data))
        width, height = _upright_size(raw.sizes)
    except Exception as error:
        raise ExtraCodecError from error

    def decode() -> NDArray[Any]:
        try:
            with raw:
                return raw.postprocess(output_bps=16, use_camera_wb=True)
        except Exception as error:
            raise ExtraCodecError from error

    return Stored(width, height, 3, "uint16", 1, Metadata(exif=tiff_exif(data)), decode)


def find_raw_size(path: Path) -> tuple[int, int]:
    """Give width and height of a camera file, upright, of which little is read.

    Raises
    ------
    MissingExtraError
        If rawpy is not installed.
    ExtraCodecError
        If the file is damaged, or its name cannot be handed over.
    """
    rawpy = _rawpy()
    try:
        with rawpy.imread(str(path)) as raw:
            return _upright_size(raw.sizes)
    except Exception as error:
        raise ExtraCodecError from error


def _rawpy() -> Any:
    try:
        import rawpy
    except ImportError as error:
        raise _missing("camera raw files", "raw", "rawpy") from error
    return rawpy


def _upright_size(sizes: Any) -> tuple[int, int]:
    turned = sizes.flip in (5, 6)
    return (sizes.height, sizes.width) if turned else (sizes.width, sizes.height)


def _missing(what: str, extra: str, package: str) -> MissingExtraError:
    return MissingExtraError(
        f"{what} need the optional package {package}: pip install 'multiaxis[{extra}]'"
    )


READERS: dict[str, Callable[[bytes], Stored]] = {"heic": open_heic, "raw": open_raw}
"""The reader of each codec that libvips does not have, by the `codec` of `formats.FORMATS`."""
