"""Orientation entries of odd types, counts and places: read once, reset all, whoever looks."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
import pyvips
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from exif_blocks import CARRIERS, block, entry, exif_blocks, jpeg, orientation, png, webp
from multiaxis.errors import ImageError
from multiaxis.images import Metadata, Picture, probe_picture, read_picture, write_picture
from multiaxis.images.orient import (
    exif_orientation,
    upright,
    upright_exif,
    upright_xmp,
    xmp_orientation,
)

# The second reader warns of what it is shown; ours has to keep still.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL.TiffImagePlugin")

IMAGE = Image.fromarray(np.arange(3 * 2 * 3, dtype=np.uint8).reshape(2, 3, 3) * 14)
FAULTS = ["50_turned_again.jpg", "50_turned_again.png", "50_turned_again.webp"]
BOTH = ["<", ">"]


def seen_by_pillow(data: bytes) -> int | None:
    """Give the orientation Pillow turns by; None where it chokes on the block."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            image.load()
            found = image.getexif().get(0x0112, 1)
    except Exception:  # noqa: BLE001 (whatever it chokes on, it turns nothing)
        return None
    return int(found) if not isinstance(found, (str, bytes)) and found in range(1, 9) else 1


def seen_by_libvips(data: bytes) -> int:
    image = pyvips.Image.new_from_buffer(data, "")
    return image.get("orientation") if image.get_typeof("orientation") else 1


def assert_stays(data: bytes) -> None:
    """Nobody turns what was written."""
    assert seen_by_pillow(data) in (None, 1)
    assert seen_by_libvips(data) == 1


@pytest.mark.parametrize("name", [*FAULTS, "50_count_too_high.jpg"])
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
def test_known_files(name, suffix, shared_dir, tmp_path):
    source = shared_dir / "data" / "faults" / name
    picture = read_picture(source)
    write_picture(tmp_path / f"a{suffix}", picture)
    assert_stays((tmp_path / f"a{suffix}").read_bytes())
    with Image.open(source) as image:
        wanted = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    np.testing.assert_array_equal(picture.pixels, wanted)
    assert (probe_picture(source).height, probe_picture(source).width) == wanted.shape[:2]


@pytest.mark.thorough
@pytest.mark.parametrize("carrier", CARRIERS)
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(exif=exif_blocks(), suffix=st.sampled_from([".png", ".png", ".jpg", ".webp", ".tif"]))
def test_any_block_is_turned_once(carrier, exif, suffix, tmp_path):
    data = CARRIERS[carrier](IMAGE, exif)
    (tmp_path / "a").write_bytes(data)
    picture = read_picture(tmp_path / "a")
    write_picture(tmp_path / f"b{suffix}", picture, overwrite=True)
    assert_stays((tmp_path / f"b{suffix}").read_bytes())
    assert exif_orientation(picture.metadata.exif or b"") in (None, 1)
    shown = seen_by_pillow(data)
    if shown == seen_by_libvips(data):
        with Image.open(io.BytesIO(data)) as image:
            stored = np.asarray(image.convert("RGB"))
        np.testing.assert_array_equal(picture.pixels, upright(stored, shown))


@pytest.mark.parametrize("order", BOTH)
@pytest.mark.parametrize(
    ("kind", "count", "turned"),
    [
        *[(3, 1, 6), (3, 2, 6), (4, 1, 6), (6, 1, 6), (8, 1, 6), (9, 1, 6)],  # numbers
        *[(1, 1, 1), (7, 1, 1), (2, 2, 1)],  # bytes and text
        *[(3, 0, None), (0, 1, None), (13, 1, None), (14, 1, None), (3, 2**31, None)],  # no value
    ],
)
def test_types_and_counts(order, kind, count, turned):
    value = b"6\0" if kind == 2 else struct.pack(order + "H", 6)
    if kind in (1, 6, 7):
        value = b"\6"
    if kind in (4, 9):
        value = struct.pack(order + "I", 6)
    made = block(order, [entry(order, 0x0112, kind, count, value)])
    assert exif_orientation(made) == turned
    assert exif_orientation(upright_exif(made)) == 1
    assert struct.pack(f"{order}HHIHH", 0x0112, 3, 1, 1, 0) in upright_exif(made)


@pytest.mark.parametrize("order", BOTH)
def test_repeated_entries(order):
    rows = [orientation(order, value) for value in (6, 8, 3)]
    assert exif_orientation(block(order, rows)) == 6
    assert upright_exif(block(order, rows)) == block(order, [orientation(order, 1)] * 3)
    empty = orientation(order, 8, count=0)
    assert exif_orientation(block(order, [empty, *rows])) == 6  # what has no value does not count


@pytest.mark.parametrize("order", BOTH)
def test_other_directories_do_not_turn(order):
    """The thumbnail's own entry is its own; one in the EXIF directory says nothing and is reset."""
    behind = struct.pack(f"{order}H", 1) + orientation(order, 6) + bytes(4)
    second = block(order, [entry(order, 0x010F, 2, 2, b"M")], tail=struct.pack(f"{order}I", 26))
    assert exif_orientation(second + behind) is None
    pointer = entry(order, 0x8769, 4, 1, struct.pack(f"{order}I", 26))
    inner = block(order, [pointer]) + behind
    assert exif_orientation(inner) is None
    assert upright_exif(inner).endswith(orientation(order, 1) + bytes(4))


