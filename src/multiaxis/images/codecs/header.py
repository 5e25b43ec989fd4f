"""Opening files: what they say before their samples are decoded."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from multiaxis.images.codecs.extras import READERS, Stored, find_raw_size
from multiaxis.images.codecs.lab import open_lab
from multiaxis.images.codecs.libvips import (
    BLOBS,
    DEFAULT_DENSITY,
    FAILURES,
    SAMPLES,
    get_field,
    refusal,
    vips,
)
from multiaxis.images.contents import GRAFTED, find_contents
from multiaxis.images.contents.tiff import only_page
from multiaxis.images.contents.webp import heeded
from multiaxis.images.exif import exif_resolution, tiff_exif
from multiaxis.images.kinds import call_alpha_plain, extra_bands
from multiaxis.images.orient import exif_orientation
from multiaxis.images.picture import Metadata
from multiaxis.images.profile import profile_space, trim_profile
from multiaxis.images.space import read_heif_colour, read_png_colour
from multiaxis.images.structure import Items, chunks, gif_note, read_items

_LAB_NOTE = "its Lab colours were converted to sRGB"
_MOST_DENSE = 1e5  # pixels per mm: what says more is damaged


@dataclass(frozen=True)
class Header:
    """What a file says before its samples are decoded.

    Attributes
    ----------
    width, height : int
        As stored, in pixels, before turning.
    bands : int
        Samples of one pixel, alpha counted.
    samples : str
        libvips' name of the sample type, such as ``"uchar"``.
    space : str
        libvips' name of the colour space, such as ``"srgb"``.
    pages : int
        Pages or frames.
    orientation : int or None
        EXIF value that is still to be applied; None where EXIF is silent.
    metadata : Metadata
        As stored; without the profile where colours are converted.
    note : str
        What a user should know of how the file is read; empty as a rule.
    extra : tuple of int
        What TIFF says of each band beyond colour: 1 and 2 are alpha, 0 is neither.
    bits : int
        Bits of a sample where 16 hold fewer; 0 as a rule.
    premultiplied : bool
        Whether the stored colour is multiplied by alpha; `decode.decode` divides it out.
    """

    width: int
    height: int
    bands: int
    samples: str
    space: str
    pages: int
    orientation: int | None
    metadata: Metadata
    image: Any = field(repr=False)
    note: str = ""
    extra: tuple[int, ...] = ()
    bits: int = 0
    premultiplied: bool = False


def open_header(data: bytes, codec: str) -> Header:
    """Read the header of an encoded picture.

    Parameters
    ----------
    data : bytes
        The whole file.
    codec : str
        `Format.codec`: naming the loader keeps libvips' many other loaders out of reach.

    Raises
    ------
    CodecError
        If the header is damaged.
    """
    shown = only_page(data) if codec == "tiff" else data
    extra = extra_bands(shown) if codec == "tiff" else ()
    header = _opened(call_alpha_plain(shown) if extra[:1] == (1,) else shown, codec)
    metadata = find_contents(data, codec, header.metadata)
    if codec in GRAFTED:  # what is read here, and not by libvips, is what is put back
        turn = exif_orientation(metadata.exif or b"")
        header = replace(header, orientation=heeded(data, turn) if codec == "webp" else turn)
    items = read_items(data) if codec in ("heif", "heic") else Items()
    icc = trim_profile(metadata.icc) if metadata.icc else None
    colour = read_png_colour(chunks(data)) if codec == "png" else read_heif_colour(items)
    multiplied = any(kind == "prem" and at == items.primary for kind, at, _ in items.references)
    return replace(
        header,
        metadata=replace(metadata, icc=icc, colour=colour),
        extra=extra,
        premultiplied=multiplied or extra[:1] == (1,),
    )


def raw_size(path: Path) -> tuple[int, int]:
    """Give width and height of a camera file, upright, of which little is read.

    Raises
    ------
    CodecError
        If it cannot be told so: the whole file may say more.
    """
    try:
        return find_raw_size(path)
    except FAILURES as error:
        raise refusal() from error


def _opened(data: bytes, codec: str) -> Header:
    try:
        if codec in READERS:
            return _extra_header(READERS[codec](data))
        # Only "error" notices a cut-off TIFF without compression; "truncated" lets it pass.
        try:
            image = vips.Operation.call(
                f"{codec}load_buffer", data, access="sequential", fail_on="error"
            )
        except vips.Error as error:
            if "labq" not in str(error):
                raise
            return replace(_extra_header(open_lab(data)), note=_LAB_NOTE)
        metadata = _metadata(image, tiff_exif(data) if codec == "tiff" else None)
        note = gif_note(data) if codec == "gif" else ""
        if image.interpretation == "cmyk" and image.bands == 4:
            # libvips' own generic inks serve where the file brings no profile.
            image = image.icc_transform(
                "srgb", embedded=True, input_profile="cmyk", depth=_bits(image.format)
            )
            icc, metadata = metadata.icc, replace(metadata, icc=None)
            note = "its CMYK inks were converted to sRGB"
            if icc and profile_space(icc) != "CMYK":
                note += ", by generic inks: its colour profile cannot be used"
        elif image.interpretation in ("lab", "labs") and image.bands == 3:
            # Lab is what profiles connect through; exporting it takes D50, as TIFF's Lab has.
            image = image.colourspace("lab").icc_export(
                intent="relative", output_profile="srgb", depth=16
            )
            metadata, note = replace(metadata, icc=None), _LAB_NOTE
    except FAILURES as error:
        raise refusal() from error
    return Header(
        width=image.width,
        height=image.height,
        bands=image.bands,
        samples=image.format,
        space=image.interpretation,
        pages=get_field(image, "n-pages") or 1,
        # HEIF turns while decoding: what its EXIF or XMP still says is history.
        orientation=1
        if codec == "heif"
        else exif_orientation(data if codec == "tiff" else metadata.exif or b""),
        metadata=metadata,
        image=image,
        note=note,
        bits=get_field(image, "bits-per-sample") or 0 if codec == "heif" else 0,
    )


def _extra_header(stored: Stored) -> Header:
    return Header(
        width=stored.width,
        height=stored.height,
        bands=stored.bands,
        samples=SAMPLES[stored.depth],
        space="srgb" if stored.bands > 2 else "b-w",
        pages=stored.pages,
        orientation=1,
        metadata=stored.metadata,
        image=stored,
        bits=stored.bits,
    )


def _bits(samples: str) -> int:
    return 16 if samples == "ushort" else 8


def _metadata(image: Any, exif: bytes | None) -> Metadata:
    found: dict[str, bytes | None] = {name: get_field(image, key) for name, key in BLOBS.items()}
    found["exif"] = found["exif"] or exif
    resolution = (image.xres, image.yres)
    if not all(0 < value < _MOST_DENSE for value in resolution):
        resolution = (1.0, 1.0)
    # Files that do not say are given 1.0, or 72 dpi where the format insists on a number.
    if all(abs(value - 1) < 1e-6 or abs(value - DEFAULT_DENSITY) < 1e-3 for value in resolution):
        resolution = exif_resolution(found["exif"]) if found["exif"] else None
    found = {name: blob or None for name, blob in found.items()}
    return Metadata(
        icc=found["icc"],
        exif=found["exif"],
        xmp=found["xmp"],
        iptc=found["iptc"],
        resolution=resolution,
    )
