"""Every lossless format gives back every sample; lossy ones come close."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from multiaxis.errors import ImageError, ShapeError
from multiaxis.images import FORMATS, Picture, probe_picture, read_picture, write_picture
from multiaxis.images.formats import Format

LOSSY = {"JPEG", "AVIF"}
CASES = [(row, depth) for row in FORMATS for depth in row.depths]
LOSSLESS = [(row, depth) for row, depth in CASES if row.name not in LOSSY]


def ids(value: object) -> str:
    return value.name if isinstance(value, Format) else str(value)


@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("kind", "depth"), LOSSLESS, ids=ids)
def test_lossless_formats_return_every_bit(kind, depth, channels, alpha, noise, tmp_path):
    picture = Picture(
        noise(37, 53, channels, depth=depth), noise(37, 53, depth=depth) if alpha else None
    )
    path = tmp_path / f"picture{kind.suffixes[0]}"
    assert write_picture(path, picture) == ()
    again = read_picture(path)
    wanted = picture.pixels if kind.grey else np.broadcast_to(picture.pixels, (37, 53, 3))
    np.testing.assert_array_equal(again.pixels, wanted)
    assert again.pixels.dtype == picture.pixels.dtype
    assert again.has_alpha == alpha
    if alpha:
        np.testing.assert_array_equal(again.alpha, picture.alpha)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", [row for row in FORMATS if row.name in LOSSY], ids=ids)
def test_lossy_formats_come_close(kind, channels, smooth, tmp_path):
    pixels = np.ascontiguousarray(smooth[..., :channels])
    path = tmp_path / f"picture{kind.suffixes[0]}"
    write_picture(path, Picture(pixels))
    again = read_picture(path).pixels
    assert again.shape[2] == (channels if kind.grey else 3)
    assert np.abs(again.astype(int) - pixels).mean() < 1.5


def test_avif_keeps_smooth_alpha(smooth, tmp_path):
    write_picture(tmp_path / "a.avif", Picture(smooth, smooth[..., 0].copy()))
    again = read_picture(tmp_path / "a.avif")
    assert np.abs(again.alpha.astype(int) - smooth[..., 0]).max() <= 3


@pytest.mark.parametrize(("kind", "depth"), CASES, ids=ids)
def test_probe_agrees_with_the_picture(kind, depth, noise, tmp_path):
    path = tmp_path / f"picture{kind.suffixes[0]}"
    samples = noise(20, 30, 3, depth=depth)
    write_picture(path, Picture(np.clip(samples, 0, 1) if depth == "float32" else samples))
    probe, picture = probe_picture(path), read_picture(path)
    assert (probe.width, probe.height, probe.bands) == (30, 20, 3)
    assert (probe.depth, probe.alpha, probe.format) == (picture.depth, False, kind.name)


@pytest.mark.parametrize(
    ("name", "depth", "alpha", "fitting"),
    [
        ("a.jpg", "uint8", True, ".png or .tif or .webp or .avif"),
        ("a.jpg", "uint16", False, ".png or .tif"),
        ("a.webp", "uint16", False, ".png or .tif"),
        ("a.avif", "uint16", True, ".png or .tif"),
        ("a.png", "float32", False, ".tif"),
    ],
)
def test_what_does_not_fit_is_refused(name, depth, alpha, fitting, noise, tmp_path):
    picture = Picture(noise(8, 8, 3, depth=depth), noise(8, 8, depth=depth) if alpha else None)
    with pytest.raises(ImageError, match=rf"cannot hold {depth}.*; use {fitting}$"):
        write_picture(tmp_path / name, picture)
    assert not list(tmp_path.iterdir())


def test_sides_that_are_too_long_are_refused(tmp_path):
    picture = Picture(np.zeros((1, 16_384, 3), np.uint8))
    with pytest.raises(ImageError, match=r"exceed the 16383 .* use .png or .jpg or .tif or .avif$"):
        write_picture(tmp_path / "long.webp", picture)
    write_picture(tmp_path / "long.jpg", picture)


@pytest.mark.parametrize("kind", [row for row in FORMATS if row.depths], ids=ids)
def test_the_stated_longest_side_can_be_written(kind, tmp_path):
    side = min(kind.max_side, 100_000)
    path = tmp_path / f"long{kind.suffixes[0]}"
    write_picture(path, Picture(np.zeros((16, side, 1), np.uint8)))
    assert read_picture(path).width == side


@pytest.mark.parametrize("name", ["грай фото.png", "写真.tif", "naïve ☂.webp", "a b%20c#1.jpg"])
def test_any_name_will_do(name, smooth, tmp_path):
    folder = tmp_path / "ümlaut"
    folder.mkdir()
    write_picture(folder / name, Picture(smooth))
    assert read_picture(str(folder / name)).pixels.shape == smooth.shape
    assert [path.name for path in folder.iterdir()] == [name]


def test_content_decides_not_the_suffix(smooth, encode, tmp_path):
    path = tmp_path / "really_png.jpg"
    path.write_bytes(encode(Image.fromarray(smooth), "PNG"))
    np.testing.assert_array_equal(read_picture(path).pixels, smooth)


def test_a_file_rewritten_meanwhile_is_read_anew(smooth, tmp_path):
    path = tmp_path / "a.png"
    write_picture(path, Picture(smooth))
    read_picture(path)
    write_picture(path, Picture(255 - smooth), overwrite=True)
    np.testing.assert_array_equal(read_picture(path).pixels, 255 - smooth)


def convert(smooth, mode):
    return Image.fromarray(smooth).convert(mode)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_one_bit_becomes_grey(kind, smooth, encode, tmp_path):
    image = convert(smooth, "1")
    (tmp_path / "bits").write_bytes(encode(image, kind))
    picture = read_picture(tmp_path / "bits")
    np.testing.assert_array_equal(picture.pixels[..., 0], np.asarray(image) * np.uint8(255))


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_palettes_become_rgb(kind, smooth, encode, tmp_path):
    image = convert(smooth, "P")
    (tmp_path / "palette").write_bytes(encode(image, kind))
    picture = read_picture(tmp_path / "palette")
    np.testing.assert_array_equal(picture.pixels, np.asarray(image.convert("RGB")))
    assert picture.alpha is None


@pytest.mark.parametrize(
    ("mode", "key", "full"), [("P", 3, "RGBA"), ("L", 70, "LA"), ("RGB", (5, 7, 250), "RGBA")]
)
def test_colour_keys_become_alpha(mode, key, full, smooth, encode, tmp_path):
    data = encode(convert(smooth, mode), "PNG", transparency=key)
    (tmp_path / "key.png").write_bytes(data)
    picture = read_picture(tmp_path / "key.png")
    image = Image.open(tmp_path / "key.png").convert(full)
    np.testing.assert_array_equal(np.dstack([picture.pixels, picture.alpha]), np.asarray(image))


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bit_grey_agrees_with_pillow(kind, noise, encode, tmp_path):
    levels = noise(9, 13, depth="uint16") // 256  # dark: depth must not be guessed from values
    (tmp_path / "deep").write_bytes(encode(Image.fromarray(levels), kind))
    picture = read_picture(tmp_path / "deep")
    assert picture.depth == "uint16"
    np.testing.assert_array_equal(picture.pixels[..., 0], levels)


def test_real_photographs(shared_dir, tmp_path):
    for name in ("derain/Rain100L/input/1.webp", "photos/bsds500/100075.jpg"):
        path = shared_dir / "data" / name
        picture = read_picture(path)
        with Image.open(path) as image:
            np.testing.assert_array_equal(picture.pixels, np.asarray(image.convert("RGB")))
        copy = tmp_path / f"{Path(name).stem}.tif"
        write_picture(copy, picture)
        np.testing.assert_array_equal(read_picture(copy).pixels, picture.pixels)


@pytest.mark.parametrize(
    ("pixels", "alpha"),
    [
        (np.zeros((4, 4), np.uint8), None),
        (np.zeros((4, 4, 4), np.uint8), None),
        (np.zeros((0, 4, 3), np.uint8), None),
        (np.zeros((4, 4, 3), np.float64), None),
        (np.zeros((4, 4, 3), np.uint8), np.zeros((4, 5), np.uint8)),
        (np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4), np.uint16)),
    ],
)
def test_pictures_check_themselves(pixels, alpha):
    with pytest.raises(ShapeError, match="wanted"):
        Picture(pixels, alpha)


def test_new_pixels_keep_size_and_depth(smooth):
    picture = Picture(smooth, smooth[..., 0].copy())
    assert picture.with_pixels(255 - smooth).alpha is picture.alpha
    assert repr(picture) == "Picture(48x32 RGBA uint8, Metadata(resolution=None))"
    for other in (smooth[1:], smooth.astype(np.uint16)):
        with pytest.raises(ShapeError, match="must stay"):
            picture.with_pixels(other)