def test_values_outside_count_as_one():
    for value in (0, 9, 255, 65535):
        assert exif_orientation(block(">", [orientation(">", value)])) == 1
    assert exif_orientation(block("<", [orientation("<", -3, kind=8)])) == 1


def test_wrong_marks_that_others_read_are_mended():
    made = block(">", [orientation(">", 6)]).replace(b"MM\0*", b"MM\0+")
    assert upright_exif(made) == block(">", [orientation(">", 1)])
    made = block("<", [orientation("<", 6)]).replace(b"II*\0", b"II\0*")
    assert exif_orientation(made) == 6
    assert upright_exif(made) == block("<", [orientation("<", 1)])


@pytest.mark.parametrize("behind", [False, True])
def test_exif_before_and_behind_the_samples_of_png(behind, tmp_path):
    (tmp_path / "a.png").write_bytes(png(IMAGE, block(">", [orientation(">", 6)]), behind=behind))
    picture = read_picture(tmp_path / "a.png")
    assert picture.pixels.shape == (3, 2, 3)
    write_picture(tmp_path / "b.png", picture)
    assert_stays((tmp_path / "b.png").read_bytes())


@pytest.mark.parametrize("stray", [b"\0\0\0\0", b"x", b"\0\xff\0\xff\xff"])
def test_stray_bytes_before_the_segment_of_exif(stray, tmp_path):
    data = jpeg(IMAGE, block(">", [orientation(">", 6)]))
    data = data[:2] + b"\xff\xfe\0\x04hi" + stray + data[2:]
    (tmp_path / "a.jpg").write_bytes(data)
    assert seen_by_libvips(data) == 6
    picture = read_picture(tmp_path / "a.jpg")
    assert picture.pixels.shape == (3, 2, 3)
    write_picture(tmp_path / "b.png", picture)
    assert_stays((tmp_path / "b.png").read_bytes())


PACKETS = {
    "attribute": b'<rdf:Description tiff:Orientation="6"/>',
    "element": b"<tiff:Orientation>6</tiff:Orientation>",
    "spaced": b"<rdf:Description tiff:Orientation = '6' />",
    "typed": b'<tiff:Orientation rdf:datatype="x"> 6 </tiff:Orientation>',
    "prefix": b'<rdf:Description xmlns:t1="http://ns.adobe.com/tiff/1.0/" t1:Orientation="6"/>',
    "prefixed element": b"<a xmlns:q='http://ns.adobe.com/tiff/1.0/'><q:Orientation>6<",
}


@pytest.mark.parametrize("packet", PACKETS.values(), ids=PACKETS)
def test_forms_of_xmp(packet, tmp_path):
    assert xmp_orientation(packet) == 6
    made = upright_xmp(packet)
    assert made == packet.replace(b'"6"', b'"1"').replace(b"'6'", b"'1'").replace(
        b">6<", b">1<"
    ).replace(b"> 6 <", b"> 1 <")
    whole = b"http://ns.adobe.com/xap/1.0/\0" + b"<x:xmpmeta xmlns:x='adobe:ns:meta/'>" + packet
    segment = b"\xff\xe1" + struct.pack(">H", len(whole) + 2) + whole
    (tmp_path / "a.jpg").write_bytes(jpeg(IMAGE, b"Exif\0\0", segment))
    picture = read_picture(tmp_path / "a.jpg")
    assert picture.pixels.shape == (3, 2, 3)
    write_picture(tmp_path / "b.png", picture)
    assert_stays((tmp_path / "b.png").read_bytes())
    assert xmp_orientation(read_picture(tmp_path / "b.png").metadata.xmp) == 1


def test_what_only_looks_like_it_in_xmp():
    for packet in (
        b'<a mytiff:Orientation="6"/>',
        b'<a exif:Orientation="6"/>',
        b'tiff:Orientation="66"',
    ):
        assert xmp_orientation(packet) == 1
    assert upright_xmp(b'tiff:Orientation="66"') == b'tiff:Orientation="1"'
    assert upright_xmp(b'<a mytiff:Orientation="6"/>') == b'<a mytiff:Orientation="6"/>'


def plain_tiff(order: str, row: bytes) -> bytes:
    """Write a 3x2 RGB TIFF whose tag 274 is as given."""
    short = struct.Struct(f"{order}H").pack
    words = [(256, short(3)), (257, short(2)), (259, short(1)), (262, short(2))]
    rows = {tag: entry(order, tag, 3, 1, value) for tag, value in words}
    at = 8 + 2 + 12 * 10 + 4
    rows[258] = entry(order, 258, 3, 3, struct.pack(f"{order}I", at))
    rows[273] = entry(order, 273, 4, 1, struct.pack(f"{order}I", at + 6))
    rows |= {277: entry(order, 277, 3, 1, short(3)), 278: entry(order, 278, 3, 1, short(2))}
    rows |= {279: entry(order, 279, 3, 1, short(18)), 274: row}
    made = block(order, [rows[tag] for tag in sorted(rows)]).removeprefix(b"Exif\0\0")
    return made + struct.pack(f"{order}3H", 8, 8, 8) + np.asarray(IMAGE).tobytes()


