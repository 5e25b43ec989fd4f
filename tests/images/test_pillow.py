"""Pillow images come in upright and go out in a mode of the same family."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from multiaxis.errors import ImageError
from multiaxis.images import Picture, from_pillow, to_pillow


@pytest.mark.parametrize(
    ("mode", "back"),
    [("1", "L"), ("L", "L"), ("LA", "LA"), ("P", "RGB"), ("RGB", "RGB"), ("RGBA", "RGBA")],
)
def test_there_and_back(mode, back, smooth):
    samples = np.dstack([smooth, smooth[..., 0]]) if mode in ("LA", "RGBA") else smooth
    image = Image.fromarray(samples).convert(mode)
    result = to_pillow(from_pillow(image), image)
    assert result.mode == back
    assert result.tobytes() == image.convert(back).tobytes()


@pytest.mark.parametrize(("mode", "key"), [("P", 3), ("L", 70), ("RGB", (5, 7, 250))])
def test_colour_keys_become_alpha(mode, key, smooth, encode):
    image = Image.open(
        io.BytesIO(encode(Image.fromarray(smooth).convert(mode), "PNG", transparency=key))
    )
    picture = from_pillow(image)
    wanted = np.asarray(image.convert("RGBA"))
    np.testing.assert_array_equal(picture.alpha, wanted[..., 3])
    result = to_pillow(picture, image)
    assert result.mode == ("LA" if mode == "L" else "RGBA")
    assert "transparency" not in result.info


@pytest.mark.parametrize("mode", ["I;16", "I;16B"])
def test_sixteen_bit_grey(mode, noise):
    levels = noise(5, 7, depth="uint16")
    order = ">u2" if mode.endswith("B") else "<u2"
    image = Image.frombytes(mode, (7, 5), levels.astype(order).tobytes())
    picture = from_pillow(image)
    assert picture.depth == "uint16"
    np.testing.assert_array_equal(picture.pixels[..., 0], levels)
    np.testing.assert_array_equal(np.asarray(to_pillow(picture, image)), levels)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "TIFF", "PNG"])
def test_orientation_is_applied_once(kind, orientation, smooth, encode):
    exif = Image.Exif()
    exif[0x0112], exif[0x0132] = orientation, "2020:02:03 04:05:06"
    image = Image.open(io.BytesIO(encode(Image.fromarray(smooth), kind, exif=exif)))
    picture = from_pillow(image)
    np.testing.assert_array_equal(picture.pixels, np.asarray(ImageOps.exif_transpose(image)))
    result = to_pillow(picture, image)
    assert result.size == (picture.width, picture.height)
    assert result.getexif().get(0x0112, 1) == 1
    again = Image.open(io.BytesIO(encode(result, "PNG", exif=result.getexif())))
    assert ImageOps.exif_transpose(again).size == result.size
    if kind != "TIFF":
        assert again.getexif()[0x0132] == "2020:02:03 04:05:06"


def test_profile_and_density_are_kept(smooth, encode):
    profile = b"\0" * 16 + b"RGB " + b"\0" * 108
    data = encode(Image.fromarray(smooth), "PNG", icc_profile=profile, dpi=(254, 254))
    image = Image.open(io.BytesIO(data))
    result = to_pillow(from_pillow(image), image)
    assert result.info["icc_profile"] == profile
    assert result.info["dpi"] == image.info["dpi"]


def test_a_grey_source_gets_a_grey_result(smooth):
    source = Image.fromarray(smooth).convert("L")
    assert to_pillow(Picture(smooth), source).mode == "L"
    assert to_pillow(Picture(smooth)).mode == "RGB"


@pytest.mark.parametrize("mode", ["CMYK", "LAB", "YCbCr", "HSV", "I", "F"])
def test_other_modes_are_refused(mode):
    with pytest.raises(ImageError, match=rf"mode {mode}: accepted are 1, L, LA"):
        from_pillow(Image.new(mode, (4, 4)))


@pytest.mark.parametrize(("depth", "channels"), [("uint16", 3), ("float32", 1), ("float32", 3)])
def test_depths_that_pillow_lacks(depth, channels, noise):
    with pytest.raises(ImageError, match=f"cannot hold {depth}"):
        to_pillow(Picture(noise(4, 4, channels, depth=depth)))


def test_sixteen_bit_grey_with_alpha(noise):
    levels = noise(4, 4, depth="uint16")
    with pytest.raises(ImageError, match="with alpha"):
        to_pillow(Picture(levels[..., None], levels))
