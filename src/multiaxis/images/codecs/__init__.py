"""Bytes of a file to samples and back: libvips, and where it cannot, Pillow, HEIF and raw."""

from multiaxis.images.codecs.decode import decode, float_range
from multiaxis.images.codecs.encode import encode
from multiaxis.images.codecs.header import Header, open_header, raw_size
from multiaxis.images.codecs.libvips import CodecError
from multiaxis.images.codecs.profiles import from_srgb, to_srgb

__all__ = [
    "CodecError",
    "Header",
    "decode",
    "encode",
    "float_range",
    "from_srgb",
    "open_header",
    "raw_size",
    "to_srgb",
]
