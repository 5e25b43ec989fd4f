"""Profile, date, place and the like travel along; what cannot is reported."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageCms

from multiaxis.errors import ImageError
from multiaxis.images import Metadata, Picture, read_picture, write_picture
from multiaxis.images.orient import upright_exif

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
GREY = SRGB[:16] + b"GRAY" + SRGB[20:]
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"></x:xmpmeta>'
RECORD = b"\x1c\x02\x05\x00\x05title"
IPTC = b"Photoshop 3.0\0" + b"8BIM\x04\x04\0\0" + struct.pack(">I", len(RECORD)) + RECORD
HOLDS = {
    ".png": {"icc", "exif", "xmp", "resolution"},
    ".jpg": {"icc", "exif", "xmp", "iptc", "resolution"},
    ".tif": {"icc", "exif", "xmp", "iptc", "resolution"},
    ".webp": {"icc", "exif", "xmp", "resolution"},  # resolution inside EXIF
    ".avif": {"icc", "exif", "xmp", "resolution"},
}


@pytest.fixture
def photo(smooth, encode, tmp_path) -> Picture:
    """A photograph with everything a camera and an editor leave in it."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Maker"
    exif[0x8769] = {0x9003: "2019:08:07 06:05:04", 0xA434: "Lens 50mm", 0x927C: b"NOTE\0\1\2"}
    exif[0x8825] = {1: "N", 2: (48.0, 8.0, 30.5), 3: "E", 4: (11.0, 34.0, 0.0)}
    image = Image.fromarray(smooth)
    data = encode(image, "JPEG", exif=exif, icc_profile=SRGB, xmp=XMP, dpi=(300, 300))
    segment = b"\xff\xed" + struct.pack(">H", len(IPTC) + 2) + IPTC
    (tmp_path / "photo.jpg").write_bytes(data[:2] + segment + data[2:])
    return read_picture(tmp_path / "photo.jpg")


def test_everything_is_read(photo):
    found = photo.metadata
    assert (found.icc, found.xmp, found.iptc) == (SRGB, XMP, IPTC)
    assert found.resolution == pytest.approx((300 / 25.4, 300 / 25.4), rel=1e-3)


@pytest.mark.parametrize("suffix", HOLDS)
def test_written_and_read_back(suffix, photo, tmp_path):
    path = tmp_path / f"copy{suffix}"
    lost = write_picture(path, photo)
    again = read_picture(path).metadata
    names = {"icc", "exif", "xmp", "iptc", "resolution"}
    assert set(lost) == names - HOLDS[suffix]
    for name in HOLDS[suffix] - {"exif", "resolution"}:
        assert getattr(again, name) == getattr(photo.metadata, name)
    assert again.resolution == pytest.approx(photo.metadata.resolution, rel=1e-3)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".avif"])
def test_date_place_and_maker_note_are_kept(suffix, photo, tmp_path):
    write_picture(tmp_path / f"copy{suffix}", photo)
    with Image.open(tmp_path / f"copy{suffix}") as image:
        exif = image.getexif()
        inner, place = exif.get_ifd(0x8769), exif.get_ifd(0x8825)
    assert (exif[0x010F], exif.get(0x0112, 1)) == ("Maker", 1)
    assert inner[0x9003] == "2019:08:07 06:05:04"
    assert inner[0xA434] == "Lens 50mm"
    assert inner[0x927C] == b"NOTE\0\1\2"
    assert (inner[0xA002], inner[0xA003]) == (32, 48)  # upright
    assert [float(part) for part in place[2]] == [48.0, 8.0, 30.5]


