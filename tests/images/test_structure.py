"""Walkers over chunks, segments, directories and boxes: what they find, and hostile bytes."""

from __future__ import annotations

import io
import struct
import tracemalloc
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from multiaxis.images.structure import (
    boxes,
    chunks,
    jpeg_end,
    read_directories,
    read_directory,
    read_items,
    riff_chunks,
    segments,
)


def encoded(kind: str, **options) -> bytes:
    stream = io.BytesIO()
    rows, columns = np.mgrid[0:16, 0:24]
    image = Image.fromarray(np.dstack([rows * 9, columns * 7, rows + columns]).astype(np.uint8))
    image.save(stream, kind, **options)
    return stream.getvalue()


EXIF = Image.Exif()
EXIF[0x010F], EXIF[0x8769] = "Maker", {0x9003: "2019:08:07 06:05:04"}
FILES = {
    "png": encoded("PNG", exif=EXIF),
    "jpeg": encoded("JPEG", exif=EXIF, comment=b"remark", progressive=True),
    "tiff": encoded("TIFF", exif=EXIF.tobytes()),
    "bigtiff": encoded("TIFF", big_tiff=True),
    "webp": encoded("WEBP", exif=EXIF, xmp=b"<x/>"),
    "avif": encoded("AVIF", exif=EXIF, xmp=b"<x/>"),
}


def walk_all(data: bytes) -> int:
    """Ask every walker everything, whatever the bytes are."""
    count = 0
    for walk in (chunks, segments, riff_chunks, boxes):
        parts = list(walk(data))
        count += sum(len(part.body) <= part.size for part in parts)
        assert all(0 <= part.start <= part.inner <= part.inner_end for part in parts)
        assert all(one.end <= other.start or other.name == "" for one, other in pairwise(parts)), (
            "parts must not overlap"
        )
    items = read_items(data)
    for item in [items.primary, *items.types]:
        assert len(items.body(data, item)) <= len(data)
        count += items.property(item, "colr") is not None
    for start in (0, 6):
        for directory in read_directories(data, start):
            for entry in directory.entries:
                count += len(entry.body) + len(entry.numbers) + len(entry.text)
                for offset in entry.offsets[:4]:
                    count += read_directory(data, offset, start) is not None
    return count


def test_png_chunks_cover_the_file():
    text = PngImagePlugin.PngInfo()
    text.add_text("Title", "tree")
    data = encoded("PNG", pnginfo=text)
    found = list(chunks(data))
    assert [part.name for part in found] == ["IHDR", "tEXt", "IDAT", "IEND"]
    assert found[1].body == b"Title\0tree"
    assert data[:8] + b"".join(part.whole for part in found) == data


@pytest.mark.parametrize("progressive", [False, True])
def test_jpeg_segments_end_where_the_picture_ends(progressive):
    data = encoded("JPEG", comment=b"remark", progressive=progressive, restart_marker_rows=1)
    found = list(segments(data + data))
    assert [part.name for part in found][:2] == ["APP0", "COM"]
    assert found[1].body == b"remark"
    assert found[-1].name == "EOI"
    assert data[:2] + b"".join(part.whole for part in found) == data
    assert jpeg_end(data + b"film") == len(data)


def test_fill_bytes_before_markers_are_skipped():
    data = encoded("JPEG")
    assert next(part.name for part in segments(data[:2] + b"\xff" * 9 + data[2:])) == "APP0"


@pytest.mark.parametrize("kind", ["tiff", "bigtiff"])
def test_tiff_directories_hold_what_pillow_wrote(kind):
    (page,) = read_directories(FILES[kind])
    assert (page.get(256).numbers, page.get(257).numbers) == ((24,), (16,))
    assert page.get(258).numbers == (8, 8, 8)
    assert page.next == 0


