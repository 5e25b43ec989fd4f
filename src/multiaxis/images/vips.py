"""The only file that talks to libvips: bytes to samples and back."""

# pyvips has no types.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyvips
from numpy.typing import NDArray

from multiaxis.images.contents import GRAFTED, adapt, find_contents, put_contents
from multiaxis.images.contents.block import with_size
from multiaxis.images.contents.photoshop import PHOTOSHOP
from multiaxis.images.contents.tiff import only_page
from multiaxis.images.contents.webp import heeded
from multiaxis.images.convert import divide_alpha
from multiaxis.images.exif import exif_resolution, is_exif, tiff_exif
from multiaxis.images.extras import ExtraCodecError, Stored, open_heic, open_raw
from multiaxis.images.kinds import call_alpha_plain, extra_bands, name_extra_bands
from multiaxis.images.lab import open_lab
from multiaxis.images.orient import exif_orientation
from multiaxis.images.picture import Metadata
from multiaxis.images.profile import deciding_profile, profile_space, trim_profile
from multiaxis.images.space import png_chunks, read_heif_colour, read_png_colour
from multiaxis.images.structure import Items, add_chunks, chunks, gif_note, read_items

# libvips' own remarks on damaged files would reach stderr beside our one sentence.
logging.getLogger("pyvips").addHandler(logging.NullHandler())

_BLOBS = {"icc": "icc-profile-data", "exif": "exif-data", "xmp": "xmp-data", "iptc": "iptc-data"}
_KEEP = {"exif": 1, "xmp": 2, "iptc": 4, "icc": 8}  # VipsForeignKeep
_KEEP_OTHER = 16  # TIFF's Photoshop block counts as this
_SAMPLES = {"uint8": "uchar", "uint16": "ushort", "float32": "float"}
_SPACES = {
    "uint8": ("b-w", "srgb"),
    "uint16": ("grey16", "rgb16"),
    "float32": ("b-w", "scrgb"),
}
_ALWAYS_RGB = ("webp", "heif")
_EXTRAS = {"heic": open_heic, "raw": open_raw}
_LAB_NOTE = "its Lab colours were converted to sRGB"
_MOST_DENSE = 1e5  # pixels per mm: what says more is damaged
_DEFAULT_DENSITY = 72 / 25.4  # pixels per mm, where a format insists on a number


# pyvips cannot say errors that hold a file's own bytes where these are no UTF-8.
_FAILURES = (pyvips.Error, UnicodeDecodeError, ExtraCodecError)


class CodecError(Exception):
    """Libvips could not decode or encode; its own text is the cause, not the message."""


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
        Whether the stored colour is multiplied by alpha; `decode` divides it out.
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


def _opened(data: bytes, codec: str) -> Header:
    try:
        if codec in _EXTRAS:
            return _extra_header(_EXTRAS[codec](data))
        # Only "error" notices a cut-off TIFF without compression; "truncated" lets it pass.
        try:
            image = pyvips.Operation.call(
                f"{codec}load_buffer", data, access="sequential", fail_on="error"
            )
        except pyvips.Error as error:
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
    except _FAILURES as error:
        raise _refusal() from error
    return Header(
        width=image.width,
        height=image.height,
        bands=image.bands,
        samples=image.format,
        space=image.interpretation,
        pages=_get(image, "n-pages") or 1,
        # HEIF turns while decoding: what its EXIF or XMP still says is history.
        orientation=1
        if codec == "heif"
        else exif_orientation(data if codec == "tiff" else metadata.exif or b""),
        metadata=metadata,
        image=image,
        note=note,
        bits=_get(image, "bits-per-sample") or 0 if codec == "heif" else 0,
    )


def _extra_header(stored: Stored) -> Header:
    return Header(
        width=stored.width,
        height=stored.height,
        bands=stored.bands,
        samples=_SAMPLES[stored.depth],
        space="srgb" if stored.bands > 2 else "b-w",
        pages=stored.pages,
        orientation=1,
        metadata=stored.metadata,
        image=stored,
        bits=stored.bits,
    )


def _refusal() -> CodecError:
    pyvips.vips_lib.vips_error_clear()  # what could not be said would spoil the next error
    return CodecError()


def _bits(samples: str) -> int:
    return 16 if samples == "ushort" else 8


def decode(header: Header) -> NDArray[Any]:
    """Decode all samples.

    Returns
    -------
    array, shape (height, width, bands)
        uint8, uint16 or float32, as stored.

    Raises
    ------
    CodecError
        If the data are damaged or end early.
    """
    image = header.image
    try:
        samples: NDArray[Any] = image.decode() if isinstance(image, Stored) else image.numpy()
    except _FAILURES as error:
        raise _refusal() from error
    samples = samples.reshape(header.height, header.width, header.bands)
    if samples.dtype == np.uint16 and 8 < header.bits < 16:
        # Codecs shift 10 and 12 bits up; their highest bits again below make white 65535.
        samples = samples | samples >> header.bits
    beyond = len(header.extra) or header.bands in (2, 4)
    colours = 1 if header.bands - beyond < 3 else 3
    return divide_alpha(samples, colours) if header.premultiplied else samples


def float_range(header: Header, bands: int) -> tuple[float, float]:
    """Find the least and largest of a picture's floats, row by row; NaN comes through.

    Parameters
    ----------
    header : Header
        Of floats; its samples cannot be decoded after this.
    bands : int
        How many to look at.

    Raises
    ------
    CodecError
        If the data are damaged or end early.
    """
    image = header.image
    if isinstance(image, Stored):
        samples = image.decode()[..., :bands]
        return float(samples.min()), float(samples.max())
    try:
        colours = image.extract_band(0, n=bands)
        # What is no number is not equal to itself, and would hide among the others.
        told = colours.relational(colours, "equal").ifthenelse(colours, np.inf)
        found = told.stats().numpy()
    except _FAILURES as error:
        raise _refusal() from error
    return float(found[0, 0]), float(found[0, 1])


