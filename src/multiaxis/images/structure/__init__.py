"""What a picture file is made of: its chunks, segments, directories and boxes, one file each.

Nothing here decodes samples, and nothing here raises on damaged bytes: every declared length is
compared with the bytes that are there, and a walk ends where they disagree.
"""

from multiaxis.images.structure.gif import gif_note
from multiaxis.images.structure.iso import Items, boxes, read_items
from multiaxis.images.structure.jpeg import jpeg_end, segments
from multiaxis.images.structure.part import Part
from multiaxis.images.structure.png import add_chunks, chunk_bytes, chunks
from multiaxis.images.structure.riff import riff_chunks
from multiaxis.images.structure.tiff import (
    Directory,
    Entry,
    page_alone,
    read_directories,
    read_directory,
)

__all__ = [
    "Directory",
    "Entry",
    "Items",
    "Part",
    "add_chunks",
    "boxes",
    "chunk_bytes",
    "chunks",
    "gif_note",
    "jpeg_end",
    "page_alone",
    "read_directories",
    "read_directory",
    "read_items",
    "riff_chunks",
    "segments",
]