@pytest.mark.parametrize("order", BOTH)
@pytest.mark.parametrize(("kind", "count"), [(3, 1), (4, 1), (9, 1), (8, 1), (3, 2)])
def test_tiff_tags(order, kind, count, tmp_path):
    data = plain_tiff(order, orientation(order, 8, kind, count))
    (tmp_path / "a.tif").write_bytes(data)
    picture = read_picture(tmp_path / "a.tif")
    with Image.open(io.BytesIO(data)) as image:
        np.testing.assert_array_equal(picture.pixels, np.asarray(ImageOps.exif_transpose(image)))
    for suffix in (".tif", ".png"):
        write_picture(tmp_path / f"b{suffix}", picture)
        assert_stays((tmp_path / f"b{suffix}").read_bytes())


@pytest.mark.thorough
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(exif=exif_blocks())
def test_any_block_goes_into_a_tiff(exif, tmp_path):
    picture = Picture(np.asarray(IMAGE), metadata=Metadata(exif=upright_exif(exif)))
    write_picture(tmp_path / "a.tif", picture, overwrite=True)
    np.testing.assert_array_equal(read_picture(tmp_path / "a.tif").pixels, picture.pixels)
    assert_stays((tmp_path / "a.tif").read_bytes())


def test_an_odd_artist_costs_nothing(shared_dir, tmp_path):
    picture = read_picture(shared_dir / "data" / "faults" / "51_artist_as_float.tif")
    assert write_picture(tmp_path / "a.tif", picture) == ()
    again = read_picture(tmp_path / "a.tif")
    assert again.metadata.exif == picture.metadata.exif is not None
    assert write_picture(tmp_path / "a.png", picture) == ()


def segment(exif: bytes) -> bytes:
    return b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif


SIX = block("<", [orientation("<", 6)])
ODD_PLACES = {
    "two in JPEG": (jpeg(IMAGE, SIX, segment(block(">", [orientation(">", 8)]))), True),
    "damaged before good in JPEG": (jpeg(IMAGE, b"Exif\0\0", segment(SIX)), None),
    "behind the samples of JPEG": (
        jpeg(IMAGE, b"Exif\0\0")[:-2] + segment(SIX) + b"\xff\xd9",
        False,
    ),
    "no EXIF in PNG": (png(IMAGE, b"damaged"), False),
    "not announced in WebP": (webp(IMAGE, SIX).replace(b"\n\0\0\0\x08", b"\n\0\0\0\0"), False),
    "empty before good in WebP": (
        webp(IMAGE, b"").replace(b"EXIF\0\0\0\0", b"EXIF\0\0\0\0EXIF\x1a\0\0\0" + SIX[6:32]),
        False,
    ),
    "no EXIF in WebP": (webp(IMAGE, b"damaged" + bytes(1)), False),
}


@pytest.mark.parametrize("name", ODD_PLACES)
def test_odd_places(name, tmp_path):
    """What other readers do not look at does not turn; a second block is not carried along."""
    data, turned = ODD_PLACES[name]
    (tmp_path / "a").write_bytes(data)
    picture = read_picture(tmp_path / "a")
    if turned is not None:
        assert (picture.pixels.shape == (3, 2, 3)) == turned
        assert (seen_by_pillow(data) == 6) == turned
    for suffix in (".png", ".jpg", ".webp"):
        write_picture(tmp_path / f"b{suffix}", picture)
        assert_stays((tmp_path / f"b{suffix}").read_bytes())


def test_the_good_block_behind_a_damaged_one(tmp_path):
    first = png(IMAGE, b"damaged")
    at = first.index(b"IDAT") - 4
    good = png(IMAGE, SIX)
    chunk = good[good.index(b"eXIf") - 4 : good.index(b"IDAT") - 4]
    (tmp_path / "a.png").write_bytes(first[:at] + chunk + first[at:])
    assert read_picture(tmp_path / "a.png").pixels.shape == (3, 2, 3)
    data = webp(IMAGE, SIX) + b"EXIF" + struct.pack("<I", len(SIX)) + SIX
    data = data[:4] + struct.pack("<I", len(data) - 8) + data[8:]
    (tmp_path / "a.webp").write_bytes(data)
    assert write_picture(tmp_path / "b.webp", read_picture(tmp_path / "a.webp")) == ("second EXIF",)


def test_errors_that_cannot_be_said(tmp_path, monkeypatch):
    """Libvips puts bytes of the file into its errors, and pyvips takes them for UTF-8."""
    (tmp_path / "a.png").write_bytes(png(IMAGE, SIX))

    def call(*_: object, **__: object) -> None:
        b"\x80".decode()

    monkeypatch.setattr(pyvips.Operation, "call", call)
    with pytest.raises(ImageError, match="PNG data are damaged"):
        read_picture(tmp_path / "a.png")
