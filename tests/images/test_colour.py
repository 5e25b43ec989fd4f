"""What a model sees of a picture, and how what it did goes back into the file."""

from __future__ import annotations

import io

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from multiaxis.errors import ImageError
from multiaxis.images import (
    Metadata,
    Picture,
    as_file_has_it,
    probe_picture,
    read_picture,
    seen_by_model,
)

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def wide_profile() -> bytes:
    """sRGB's own profile with the primaries of Adobe RGB: a real, wider one."""
    primaries = {b"rXYZ": (0.60974, 0.31111, 0.01947), b"gXYZ": (0.20528, 0.62567, 0.06087),
                 b"bXYZ": (0.14919, 0.06322, 0.74457)}  # fmt: skip
    data = bytearray(SRGB)
    for index in range(int.from_bytes(data[128:132], "big")):
        entry = 132 + 12 * index
        tag, at = bytes(data[entry : entry + 4]), int.from_bytes(data[entry + 4 : entry + 8], "big")
        if tag in primaries:
            values = b"".join(round(v * 65536).to_bytes(4, "big") for v in primaries[tag])
            data[at + 8 : at + 20] = values
    return bytes(data)


WIDE = wide_profile()


@pytest.mark.parametrize("icc", [None, SRGB, b"damaged" * 40, WIDE])
@pytest.mark.parametrize("depth", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("alpha", [False, True])
def test_a_model_that_changes_nothing_gives_back_every_bit(icc, depth, alpha, noise):
    rng = np.random.default_rng(3)
    pixels = noise(33, 47, 3, depth=depth) if depth != "float32" else rng.random((33, 47, 3))
    pixels = pixels.astype(depth)
    cover = (rng.random((33, 47)) > 0.5).astype(depth) if alpha else None
    picture = Picture(pixels, cover, Metadata(icc=icc))
    again = as_file_has_it(picture, seen_by_model(picture))
    if alpha:
        np.testing.assert_array_equal(again.alpha, cover)
    np.testing.assert_array_equal(again.pixels, pixels)
    assert again.metadata is picture.metadata


def test_a_wide_profile_is_seen_as_srgb():
    """Pillow, another way through the same profiles, sees the same colours."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(60, 190, (20, 30, 3), dtype=np.uint8)
    seen = seen_by_model(Picture(pixels, metadata=Metadata(icc=WIDE)))
    there = ImageCms.profileToProfile(
        Image.fromarray(pixels),
        ImageCms.ImageCmsProfile(io.BytesIO(WIDE)),
        ImageCms.createProfile("sRGB"),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
    )
    assert np.abs(np.asarray(pixels, np.float32) - np.asarray(there)).mean() > 3  # not the same
    assert np.abs(seen * 255 - np.asarray(there, np.float32)).max() < 2.5


def test_a_change_is_made_in_the_profile_of_the_file():
    """Ten levels brighter in sRGB are, back in the file, what Pillow makes of that colour."""
    pixels = np.full((8, 8, 3), (90, 120, 100), np.uint8)
    picture = Picture(pixels, metadata=Metadata(icc=WIDE))
    brighter = seen_by_model(picture) + np.float32(10 / 255)
    restored = as_file_has_it(picture, brighter).pixels
    wanted = ImageCms.profileToProfile(
        Image.fromarray(np.rint(brighter * 255).astype(np.uint8)),
        ImageCms.createProfile("sRGB"),
        ImageCms.ImageCmsProfile(io.BytesIO(WIDE)),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
    )
    assert np.abs(restored.astype(int) - np.asarray(wanted)).max() <= 2
    assert (restored > pixels).all()


def test_colours_outside_srgb_survive_a_change_elsewhere():
    pixels = np.full((8, 8, 3), 128, np.uint8)
    pixels[0, 0] = (0, 255, 0)  # in the wide profile: a green that sRGB does not have
    picture = Picture(pixels, metadata=Metadata(icc=WIDE))
    seen = seen_by_model(picture)
    seen[4:] += 0.1
    restored = as_file_has_it(picture, seen).pixels
    assert restored[0, 0].tolist() == [0, 255, 0]
    assert (restored[4:] > 128).all()


def test_hidden_colour_does_not_reach_the_model():
    pixels = np.full((16, 16, 3), 200, np.uint8)
    alpha = np.full((16, 16), 255, np.uint8)
    alpha[:, 8:] = 0
    pixels[:, 8:] = (255, 0, 0)
    picture = Picture(pixels, alpha)
    seen = seen_by_model(picture)
    np.testing.assert_allclose(seen, 200 / 255, atol=1e-6)
    restored = as_file_has_it(picture, seen * 0)
    np.testing.assert_array_equal(restored.pixels[:, 8:], pixels[:, 8:])
    assert (restored.pixels[:, :8] == 0).all()
    nothing = Picture(pixels, np.zeros_like(alpha))
    np.testing.assert_array_equal(seen_by_model(nothing), pixels / np.float32(255))


def test_another_depth(noise):
    picture = Picture(noise(5, 6, 3), noise(5, 6))
    deep = as_file_has_it(picture, seen_by_model(picture), "uint16")
    np.testing.assert_array_equal(deep.pixels, picture.pixels.astype(np.uint16) * 257)
    np.testing.assert_array_equal(deep.alpha, picture.alpha.astype(np.uint16) * 257)


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk_becomes_srgb_and_says_so(kind, smooth, encode, tmp_path):
    image = Image.fromarray(smooth)
    (tmp_path / "a").write_bytes(encode(image.convert("CMYK"), kind))
    with pytest.warns(RuntimeWarning, match="CMYK inks"):
        picture = read_picture(tmp_path / "a")
    assert picture.pixels.shape == smooth.shape
    assert picture.metadata.icc is None
    # Generic inks are duller than Pillow's plain inversion, but light stays light.
    rough = np.corrcoef(picture.pixels.ravel(), smooth.ravel())[0, 1]
    assert rough > 0.8


# sRGB's primaries seen from D50 (Bradford), and D50 itself.
TO_D50 = np.array([[0.4360747, 0.3850649, 0.1430804],
                   [0.2225045, 0.7168786, 0.0606169],
                   [0.0139322, 0.0971045, 0.7141733]])  # fmt: skip


def lab_of(pixels: np.ndarray) -> np.ndarray:
    """The textbook's way from 8-bit sRGB to L in 0..100, a and b."""
    unit = pixels / 255
    light = np.where(unit <= 0.04045, unit / 12.92, ((unit + 0.055) / 1.055) ** 2.4)
    ratios = light @ TO_D50.T / TO_D50.sum(axis=1)
    f = np.where(ratios > 216 / 24389, np.cbrt(ratios), (24389 / 27 * ratios + 16) / 116)
    x, y, z = np.moveaxis(f, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


# One step of 8-bit Lab is many of sRGB in saturated blues.
@pytest.mark.parametrize(("depth", "mean", "most"), [("uint8", 1.5, 32), ("uint16", 0.2, 1.5)])
def test_lab_becomes_srgb_and_says_so(depth, mean, most, smooth, tmp_path):
    path, scale = tmp_path / "a.tif", {"uint8": 1, "uint16": 256}[depth]
    lab = lab_of(smooth) * [255 / 100 * (257 if scale == 256 else 1), scale, scale]
    stored = np.rint(lab).astype(np.int32).astype(depth)  # a and b wrap around below 0
    tifffile.imwrite(path, stored, photometric="cielab", resolution=(150, 75), resolutionunit=2)
    with pytest.warns(RuntimeWarning, match="Lab colours"):
        picture = read_picture(path)
    assert picture.depth == depth
    assert picture.metadata.icc is None
    assert picture.metadata.resolution == pytest.approx((150 / 25.4, 75 / 25.4), rel=1e-4)
    gap = np.abs(picture.pixels.astype(float) / (257 if scale == 256 else 1) - smooth)
    assert gap.mean() < mean
    assert gap.max() < most
    assert probe_picture(path).depth == depth


def test_lab_is_turned_once_and_cut_files_are_refused(smooth, tmp_path):
    path = tmp_path / "a.tif"
    stored = np.rint(lab_of(smooth) * [2.55, 1, 1]).astype(np.int32).astype(np.uint8)
    tifffile.imwrite(path, stored, photometric="cielab", extratags=[(274, "H", 1, 6, True)])
    assert (probe_picture(path).width, probe_picture(path).height) == (32, 48)
    with pytest.warns(RuntimeWarning, match="Lab colours"):
        picture = read_picture(path)
    assert np.abs(picture.pixels - np.rot90(smooth, -1).astype(float)).mean() < 2
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(ImageError, match="cut short"):
        read_picture(path)
