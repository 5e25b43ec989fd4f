"""Reading pictures: every refusal is one sentence."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from multiaxis.errors import ImageError
from multiaxis.files.address import Where, to_where
from multiaxis.files.read import read_bytes
from multiaxis.images.codecs import CodecError, Header, decode, float_range, open_header
from multiaxis.images.colour import colour_remark
from multiaxis.images.contents.tiff import without_places
from multiaxis.images.convert import check_range
from multiaxis.images.formats import (
    ANIMATED,
    CAMERA_RAW,
    RAW_SUFFIXES,
    READABLE_NAMES,
    Format,
    recognise,
)
from multiaxis.images.kinds import tiff_problem
from multiaxis.images.orient import upright, upright_exif, upright_xmp, xmp_orientation
from multiaxis.images.picture import Metadata, Picture

DEFAULT_MEGAPIXELS = 400.0
"""Largest picture that is decoded unless asked otherwise: nearly three frames of 150."""

_DEPTHS = {"uchar": "uint8", "ushort": "uint16", "float": "float32"}
_OTHER_SAMPLES = {
    "char": "signed 8-bit",
    "short": "signed 16-bit",
    "int": "signed 32-bit",
    "uint": "unsigned 32-bit",
    "double": "64-bit float",
}
_COLOURS = {"b-w": 1, "grey16": 1, "srgb": 3, "rgb": 3, "rgb16": 3, "scrgb": 3}


@dataclass(frozen=True)
class Probe:
    """What the header of a picture file says.

    Attributes
    ----------
    width, height : int
        Upright, in pixels.
    bands : int
        1 (grey) or 3 (RGB), alpha not counted.
    depth : str
        ``"uint8"``, ``"uint16"`` or ``"float32"``.
    alpha : bool
        Whether there is transparency.
    format : str
        Name of the format, such as ``"PNG"``.
    extra : int
        Bands of a TIFF file that are neither colour nor alpha.
    hdr : str
        ``"PQ"``, ``"HLG"`` or, as a rule, nothing.
    orientation : int
        How the stored samples are turned to be upright, as EXIF counts: 1 to 8.
    """

    width: int
    height: int
    bands: int
    depth: str
    alpha: bool
    format: str
    extra: int = 0
    hdr: str = ""
    orientation: int = 1


def probe_header(data: bytes, name: str, *, max_megapixels: float = DEFAULT_MEGAPIXELS) -> Probe:
    """Read size and kind of a picture without decoding it; only floats are looked through.

    Parameters
    ----------
    data : bytes
        The whole file, or its `read_outline`.
    name, max_megapixels
        As in `decode_picture`.

    Raises
    ------
    ImageError
        If `decode_picture` would refuse the file for what its header says, or if it has floats that
        are no numbers or lie outside [0, 1].
    """
    where = to_where(name)
    kind, header = _open(where, data, max_megapixels)
    turned = _orientation(header) in (5, 6, 7, 8)
    bands, colour = _bands(header), header.metadata.colour
    if header.samples == "float":
        try:
            check_range(*float_range(header, bands))
        except CodecError as error:
            raise ImageError(_damaged(where, kind)) from error
        except ImageError as error:
            raise ImageError(f"cannot read {where}: {error}") from error
    return Probe(
        width=header.height if turned else header.width,
        height=header.width if turned else header.height,
        bands=bands,
        depth=_DEPTHS[header.samples],
        alpha=_has_alpha(header),
        format=kind.name,
        extra=header.bands - bands - _has_alpha(header),
        hdr=colour.hdr if colour else "",
        orientation=_orientation(header),
    )


def read_picture(
    path: str | os.PathLike[str], *, max_megapixels: float = DEFAULT_MEGAPIXELS
) -> Picture:
    """Read a picture, upright, with all of its depth; its remarks are warned of too.

    Parameters
    ----------
    path : path
    max_megapixels : float
        As in `decode_picture`.

    Raises
    ------
    ImageError
        As `decode_picture`, and if the file is missing or may not be read.
    MissingExtraError
        If HEIC or camera raw is to be read without its optional package.

    Warns
    -----
    RuntimeWarning
        One for each of the picture's `remarks`.
    """
    path = Path(path)
    picture = decode_picture(read_bytes(path), str(path), max_megapixels=max_megapixels)
    for remark in picture.remarks:
        warnings.warn(f"{path}: {remark}", RuntimeWarning, stacklevel=2)
    return picture


def decode_picture(
    data: bytes, name: str, *, max_megapixels: float = DEFAULT_MEGAPIXELS
) -> Picture:
    """Decode a picture, upright, with all of its depth.

    Parameters
    ----------
    data : bytes
        The whole file: PNG, JPEG, TIFF, WebP, AVIF, GIF or HEIC, told by content; camera raw, told
        by the suffix of its name.
    name : str
        What messages call the file: a path or an address.
    max_megapixels : float
        Larger pictures are refused from their header, before any sample is decoded.

    Returns
    -------
    Picture
        8 and 16 bits and float32 as stored, grey as grey. 1, 2 and 4 bits become 8; a palette
        becomes RGB; 10 and 12 bits become 16; CMYK and Lab become sRGB, with a remark.
        Floats are as stored, in whatever range.

    Raises
    ------
    ImageError
        If the file is damaged, cut short, too large, or of a kind that is not read.
    MissingExtraError
        If HEIC or camera raw is to be read without its optional package.
    """
    where = to_where(name)
    kind, header = _open(where, data, max_megapixels)
    try:
        samples = upright(decode(header), _orientation(header))
    except CodecError as error:
        raise ImageError(_damaged(where, kind)) from error
    bands, has_alpha = _bands(header), _has_alpha(header)
    beyond = np.ascontiguousarray(samples[..., bands + has_alpha :])
    picture = Picture(
        pixels=np.ascontiguousarray(samples[..., :bands]),
        alpha=np.ascontiguousarray(samples[..., bands]) if has_alpha else None,
        metadata=_upright_metadata(header),
        extra=beyond if beyond.size else None,
    )
    remarks = header.note, colour_remark(picture), _extra_note(picture)
    return replace(picture, remarks=tuple(filter(None, remarks)))


def read_metadata(data: bytes, kind: Format) -> tuple[Metadata, int]:
    """Read what an animation says of all of its frames, and the orientation they have to be given.

    Raises
    ------
    ImageError
        If the header is damaged.
    """
    try:
        header = open_header(data, kind.codec)
    except CodecError as error:
        raise ImageError(f"its {kind.name} header is damaged") from error
    return _upright_metadata(header), _orientation(header)


def check_megapixels(where: Where, width: int, height: int, most: float) -> None:
    """Refuse a picture of more than so many megapixels."""
    megapixels = width * height / 1e6
    if megapixels > most:
        raise ImageError(
            f"cannot read {where}: {width}x{height} are {megapixels:.1f} megapixels, "
            f"at most {most:g} are accepted; raise the limit if the file is trusted"
        )


def _open(path: Where, data: bytes, max_megapixels: float) -> tuple[Format, Header]:
    kind = recognise(data)
    if data and path.suffix.lower() in RAW_SUFFIXES:
        kind = CAMERA_RAW
    if not isinstance(kind, Format):
        found = f"a {kind} file" if kind else "not a picture of a known format"
        found = found if data else "empty (0 bytes)"
        if kind == ANIMATED:
            raise ImageError(_moving(path))
        raise ImageError(f"cannot read {path}: it is {found}; accepted are {READABLE_NAMES}")
    if kind.name == "PNG" and _is_animated_png(data):
        raise ImageError(_many(path, "is an animated PNG"))
    if kind.codec == "tiff" and (problem := tiff_problem(data)):
        raise ImageError(f"cannot read {path}: {problem}")
    try:
        header = open_header(data, kind.codec)
    except CodecError as error:
        raise ImageError(_damaged(path, kind)) from error
    _check_kind(path, kind, header)
    check_megapixels(path, header.width, header.height, max_megapixels)
    return kind, header


def _check_kind(path: Where, kind: Format, header: Header) -> None:
    if header.pages > 1:
        raise ImageError(_many(path, f"has {header.pages} pages or frames"))
    if header.samples not in _DEPTHS:
        found = _OTHER_SAMPLES.get(header.samples, "complex")
        raise ImageError(
            f"cannot read {path}: its samples are {found} numbers; accepted are unsigned 8 and 16 "
            "bits and 32-bit floats, so save it as TIFF of one of these first"
        )
    beyond = header.bands - _bands(header)
    if beyond not in (0, 1, len(header.extra)) or _bands(header) < 0:
        raise ImageError(
            f"cannot read {path}: {kind.name} with {header.bands} channels in colour space "
            f"{header.space}; accepted are grey and RGB, with or without alpha, so convert it first"
        )


def _bands(header: Header) -> int:
    """Count the colour channels; -1 where the colour space is not one of ours."""
    if header.space == "multiband" and header.bands in (1, 3):
        return header.bands  # scientific TIFFs often leave the meaning open
    return _COLOURS.get(header.space, -1)


def _orientation(header: Header) -> int:
    """EXIF decides; XMP is asked only where EXIF is silent."""
    found = header.orientation
    return xmp_orientation(header.metadata.xmp) if found is None else found


def _upright_metadata(header: Header) -> Metadata:
    found = header.metadata
    resolution, aspect = found.resolution, found.aspect
    turned = _orientation(header) in (5, 6, 7, 8)
    if turned:
        resolution = resolution and resolution[::-1]
        aspect = aspect and aspect[::-1]
    return replace(
        found,
        exif=upright_exif(found.exif, swapped=turned) if found.exif else None,
        xmp=upright_xmp(found.xmp) if found.xmp else None,
        resolution=resolution,
        aspect=aspect,
        contents=found.contents if _orientation(header) == 1 else without_places(found.contents),
    )


def _has_alpha(header: Header) -> bool:
    """Tell whether there is a band beyond colour and TIFF does not call it something else."""
    return header.bands > _bands(header) and header.extra[:1] != (0,)


def _extra_note(picture: Picture) -> str:
    if picture.extra is None:
        return ""
    count = picture.extra.shape[2]
    bands = "1 band passes" if count == 1 else f"{count} bands pass"
    return f"beside colour and transparency {bands} through unchanged"


def _is_animated_png(data: bytes) -> bool:
    """Look for an animation chunk of several frames; libvips would show the first only."""
    at = 8
    while at + 12 <= len(data):
        length, name = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        if name == b"acTL":
            return int.from_bytes(data[at + 8 : at + 12], "big") > 1
        if name == b"IDAT":  # the animation chunk comes before the samples
            return False
        at += 12 + length
    return False


def _many(path: Where, found: str) -> str:
    return (
        f"cannot read {path}: it {found}, and one picture is wanted here; save each to a file of "
        f"its own first: magick {path.name} {path.stem}-%03d.png"
    )


def _moving(path: Where) -> str:
    return (
        f"cannot read {path}: it is an {ANIMATED} file; make it a clip and restore that: "
        f"ffmpeg -i {path.name} -c:v ffv1 {path.stem}.mkv"
    )


def _damaged(path: Where, kind: Format) -> str:
    return (
        f"cannot read {path}: its {kind.name} data are damaged, cut short or of a rare kind; "
        "fetch the file again, or convert it to PNG with an image editor"
    )