def test_exif_of_tiff_is_read_and_written(smooth, encode, tmp_path):
    exif = Image.Exif()
    exif[0x0112], exif[0x0110], exif[0x8769] = 6, "Model", {0x9003: "2019:08:07 06:05:04"}
    data = encode(Image.fromarray(smooth), "TIFF", exif=exif.tobytes())
    (tmp_path / "a.tif").write_bytes(data)
    picture = read_picture(tmp_path / "a.tif")
    assert picture.pixels.shape == (48, 32, 3)
    assert write_picture(tmp_path / "b.tif", picture) == ()
    assert read_picture(tmp_path / "b.tif").metadata.exif == picture.metadata.exif
    assert write_picture(tmp_path / "b.png", picture) == ()
    with Image.open(tmp_path / "b.png") as image:
        found = image.getexif()
        assert (found[0x0110], found.get(0x0112, 1)) == ("Model", 1)
        assert found.get_ifd(0x8769)[0x9003] == "2019:08:07 06:05:04"


@pytest.mark.parametrize("suffix", HOLDS)
def test_nothing_is_made_up(suffix, smooth, tmp_path):
    write_picture(tmp_path / f"a{suffix}", Picture(smooth))
    assert read_picture(tmp_path / f"a{suffix}").metadata == Metadata()


@pytest.mark.parametrize("suffix", HOLDS)
def test_damaged_exif_does_not_stop_a_picture(suffix, smooth, tmp_path):
    for exif in (b"Exif\0\0", b"garbage", b"Exif\0\0II*\0\xff\xff\xff\xff"):
        picture = Picture(smooth, metadata=Metadata(exif=exif))
        write_picture(tmp_path / f"a{suffix}", picture, overwrite=True)
        assert read_picture(tmp_path / f"a{suffix}").pixels.shape == smooth.shape


@pytest.mark.parametrize("order", ["<", ">"])
def test_the_thumbnail_goes_and_the_rest_stays(order):
    mark = b"II*\0" if order == "<" else b"MM\0*"
    entry = struct.pack(f"{order}HHIHH", 0x0112, 3, 1, 8, 0)
    head = b"Exif\0\0" + mark + struct.pack(f"{order}IH", 8, 1)
    patched = upright_exif(head + entry + struct.pack(f"{order}I", 26) + b"thumbnail")
    upright = struct.pack(f"{order}HHIHH", 0x0112, 3, 1, 1, 0)
    assert patched == head + upright + bytes(4) + b"thumbnail"


@pytest.mark.parametrize("suffix", [".webp", ".avif"])
def test_grey_profiles_are_not_dropped_silently(suffix, smooth, tmp_path):
    picture = Picture(smooth[..., :1].copy(), metadata=Metadata(icc=GREY))
    with pytest.raises(ImageError, match=r"grey colour profile; use .png or .jpg or .tif$"):
        write_picture(tmp_path / f"a{suffix}", picture)


def test_a_profile_of_other_channels_is_reported(smooth, tmp_path):
    picture = Picture(smooth[..., :1].copy(), metadata=Metadata(icc=SRGB))
    assert write_picture(tmp_path / "a.png", picture) == ("icc",)


def test_sixteen_bit_colour_keeps_its_profile(noise, tmp_path):
    picture = Picture(noise(9, 9, 3, depth="uint16"), metadata=Metadata(icc=SRGB))
    for suffix in (".png", ".tif"):
        assert write_picture(tmp_path / f"a{suffix}", picture) == ()
        again = read_picture(tmp_path / f"a{suffix}")
        assert again.metadata.icc == SRGB
        np.testing.assert_array_equal(again.pixels, picture.pixels)


def test_pillow_finds_the_profile(photo, tmp_path):
    for suffix in HOLDS:
        write_picture(tmp_path / f"b{suffix}", photo)
        with Image.open(io.BytesIO((tmp_path / f"b{suffix}").read_bytes())) as image:
            assert image.info["icc_profile"] == SRGB


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])  # Pillow parses it for AVIF
def test_damaged_exif_is_read_without_a_word(kind, smooth, encode, tmp_path):
    beyond = b"Exif\0\0MM\0*" + bytes.fromhex("00000008 0001 011a 0005 00000001 0000ffff 00000000")
    (tmp_path / "a").write_bytes(encode(Image.fromarray(smooth), kind, exif=beyond))
    assert read_picture(tmp_path / "a").metadata.resolution is None
