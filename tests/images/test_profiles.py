"""Profiles that are odd: too long, damaged, for other samples, of grey, of floats."""

from __future__ import annotations

import io
import warnings

import numpy as np
import pytest
from PIL import Image, ImageCms

from multiaxis.images import (
    Metadata,
    Picture,
    as_file_has_it,
    from_pillow,
    read_picture,
    seen_by_model,
    side_by_side,
    to_pillow,
    write_picture,
)
from multiaxis.images.profile import grey_as_rgb, make_profile, profile_space, trim_profile
from multiaxis.images.space import Colour

tifffile = pytest.importorskip("tifffile")

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
LINEAR = Colour(gamma=1.0)
WIDE = Colour(cicp=(9, 8, 0, 1))
LAB = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
INKS = SRGB[:16] + b"CMYK" + SRGB[20:]


def encoded(light: np.ndarray) -> np.ndarray:
    return np.where(
        light <= 0.0031308, 12.92 * light, 1.055 * np.maximum(light, 1e-9) ** (1 / 2.4) - 0.055
    )


@pytest.mark.parametrize("kind", ["JPEG", "TIFF", "WEBP"])
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp", ".avif"])
def test_a_profile_with_bytes_too_many_is_cut(kind, suffix, smooth, encode, tmp_path):
    (tmp_path / "a").write_bytes(encode(Image.fromarray(smooth), kind, icc_profile=SRGB + b"more"))
    picture = read_picture(tmp_path / "a")
    assert picture.metadata.icc == SRGB
    assert write_picture(tmp_path / f"b{suffix}", picture) == ()
    assert read_picture(tmp_path / f"b{suffix}").metadata.icc == SRGB


@pytest.mark.parametrize(
    ("icc", "said"),
    [
        (b"damaged" * 40, "is damaged"),
        (SRGB[:200], "is damaged|is for RGB samples"),
        (INKS, "is for CMYK samples"),
        (make_profile(LINEAR, grey=True), "is for GRAY samples"),
        (LAB, "is for Lab samples"),
    ],
)
def test_an_unusable_profile_is_told_and_kept_or_reported(icc, said, smooth, encode, tmp_path):
    (tmp_path / "a.jpg").write_bytes(encode(Image.fromarray(smooth), "JPEG", icc_profile=icc))
    with pytest.warns(RuntimeWarning, match=said):
        picture = read_picture(tmp_path / "a.jpg")
    np.testing.assert_array_equal(seen_by_model(picture), picture.pixels / np.float32(255))
    for suffix in (".jpg", ".webp", ".tif", ".png"):
        lost = write_picture(tmp_path / f"b{suffix}", picture)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            written = read_picture(tmp_path / f"b{suffix}")
        assert lost == (() if written.metadata.icc == icc else ("icc",))
    np.testing.assert_array_equal(written.pixels, picture.pixels)


