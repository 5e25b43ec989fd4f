"""What a file holds beside its samples: read by its structure, put back where that is right.

Every kind of file has a module that lists its chunks, segments, tags or items. What an output does
not list that its input did is lost, and `lost` names it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from multiaxis.images.contents.content import Content, Found
from multiaxis.images.contents.heif import read_heif
from multiaxis.images.contents.jpeg import put_jpeg, read_jpeg
from multiaxis.images.contents.png import put_png, read_png
from multiaxis.images.contents.tiff import put_tiff, read_tiff
from multiaxis.images.contents.webp import put_webp, read_webp
from multiaxis.images.contents.xmp import Kept, join_xmp, mend_xmp, without_extension
from multiaxis.images.exif import exif_resolution, gather_entries

if TYPE_CHECKING:
    from multiaxis.images.picture import Metadata

__all__ = ["GRAFTED", "Content", "Found", "adapt", "find_contents", "lost", "put_contents"]

_READERS: Mapping[str, Callable[[bytes], Found]] = {
    "png": read_png,
    "jpeg": read_jpeg,
    "tiff": read_tiff,
    "webp": read_webp,
    "heif": read_heif,
    "heic": read_heif,
}
_WRITERS: Mapping[str, Callable[[bytes, Metadata], bytes]] = {
    "png": put_png,
    "jpeg": put_jpeg,
    "tiff": put_tiff,
    "webp": put_webp,
}
GRAFTED = frozenset(_WRITERS) - {"tiff"}
"""Codecs whose metadata are put in here; libvips would rewrite EXIF, and hold less."""

_MOST_DENSE = 1e5  # pixels per mm: what says more is damaged
_OWN_FIELDS = ("icc", "exif", "xmp", "xmp_extension", "iptc", "colour", "resolution", "aspect")
_FIELD_NAMES = {"xmp_extension": "extended XMP", "aspect": "pixel aspect"}


def find_contents(data: bytes, codec: str, metadata: Metadata) -> Metadata:
    """Complete what a decoder says about a file by what its structure says.

    Parameters
    ----------
    data : bytes
        The whole file.
    codec : str
        `Format.codec`; metadata of one without a reader come back as they are.
    metadata : Metadata
        The decoder's.
    """
    if codec not in _READERS:
        return metadata
    found = _READERS[codec](data)
    exif = found.exif if codec in GRAFTED else metadata.exif or found.exif
    resolution = found.resolution
    if resolution and not all(0 < value < _MOST_DENSE for value in resolution):
        resolution = None
    if exif and (resolution is None or _is_default(resolution)):
        resolution = exif_resolution(exif) or resolution
    return replace(
        metadata,
        icc=metadata.icc or found.icc,
        exif=exif,
        xmp=found.xmp,
        xmp_extension=found.xmp_extension,
        iptc=found.iptc,
        resolution=resolution,
        unit=found.unit,
        aspect=found.aspect,
        contents=tuple(found.contents),
    )


def adapt(metadata: Metadata, codec: str) -> Metadata:
    """Bring metadata into the form that files of a codec have.

    XMP that points to a film loses that where the film does not come along; an extension is joined
    with its packet where files do not split them.
    """
    xmp, extension = metadata.xmp, metadata.xmp_extension
    if xmp and extension and codec != "jpeg" and (joined := join_xmp(xmp, extension)):
        xmp, extension = joined, None
    has_film = codec == "jpeg" and any(content.name == "film" for content in metadata.contents)
    if xmp and not has_film:
        xmp = mend_xmp(xmp, Kept())
    if xmp and not extension:
        xmp = without_extension(xmp)
    return replace(metadata, xmp=xmp, xmp_extension=extension)


def put_contents(data: bytes, codec: str, metadata: Metadata) -> bytes:
    """Put metadata into an encoded file, as far as it can hold them.

    Parameters
    ----------
    data : bytes
        The whole file, with samples and colour alone where the codec is in `GRAFTED`.
    codec : str
        `Format.codec`.
    metadata : Metadata
        From `adapt`.
    """
    return _WRITERS[codec](data, metadata) if codec in _WRITERS else data


def lost(wanted: Metadata, written: Metadata, codec: str) -> tuple[str, ...]:
    """Name what an output does not hold, by comparing what both files were found to hold.

    Parameters
    ----------
    wanted, written : Metadata
        Of the source, and read from the output.
    codec : str
        `Format.codec` of the output.
    """
    wanted = replace(wanted, xmp_extension=adapt(wanted, codec).xmp_extension)
    there = {name for name in _OWN_FIELDS if getattr(written, name)}
    if wanted.exif and codec == "tiff" and not gather_entries(wanted.exif):
        there.add("exif")  # orientation, size and density, which are tags of every file
    colour = wanted.colour
    # An equivalent profile serves as well, and sRGB is what everyone takes silence for.
    if colour and (colour.is_srgb or (colour.is_known and written.icc)):
        there.add("colour")
    names = [name for name in _OWN_FIELDS if getattr(wanted, name) and name not in there]
    left = Counter(content.name for content in wanted.contents)
    left -= Counter(content.name for content in written.contents)
    names += [name for name in left if name not in there and name not in names]
    return tuple(_FIELD_NAMES.get(name, name) for name in names)


def _is_default(resolution: tuple[float, float]) -> bool:
    """Tell 72 dpi, which encoders write where they know none."""
    return all(abs(value - 72 / 25.4) < 1e-3 for value in resolution)
