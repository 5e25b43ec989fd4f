"""Encoding: samples and metadata to the bytes of a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from multiaxis.images.codecs.libvips import (
    BLOBS,
    DEFAULT_DENSITY,
    FAILURES,
    new_image,
    refusal,
    set_blob,
    vips,
)
from multiaxis.images.contents import GRAFTED, adapt, put_contents
from multiaxis.images.contents.block import with_size
from multiaxis.images.contents.photoshop import PHOTOSHOP
from multiaxis.images.exif import is_exif
from multiaxis.images.kinds import name_extra_bands
from multiaxis.images.picture import Metadata
from multiaxis.images.profile import deciding_profile
from multiaxis.images.space import png_chunks
from multiaxis.images.structure import add_chunks

_KEEP = {"exif": 1, "xmp": 2, "iptc": 4, "icc": 8}  # VipsForeignKeep
_KEEP_OTHER = 16  # TIFF's Photoshop block counts as this
_SPACES = {
    "uint8": ("b-w", "srgb"),
    "uint16": ("grey16", "rgb16"),
    "float32": ("b-w", "scrgb"),
}
_ALWAYS_RGB = ("webp", "heif")


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
    metadata = adapt(metadata, codec)
    across, down = metadata.resolution or (DEFAULT_DENSITY, DEFAULT_DENSITY)
    stated = png_chunks(metadata.colour) if metadata.colour and codec == "png" else []
    if metadata.colour and not stated:
        grey = bands - extra < 3 and codec not in _ALWAYS_RGB
        metadata = replace(metadata, icc=deciding_profile(metadata, grey=grey) or metadata.icc)
    names = ("icc",) if codec in GRAFTED else tuple(BLOBS)
    blobs = {name: getattr(metadata, name) for name in names}
    kept = {
        name: blob for name, blob in blobs.items() if blob and (name != "exif" or is_exif(blob))
    }
    try:
        space = _SPACES[samples.dtype.name][bands - extra > 2]
        image = new_image(samples, space, xres=across, yres=down)
        for name, blob in kept.items():
            if name == "iptc" and codec == "tiff":
                # libvips cuts TIFF's own IPTC tag to a quarter; the Photoshop block is whole.
                set_blob(image, "photoshop-data", blob.removeprefix(PHOTOSHOP))
            else:
                set_blob(image, BLOBS[name], blob)
        # Asked to keep EXIF where there is none, libvips makes some up.
        keep = _KEEP_OTHER + sum(_KEEP[name] for name in kept)
        data = bytes(vips.Operation.call(f"{codec}save_buffer", image, keep=keep, **options))
    except FAILURES as error:
        if codec == "png" and "icc" in kept:  # PNG refuses damaged profiles, and RGB's with grey
            return encode(samples, codec, options, replace(metadata, icc=None))
        raise refusal() from error
    data = name_extra_bands(add_chunks(data, stated), extra)
    if codec in GRAFTED and metadata.exif:
        metadata = replace(metadata, exif=with_size(metadata.exif, width, height))
    return put_contents(data, codec, metadata)
