"""HEIC and camera raw: read with optional packages, written as something else."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from PIL import Image

from multiaxis.errors import ImageError, MissingExtraError
from multiaxis.images import Picture, probe_picture, read_picture, write_picture, written_suffix

tifffile = pytest.importorskip("tifffile")


def heic(path, pixels, **options):
    pillow_heif = pytest.importorskip("pillow_heif")
    mode = {("uint8", 3): "RGB", ("uint16", 3): "RGB;16", ("uint8", 4): "RGBA"}
    file = pillow_heif.from_bytes(
        mode[pixels.dtype.name, pixels.shape[2]], pixels.shape[1::-1], pixels.tobytes()
    )
    file.save(path, quality=-1, chroma=444, matrix_coefficients=0, **options)


def dng(path, mosaic, **options):
    """A minimal camera file: one Bayer mosaic of 16 bits."""
    tags = [
        (50706, 1, 4, bytes([1, 4, 0, 0]), True),  # version
        (50708, 2, 0, "Test", True),  # camera
        (33421, 3, 2, (2, 2), True),  # mosaic's period
        (33422, 1, 4, bytes([0, 1, 1, 2]), True),  # red, green, green, blue
        (50714, 3, 1, 0, True),  # black
        (50717, 4, 1, 65535, True),  # white
        (50721, 10, 9, (1, 1, 0, 1, 0, 1, 0, 1, 1, 1, 0, 1, 0, 1, 0, 1, 1, 1), True),
        (50728, 5, 3, (1, 1, 1, 1, 1, 1), True),  # neutral
        (50778, 3, 1, 21, True),
        (271, 2, 0, "Maker", True),
    ]
    tifffile.imwrite(path, mosaic, photometric=32803, extratags=tags, metadata=None, **options)


@pytest.mark.parametrize(("depth", "bands"), [("uint8", 3), ("uint16", 3), ("uint8", 4)])
def test_heic(depth, bands, noise, tmp_path):
    pixels = noise(64, 80, bands, depth=depth)
    if depth == "uint16":
        pixels = (pixels >> 6) << 6  # HEIC holds 10 of them
    heic(tmp_path / "a.heic", pixels, exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0")
    probe, picture = probe_picture(tmp_path / "a.heic"), read_picture(tmp_path / "a.heic")
    assert (probe.width, probe.height, probe.depth, probe.format) == (80, 64, depth, "HEIC")
    assert picture.has_alpha == (bands == 4) == probe.alpha
    # Lossless but for the ten bits' other spelling in sixteen.
    step = 64 if depth == "uint16" else 1
    assert np.abs(picture.pixels.astype(int) - pixels[..., :3]).max() <= step
    with pytest.raises(ImageError, match=r"HEIC files are only read; use \.png"):
        write_picture(tmp_path / "b.heic", Picture(noise(4, 4, 3)))


@pytest.mark.parametrize("seed", range(40))
def test_damaged_heic_is_read_or_refused(seed, noise, tmp_path):
    heic(tmp_path / "a.heic", noise(64, 64, 3))
    data = bytearray((tmp_path / "a.heic").read_bytes())
    rng = np.random.default_rng(seed)
    for at in rng.integers(0, 400, 6):
        data[at] = rng.integers(256)
    (tmp_path / "a.heic").write_bytes(data)
    try:
        assert read_picture(tmp_path / "a.heic").pixels.size
    except ImageError as error:
        assert "\n" not in str(error)  # noqa: PT017 (either is right)


def test_raw(tmp_path):
    pytest.importorskip("rawpy")
    mosaic = np.full((96, 128), 20000, np.uint16)
    mosaic[:, 64:] = 40000
    dng(tmp_path / "a.dng", mosaic)
    probe, picture = probe_picture(tmp_path / "a.dng"), read_picture(tmp_path / "a.dng")
    assert (probe.width, probe.height) == (picture.width, picture.height)
    assert (picture.depth, probe.format) == ("uint16", "camera raw")
    left, right = picture.pixels[20:-20, 10:50].mean(), picture.pixels[20:-20, 80:-10].mean()
    assert right > 1.2 * left
    assert b"Maker" in (picture.metadata.exif or b"")
    (tmp_path / "cut.dng").write_bytes((tmp_path / "a.dng").read_bytes()[:300])
    with pytest.raises(ImageError, match="damaged"):
        read_picture(tmp_path / "cut.dng")


@pytest.mark.parametrize(("name", "package"), [("a.nef", "rawpy"), ("a.heic", "pillow_heif")])
def test_the_missing_package_is_named(name, package, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    (tmp_path / name).write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    with pytest.raises(MissingExtraError, match=r"pip install 'multiaxis\["):
        read_picture(tmp_path / name)


def test_what_they_are_written_as(tmp_path):
    assert [written_suffix(tmp_path / name) for name in ("a.HEIC", "a.cr2", "a.png", "a")] == [
        ".png",
        ".tif",
        ".png",
        "",
    ]


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("depth", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_tiff_of_another_library(compression, depth, channels, noise, tmp_path):
    samples = noise(24, 36, channels, depth=depth)
    extra = {"extrasamples": ["unassalpha"]} if channels == 4 else {}
    tifffile.imwrite(
        tmp_path / "a.tif",
        samples[..., 0] if channels == 1 else samples,
        photometric="minisblack" if channels == 1 else "rgb",
        compression=compression,
        **extra,
    )
    picture = read_picture(tmp_path / "a.tif")
    np.testing.assert_array_equal(picture.pixels, samples[..., :3])
    assert picture.has_alpha == (channels == 4)
    write_picture(tmp_path / "b.tif", picture)
    if not (depth == "float32" and channels == 4):  # tifffile wants another package for that
        with tifffile.TiffFile(tmp_path / "b.tif") as file:
            assert file.pages[0].dtype == samples.dtype
            assert file.pages[0].shape[:2] == samples.shape[:2]


def test_exif_in_tiff_is_read_by_pillow(noise, tmp_path, encode):
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "Maker", "Mod"  # a text behind the table, and one inside it
    exif[0x8769] = {0x9003: "2019:08:07 06:05:04", 0x829A: (1, 250), 0x8827: 400}
    exif[0x8825] = {1: "N", 2: (48.0, 8.0, 30.5)}
    (tmp_path / "a.jpg").write_bytes(encode(Image.fromarray(noise(9, 7, 3)), "JPEG", exif=exif))
    picture = read_picture(tmp_path / "a.jpg")
    assert write_picture(tmp_path / "b.tif", picture) == ()
    with Image.open(tmp_path / "b.tif") as image:
        image.load()
        found = image.getexif()
        assert (found[0x010F], found[0x0110]) == ("Maker", "Mod")
        assert found.get_ifd(0x8769)[0x9003] == "2019:08:07 06:05:04"
        assert found.get_ifd(0x8825)[1] == "N"
    np.testing.assert_array_equal(read_picture(tmp_path / "b.tif").pixels, picture.pixels)
