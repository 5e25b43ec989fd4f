"""Pixels are turned once, whoever wrote the file, and nobody turns them again."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from multiaxis.images import probe_picture, read_picture, write_picture

KINDS = ["JPEG", "PNG", "TIFF", "WEBP", "AVIF"]


def tagged(image: Image.Image, orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x0132] = "2020:02:03 04:05:06"
    return exif


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", KINDS)
def test_agrees_with_pillow(kind, orientation, smooth, encode, tmp_path):
    image = Image.fromarray(smooth)
    exact = {"quality": 100} if kind in ("JPEG", "AVIF") else {}
    if kind == "WEBP":
        exact = {"lossless": True}
    path = tmp_path / "turned"
    path.write_bytes(encode(image, kind, exif=tagged(image, orientation), **exact))
    picture = read_picture(path)
    with Image.open(path) as stored:
        wanted = np.asarray(ImageOps.exif_transpose(stored)).astype(int)
    assert picture.pixels.shape == wanted.shape
    tolerance = 8 if kind == "AVIF" else 0  # two AV1 decoders and their colour conversion
    assert np.abs(picture.pixels - wanted).max() <= tolerance
    probe = probe_picture(path)
    assert (probe.height, probe.width) == picture.pixels.shape[:2]


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp", ".avif"])
@pytest.mark.parametrize("source", ["JPEG", "WEBP", "AVIF"])
def test_written_files_are_not_turned_again(source, suffix, smooth, encode, tmp_path):
    image = Image.fromarray(smooth)
    (tmp_path / "source").write_bytes(encode(image, source, exif=tagged(image, 6)))
    picture = read_picture(tmp_path / "source")
    path = tmp_path / f"copy{suffix}"
    write_picture(path, picture)
    with Image.open(path) as stored:
        assert stored.getexif().get(0x0112, 1) == 1
        assert ImageOps.exif_transpose(stored).size == (32, 48)
    assert read_picture(path).pixels.shape == (48, 32, 3)


def test_alpha_turns_along(smooth, encode, tmp_path):
    image = Image.fromarray(np.dstack([smooth, smooth[..., 1]]))
    (tmp_path / "a.png").write_bytes(encode(image, "PNG", exif=tagged(image, 7)))
    picture = read_picture(tmp_path / "a.png")
    np.testing.assert_array_equal(picture.alpha, picture.pixels[..., 1])


def test_orientation_in_xmp_only(smooth, encode, tmp_path):
    packet = (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="8"/></x:xmpmeta>'
    )
    (tmp_path / "a.jpg").write_bytes(encode(Image.fromarray(smooth), "JPEG", xmp=packet))
    picture = read_picture(tmp_path / "a.jpg")
    with Image.open(tmp_path / "a.jpg") as stored:
        wanted = ImageOps.exif_transpose(stored)
    np.testing.assert_array_equal(picture.pixels, np.asarray(wanted))
    assert b'tiff:Orientation="1"' in picture.metadata.xmp


def test_exif_goes_before_xmp(smooth, encode, tmp_path):
    packet = (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="8"/></x:xmpmeta>'
    )
    image = Image.fromarray(smooth)
    data = encode(image, "JPEG", xmp=packet, exif=tagged(image, 1))
    (tmp_path / "a.jpg").write_bytes(data)
    picture = read_picture(tmp_path / "a.jpg")
    assert picture.pixels.shape == (32, 48, 3)
    assert b'tiff:Orientation="1"' in picture.metadata.xmp


def test_resolution_turns_along(smooth, encode, tmp_path):
    image = Image.fromarray(smooth)
    (tmp_path / "a.jpg").write_bytes(encode(image, "JPEG", exif=tagged(image, 6), dpi=(254, 508)))
    assert read_picture(tmp_path / "a.jpg").metadata.resolution == pytest.approx((20, 10))


def test_pillow_reads_what_we_write_upright(smooth, tmp_path, encode):
    image = Image.fromarray(smooth)
    (tmp_path / "a.jpg").write_bytes(encode(image, "JPEG", exif=tagged(image, 3), quality=100))
    write_picture(tmp_path / "b.png", read_picture(tmp_path / "a.jpg"))
    with Image.open(io.BytesIO((tmp_path / "b.png").read_bytes())) as stored:
        turned = np.asarray(ImageOps.exif_transpose(stored)).astype(int)
    assert np.abs(turned - smooth[::-1, ::-1]).mean() < 3