@pytest.mark.parametrize("depth", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("icc", [make_profile(LINEAR, grey=True), make_profile(LINEAR)])
def test_grey_is_seen_through_its_profile(depth, icc, noise):
    grey = noise(20, 30, 1, depth=depth if depth != "float32" else "uint16")
    grey = grey if depth != "float32" else (grey / 65535).astype(np.float32)
    picture = Picture(grey, metadata=Metadata(icc=icc))
    seen = seen_by_model(picture)
    unit = grey if depth == "float32" else grey / np.iinfo(depth).max
    assert np.abs(seen - encoded(unit)).max() < 1 / 255
    np.testing.assert_array_equal(as_file_has_it(picture, seen).pixels, grey)
    brighter = as_file_has_it(picture, np.clip(seen + 0.1, 0, 1)).pixels
    level = 1 if depth == "float32" else np.iinfo(depth).max
    assert np.abs(encoded(brighter / level) - np.clip(seen + 0.1, 0, 1)).max() < 6 / 255


def test_grey_profiles_of_others(noise):
    """A dot gain's curve is a table; littleCMS has no maker of one, so a gamma is rewritten."""
    icc = make_profile(Colour(gamma=1 / 1.8), grey=True)
    assert profile_space(grey_as_rgb(icc)) == "RGB"
    grey = noise(40, 40, depth="uint8")
    there = ImageCms.profileToProfile(
        Image.fromarray(grey),
        ImageCms.ImageCmsProfile(io.BytesIO(icc)),
        ImageCms.createProfile("sRGB"),
        outputMode="RGB",
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
    )
    seen = seen_by_model(Picture(grey[..., None], metadata=Metadata(icc=icc))) * 255
    light = grey > 20  # below, littleCMS' own tables are coarse
    assert np.abs(seen[..., 0] - np.asarray(there)[..., 1])[light].max() < 1.5
    assert grey_as_rgb(SRGB) is None
    assert grey_as_rgb(b"") is None


def test_floats_are_seen_through_their_profile(tmp_path):
    floats = np.random.default_rng(0).random((12, 9, 3)).astype(np.float32)
    tifffile.imwrite(tmp_path / "a.tif", floats, photometric="rgb", iccprofile=make_profile(LINEAR))
    picture = read_picture(tmp_path / "a.tif")
    seen = seen_by_model(picture)
    assert np.abs(seen - encoded(floats)).max() < 1 / 255
    np.testing.assert_array_equal(as_file_has_it(picture, seen).pixels, floats)
    plain = Picture(floats)
    np.testing.assert_array_equal(seen_by_model(plain), floats)


def test_a_profile_of_rgb_on_grey_is_reported_by_png(encode, smooth, tmp_path):
    image = Image.fromarray(smooth).convert("L")
    (tmp_path / "a.jpg").write_bytes(encode(image, "JPEG", icc_profile=SRGB))
    picture = read_picture(tmp_path / "a.jpg")
    assert write_picture(tmp_path / "b.png", picture) == ("icc",)
    np.testing.assert_array_equal(read_picture(tmp_path / "b.png").pixels, picture.pixels)


@pytest.mark.parametrize("seed", range(60))
def test_a_damaged_profile_never_stops_a_picture(seed, smooth):
    rng = np.random.default_rng(seed)
    icc = bytearray(make_profile(WIDE, grey=seed % 2 == 0))
    for at in rng.integers(0, len(icc), 1 + seed % 5):
        icc[at] = rng.integers(256)
    pixels = smooth if seed % 3 else smooth[..., :1]
    picture = Picture(pixels, metadata=Metadata(icc=trim_profile(bytes(icc))))
    np.testing.assert_array_equal(as_file_has_it(picture, seen_by_model(picture)).pixels, pixels)


def test_pillow_images_take_their_colour_along(smooth, encode):
    """Pillow reads chunks of colour, and writes none: what comes back has a profile."""
    image = Image.fromarray(smooth)
    image.info = {"gamma": 1.0}
    picture = from_pillow(image)
    assert np.abs(seen_by_model(picture) - encoded(smooth / 255)).max() < 1 / 255
    assert profile_space(to_pillow(picture).info["icc_profile"]) == "RGB"
    image.info = {"srgb": 0, "gamma": 0.45455}
    assert from_pillow(image).metadata.colour.is_srgb


def test_a_comparison_has_the_first_ones_colour(smooth):
    picture = Picture(smooth, metadata=Metadata(colour=Colour(cicp=(12, 13, 0, 1))))
    made = side_by_side(picture, picture)
    assert profile_space(made.metadata.icc) == "RGB"


def test_an_unusable_profile_of_inks_is_told(encode, smooth, tmp_path):
    inks = Image.fromarray(smooth).convert("CMYK")
    (tmp_path / "a.jpg").write_bytes(encode(inks, "JPEG", icc_profile=SRGB))
    with pytest.warns(RuntimeWarning, match="generic inks"):
        read_picture(tmp_path / "a.jpg")