def encode(
    samples: NDArray[Any],
    codec: str,
    options: Mapping[str, Any],
    metadata: Metadata,
    *,
    extra: int = 0,
) -> bytes:
    """Encode samples in memory.

    Parameters
    ----------
    samples : array, shape (height, width, bands)
        Grey, grey and alpha, RGB, or RGB and alpha.
    codec : str
        `Format.codec`.
    options : mapping
        Options of the saver.
    metadata : Metadata
        Written as far as the format can hold it.
    extra : int
        How many of the last bands are neither colour nor alpha, for TIFF.

    Raises
    ------
    CodecError
        If libvips refuses, for instance a size that the format cannot hold.
    """
    height, width, bands = samples.shape
    depth = samples.dtype.name
    metadata = adapt(metadata, codec)
    across, down = metadata.resolution or (_DEFAULT_DENSITY, _DEFAULT_DENSITY)
    stated = png_chunks(metadata.colour) if metadata.colour and codec == "png" else []
    if metadata.colour and not stated:
        grey = bands - extra < 3 and codec not in _ALWAYS_RGB
        metadata = replace(metadata, icc=deciding_profile(metadata, grey=grey) or metadata.icc)
    names = ("icc",) if codec in GRAFTED else tuple(_BLOBS)
    blobs = {name: getattr(metadata, name) for name in names}
    kept = {
        name: blob for name, blob in blobs.items() if blob and (name != "exif" or is_exif(blob))
    }
    try:
        plain = pyvips.Image.new_from_memory(
            np.ascontiguousarray(samples).data, width, height, bands, _SAMPLES[depth]
        )
        image = plain.copy(interpretation=_SPACES[depth][bands - extra > 2], xres=across, yres=down)
        for name, blob in kept.items():
            if name == "iptc" and codec == "tiff":
                # libvips cuts TIFF's own IPTC tag to a quarter; the Photoshop block is whole.
                _set(image, "photoshop-data", blob.removeprefix(PHOTOSHOP))
            else:
                _set(image, _BLOBS[name], blob)
        # Asked to keep EXIF where there is none, libvips makes some up.
        keep = _KEEP_OTHER + sum(_KEEP[name] for name in kept)
        data = bytes(pyvips.Operation.call(f"{codec}save_buffer", image, keep=keep, **options))
    except _FAILURES as error:
        if codec == "png" and "icc" in kept:  # PNG refuses damaged profiles, and RGB's with grey
            return encode(samples, codec, options, replace(metadata, icc=None))
        raise _refusal() from error
    data = name_extra_bands(add_chunks(data, stated), extra)
    if codec in GRAFTED and metadata.exif:
        metadata = replace(metadata, exif=with_size(metadata.exif, width, height))
    return put_contents(data, codec, metadata)


def to_srgb(samples: NDArray[np.uint16], icc: bytes) -> NDArray[np.uint16]:
    """Convert RGB samples in a profile to sRGB, by relative colorimetry.

    Parameters
    ----------
    samples : array of uint16, shape (height, width, 3)
    icc : bytes

    Raises
    ------
    CodecError
        If the profile cannot be used.
    """
    return _through_lab(samples, {"embedded": True}, icc, {"output_profile": "srgb"})


def from_srgb(samples: NDArray[np.uint16], icc: bytes) -> NDArray[np.uint16]:
    """Convert sRGB samples to a profile; as `to_srgb`."""
    return _through_lab(samples, {"input_profile": "srgb"}, icc, {})


def _through_lab(
    samples: NDArray[np.uint16], source: dict[str, Any], icc: bytes, target: dict[str, Any]
) -> NDArray[np.uint16]:
    height, width, bands = samples.shape
    try:
        image = pyvips.Image.new_from_memory(
            np.ascontiguousarray(samples).data, width, height, bands, "ushort"
        ).copy(interpretation="rgb16")
        if source.get("embedded"):
            _set(image, _BLOBS["icc"], icc)
        image = image.icc_import(intent="relative", **source)
        if not target:  # what is embedded is what is exported to
            image = image.copy()
            _set(image, _BLOBS["icc"], icc)
        found: NDArray[Any] = image.icc_export(intent="relative", depth=16, **target).numpy()
    except _FAILURES as error:
        raise _refusal() from error
    return found.reshape(height, width, bands)


def _metadata(image: Any, exif: bytes | None) -> Metadata:
    found: dict[str, bytes | None] = {name: _get(image, key) for name, key in _BLOBS.items()}
    found["exif"] = found["exif"] or exif
    resolution = (image.xres, image.yres)
    if not all(0 < value < _MOST_DENSE for value in resolution):
        resolution = (1.0, 1.0)
    # Files that do not say are given 1.0, or 72 dpi where the format insists on a number.
    if all(abs(value - 1) < 1e-6 or abs(value - _DEFAULT_DENSITY) < 1e-3 for value in resolution):
        resolution = exif_resolution(found["exif"]) if found["exif"] else None
    found = {name: blob or None for name, blob in found.items()}
    return Metadata(
        icc=found["icc"],
        exif=found["exif"],
        xmp=found["xmp"],
        iptc=found["iptc"],
        resolution=resolution,
    )


def _get(image: Any, key: str) -> Any:
    return image.get(key) if image.get_typeof(key) else None


def _set(image: Any, key: str, blob: bytes) -> None:
    image.set_type(pyvips.GValue.blob_type, key, blob)