@pytest.mark.parametrize("order", ["<", ">"])
def test_exif_blocks_are_read_from_their_start(order):
    mark = b"II*\0" if order == "<" else b"MM\0*"
    pack = struct.Struct
    block = mark + pack(f"{order}IH").pack(8, 2)
    block += pack(f"{order}HHI4s").pack(0x010F, 2, 4, b"Abc\0")
    block += pack(f"{order}HHII").pack(0x011A, 5, 1, 38) + bytes(4)
    block += pack(f"{order}II").pack(300, 1)
    (page,) = read_directories(b"Exif\0\0" + block, 6)
    assert page.get(0x010F).text == "Abc"
    assert page.get(0x011A).numbers == (300.0,)
    inner = read_directory(b"Exif\0\0" + block, 8, 6)
    assert inner == page


def test_rings_of_directories_end():
    ring = b"II*\0" + struct.pack("<IHI", 8, 0, 14) + struct.pack("<HI", 0, 8)
    assert [page.at for page in read_directories(ring)] == [8, 14]


def test_directories_that_overlap_are_bounded():
    entries = b"".join(struct.pack("<HHII", 1, 1, 1, 0) for _ in range(5000))
    data = b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", 5000) + entries
    assert len(read_directories(data + bytes(4))) == 1
    # Each entry is the start of another directory that reaches to the end of the file.
    links = b"".join(struct.pack("<HI", 65535, 14 + 6 * k) for k in range(20_000))
    pages = read_directories(b"II*\0" + struct.pack("<I", 8) + links)
    assert sum(len(page.entries) for page in pages) <= len(links)


def test_webp_chunks():
    found = {part.name: part.body for part in riff_chunks(FILES["webp"])}
    assert found["XMP "] == b"<x/>"
    assert found["EXIF"].endswith(EXIF.tobytes()[-8:])


def test_avif_items():
    data = FILES["avif"]
    assert [box.name for box in boxes(data)] == ["ftyp", "meta", "mdat"]
    items = read_items(data)
    assert items.types[items.primary] == "av01"
    assert items.property(items.primary, "ispe").body[-8:] == struct.pack(">II", 24, 16)
    xmp = next(item for item, mime in items.mimes.items() if mime == "application/rdf+xml")
    assert items.body(data, xmp) == b"<x/>"
    assert ("cdsc", xmp, (items.primary,)) in items.references


def test_premultiplied_alpha_is_a_reference(shared_dir):
    items = read_items((shared_dir / "data/faults/41_premul.avif").read_bytes())
    assert items.references == (("prem", 1, (2,)), ("auxl", 2, (1,)))
    assert b"auxiliary:alpha" in items.property(2, "auxC").body


@given(st.binary(max_size=300))
def test_any_bytes_are_walked(data):
    for head in (b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8", b"II*\0", b"MM\0+", b"RIFF"):
        walk_all(head + data)
    walk_all(struct.pack(">I4s4s", len(data) + 12, b"meta", b"") + data)


@given(st.sampled_from(sorted(FILES)), st.data())
def test_damaged_files_are_walked(kind, data):
    damaged = bytearray(FILES[kind])
    places = st.integers(0, len(damaged) - 1)
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(places)
        damaged[at : at + 4] = data.draw(st.binary(min_size=1, max_size=4))
    walk_all(bytes(damaged[: data.draw(places)] if data.draw(st.booleans()) else damaged))


def test_declared_counts_cost_nothing():
    """Counts of 2**32 in boxes without room for them; extents of no bytes."""
    ipma = b"\0\0\0\0" + b"\xff" * 4 + b"\0\1\xff" * 200
    iprp = box(b"iprp", box(b"ipco", b"") + box(b"ipma", ipma))
    iloc = box(b"iloc", b"\0\0\0\0\0\0" + b"\xff\xff" + b"\0\1\0\0\xff\xff" * 5_000)
    data = box(b"meta", bytes(4) + iprp + iloc)
    tracemalloc.start()
    walk_all(data)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 40 * len(data)


def box(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", len(body) + 8, name) + body
