"""Colour spaces that a file states without a profile: cICP, nclx, gAMA and cHRM, premultiplied."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from multiaxis.errors import ImageError
from multiaxis.images import (
    Metadata,
    Picture,
    as_file_has_it,
    probe_picture,
    read_picture,
    seen_by_model,
    write_picture,
)
from multiaxis.images.profile import make_profile
from multiaxis.images.space import Colour

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
ADOBE = (31270, 32900, 64000, 33000, 21000, 71000, 15000, 6000)
PLAIN = (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
GAMMA = ("gAMA", struct.pack(">I", 100_000))
WIDE = ("cHRM", struct.pack(">8I", *ADOBE))
P3 = ("cICP", bytes([12, 13, 0, 1]))


def chunk(name: str, body: bytes) -> bytes:
    inner = name.encode() + body
    return struct.pack(">I", len(body)) + inner + struct.pack(">I", zlib.crc32(inner))


def png(pixels: np.ndarray, *chunks: tuple[str, bytes]) -> bytes:
    """A PNG written by hand: 8 or 16 bits, grey to RGBA."""
    height, width, bands = pixels.shape
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[bands]
    head = struct.pack(">IIBBBBB", width, height, pixels.itemsize * 8, kind, 0, 0, 0)
    rows = pixels.astype(pixels.dtype.newbyteorder(">")).reshape(height, -1)
    data = b"".join(b"\0" + row.tobytes() for row in rows)
    parts = [("IHDR", head), *chunks, ("IDAT", zlib.compress(data)), ("IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def chunks_of(data: bytes) -> dict[str, bytes]:
    at, found = 8, {}
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        found[data[at + 4 : at + 8].decode()] = data[at + 8 : at + 8 + size]
        at += 12 + size
    return found


def by_littlecms(pixels: np.ndarray, icc: bytes) -> np.ndarray:
    """Pillow's way through a profile, by relative colorimetry, 8 bits."""
    return np.asarray(
        ImageCms.profileToProfile(
            Image.fromarray(pixels),
            ImageCms.ImageCmsProfile(io.BytesIO(icc)),
            SRGB,
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        )
    )


def encoded(light: np.ndarray) -> np.ndarray:
    """sRGB of linear light, by the standard's formula."""
    high = 1.055 * np.maximum(light, 1e-9) ** (1 / 2.4) - 0.055
    return np.where(light <= 0.0031308, 12.92 * light, high)


SPACES = {
    "P3": [P3],
    "2020": [("cICP", bytes([9, 1, 0, 1]))],
    "PQ": [("cICP", bytes([9, 16, 0, 1])), ("cLLI", bytes(8))],
    "HLG": [("cICP", bytes([9, 18, 0, 1]))],
    "reserved": [("cICP", bytes([77, 99, 0, 1]))],
    "linear": [GAMMA],
    "adobe": [("gAMA", struct.pack(">I", 45471)), WIDE],
    "sRGB": [("sRGB", b"\0"), ("gAMA", struct.pack(">I", 45455))],
    "broken": [("gAMA", bytes(4)), ("cHRM", bytes(32)), ("cICP", b"\1")],
}
SILENT = ("P3", "2020", "linear", "adobe", "sRGB", "broken")


@pytest.mark.filterwarnings("ignore:.*(HDR|is unknown)")
@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize(("depth", "bands"), [("uint8", 3), ("uint16", 4), ("uint16", 1)])
def test_a_model_that_changes_nothing_gives_back_every_bit_and_chunk(
    space, depth, bands, noise, tmp_path
):
    source = png(noise(9, 14, bands, depth=depth), *SPACES[space])
    (tmp_path / "a.png").write_bytes(source)
    picture = read_picture(tmp_path / "a.png")
    again = as_file_has_it(picture, seen_by_model(picture))
    np.testing.assert_array_equal(again.pixels, picture.pixels)
    assert write_picture(tmp_path / "b.png", again) == ()
    found = chunks_of((tmp_path / "b.png").read_bytes())
    assert {name: found.get(name) for name, _ in SPACES[space]} == dict(SPACES[space])
    np.testing.assert_array_equal(read_picture(tmp_path / "b.png").pixels, picture.pixels)


def test_p3_red_is_seen_as_littlecms_sees_it(tmp_path, noise):
    """The profile that macOS has, its numbers typed from its text, against cICP."""
    pixels = np.concatenate([noise(8, 8, 3), np.full((8, 8, 3), (200, 40, 30), np.uint8)])
    (tmp_path / "a.png").write_bytes(png(pixels, P3))
    seen = seen_by_model(read_picture(tmp_path / "a.png")) * 255
    light = np.where(pixels / 255 <= 0.04045, pixels / 255 / 12.92,
                     ((pixels / 255 + 0.055) / 1.055) ** 2.4)  # fmt: skip
    # From P3 to BT.709, both D65: CSS Color 4.
    to_709 = [[1.2249401, -0.2249404, 0], [-0.0420569, 1.0420571, 0],
              [-0.0196376, -0.0786361, 1.0982735]]  # fmt: skip
    wanted = np.clip(encoded(light @ np.array(to_709).T), 0, 1) * 255
    assert np.abs(seen - wanted).max() < 1
    assert np.abs(seen - by_littlecms(pixels, make_profile(Colour(cicp=(12, 13, 0, 1))))).max() < 1


@pytest.mark.parametrize("depth", ["uint8", "uint16"])
@pytest.mark.parametrize("bands", [1, 3])
def test_linear_samples_are_seen_as_srgb(depth, bands, noise, tmp_path):
    pixels = noise(16, 16, bands, depth=depth)
    (tmp_path / "a.png").write_bytes(png(pixels, GAMMA))
    seen = seen_by_model(read_picture(tmp_path / "a.png"))
    assert np.abs(seen - encoded(pixels / np.iinfo(depth).max)).max() < 1 / 255


def test_a_change_is_made_in_linear_light(tmp_path):
    (tmp_path / "a.png").write_bytes(png(np.full((4, 4, 3), 10000, np.uint16), GAMMA))
    picture = read_picture(tmp_path / "a.png")
    brighter = seen_by_model(picture) + np.float32(0.1)
    restored = as_file_has_it(picture, brighter)
    wanted = encoded(np.array(10000 / 65535)) + 0.1
    assert np.abs(encoded(restored.pixels / 65535) - wanted).max() < 2e-3


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ([P3], [GAMMA, WIDE]),
        ([P3], ["icc"]),
        (["icc"], [GAMMA]),
        ([("sRGB", b"\0")], [GAMMA, WIDE]),
        ([P3], [("sRGB", b"\0")]),
    ],
)
def test_the_standards_order(first, second, noise, tmp_path):
    """What comes first decides alone."""
    icc = make_profile(Colour(chromaticities=tuple(v / 1e5 for v in ADOBE), gamma=0.45471))
    pixels = noise(8, 8, 3)

    def seen(*parts):
        own = [("iCCP", b"x\0\0" + zlib.compress(icc)) if part == "icc" else part for part in parts]
        (tmp_path / "a.png").write_bytes(png(pixels, *own))
        return seen_by_model(read_picture(tmp_path / "a.png"))

    np.testing.assert_array_equal(seen(*first, *second), seen(*first))
    assert np.abs(seen(*second) - seen(*first)).mean() > 1 / 255


def test_how_old_viewers_are_told_srgb_is_srgb(noise, tmp_path):
    chunks = [("gAMA", struct.pack(">I", 45455)), ("cHRM", struct.pack(">8I", *PLAIN))]
    (tmp_path / "a.png").write_bytes(png(noise(4, 4, 3), *chunks))
    picture = read_picture(tmp_path / "a.png")
    np.testing.assert_array_equal(seen_by_model(picture), picture.pixels / np.float32(255))
    assert write_picture(tmp_path / "b.jpg", picture) == ()
    assert read_picture(tmp_path / "b.jpg").metadata.icc is None


@pytest.mark.parametrize("suffix", [".jpg", ".tif", ".webp", ".avif"])
@pytest.mark.parametrize("space", ["P3", "linear", "adobe"])
@pytest.mark.parametrize("bands", [1, 3])
def test_other_formats_get_the_equivalent_profile(suffix, space, bands, noise, tmp_path):
    (tmp_path / "a.png").write_bytes(png(noise(8, 8, bands), *SPACES[space]))
    picture = read_picture(tmp_path / "a.png")
    assert write_picture(tmp_path / f"b{suffix}", picture) == ()
    written = read_picture(tmp_path / f"b{suffix}")
    assert written.metadata.icc
    same = Picture(picture.pixels, metadata=written.metadata) if bands == 3 else None
    if same is not None:
        assert np.abs(seen_by_model(same) - seen_by_model(picture)).max() < 1e-6
    with Image.open(tmp_path / f"b{suffix}") as image:  # littleCMS takes it, too
        if image.mode in ("L", "RGB"):
            profile = ImageCms.ImageCmsProfile(io.BytesIO(image.info["icc_profile"]))
            ImageCms.profileToProfile(image, profile, SRGB, outputMode="RGB")


@pytest.mark.parametrize("transfer", [16, 18])
def test_hdr_is_kept_by_png_with_a_warning_and_refused_by_others(transfer, noise, tmp_path):
    chunks = [("cICP", bytes([9, transfer, 0, 1]))]
    (tmp_path / "a.png").write_bytes(png(noise(4, 4, 3, depth="uint16"), *chunks))
    with pytest.warns(RuntimeWarning, match="HDR"):
        picture = read_picture(tmp_path / "a.png")
    np.testing.assert_array_equal(seen_by_model(picture), picture.pixels / np.float32(65535))
    with pytest.raises(ImageError, match=r"HDR colours .*use \.png"):
        write_picture(tmp_path / "b.tif", picture)


@pytest.mark.parametrize("name", ["40_nclx_p3.heic", "41_nclx_p3.avif"])
def test_nclx(name, shared_dir, tmp_path):
    if name.endswith("heic"):
        pytest.importorskip("pillow_heif")
    picture = read_picture(shared_dir / "data/faults" / name)
    assert picture.metadata.colour == Colour(cicp=(12, 13, 6, 1))
    plain = Picture(picture.pixels, metadata=Metadata(icc=make_profile(picture.metadata.colour)))
    np.testing.assert_array_equal(seen_by_model(picture), seen_by_model(plain))
    assert np.abs(seen_by_model(picture) - picture.pixels / 255).mean() > 1 / 255
    assert write_picture(tmp_path / "a.png", picture) == ()
    assert chunks_of((tmp_path / "a.png").read_bytes())["cICP"] == bytes([12, 13, 0, 1])
    assert write_picture(tmp_path / "a.avif", picture) == ()


def test_multiplied_colour_is_divided(shared_dir):
    """Pillow's reader is libavif, which divides by itself."""
    picture = read_picture(shared_dir / "data/faults/41_premul.avif")
    with Image.open(shared_dir / "data/faults/41_premul.avif") as image:
        there = np.asarray(image.convert("RGBA")).astype(float)
    half = (picture.alpha > 100) & (picture.alpha < 150)
    np.testing.assert_array_equal(picture.alpha, there[..., 3])
    gap = (picture.pixels - there[..., :3])[half]  # where chroma changes, the two decoders differ
    assert abs(gap.mean()) < 0.5
    assert np.abs(gap).mean() < 3


@pytest.mark.parametrize("mode", ["RGBa", "RGBa;16"])
def test_multiplied_heic(mode, tmp_path):
    pillow_heif = pytest.importorskip("pillow_heif")
    rng = np.random.default_rng(1)
    wide = mode.endswith("16")
    alpha = rng.integers(1, 256, (64, 64, 1))
    stored = np.concatenate([rng.integers(0, 256, (64, 64, 3)) * alpha // 255, alpha], -1)
    stored = stored.astype(np.uint16) << 8 if wide else stored.astype(np.uint8)
    file = pillow_heif.from_bytes(mode, (64, 64), stored.tobytes())
    file.save(tmp_path / "a.heic", quality=-1, chroma=444, matrix_coefficients=0)
    picture = read_picture(tmp_path / "a.heic")
    again = picture.pixels * (picture.alpha[..., None] / (65535 if wide else 255))
    assert np.abs(again - stored[..., :3]).max() <= (64 if wide else 0.5)
    opaque = picture.alpha >= picture.alpha.max() // 2
    assert (picture.pixels[opaque] >= stored[opaque][:, :3]).all()


def test_hdr_heic_goes_into_png(tmp_path):
    pillow_heif = pytest.importorskip("pillow_heif")
    pixels = np.random.default_rng(0).integers(0, 65536, (64, 64, 3), dtype=np.uint16)
    file = pillow_heif.from_bytes("RGB;16", (64, 64), pixels.tobytes())
    file.save(
        tmp_path / "a.heic",
        chroma=444,
        color_primaries=9,
        transfer_characteristics=16,
        matrix_coefficients=9,
    )
    assert probe_picture(tmp_path / "a.heic").hdr == "PQ"
    with pytest.warns(RuntimeWarning, match="HDR"):
        picture = read_picture(tmp_path / "a.heic")
    assert write_picture(tmp_path / "a.png", picture) == ()
    assert chunks_of((tmp_path / "a.png").read_bytes())["cICP"] == bytes([9, 16, 0, 1])


@pytest.mark.parametrize("matrix", [0, 1, 5, 6, 9])
@pytest.mark.parametrize("full", [0, 1])
def test_matrix_and_range_are_the_decoders_business(matrix, full, tmp_path):
    pillow_heif = pytest.importorskip("pillow_heif")
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    file = pillow_heif.from_bytes("RGB", (64, 64), pixels.tobytes())
    file.save(
        tmp_path / "a.heic",
        quality=-1,
        chroma=444,
        color_primaries=12,
        transfer_characteristics=13,
        matrix_coefficients=matrix,
        full_range_flag=full,
    )
    picture = read_picture(tmp_path / "a.heic")
    assert np.abs(picture.pixels.astype(int) - pixels).max() <= 2
    assert picture.metadata.colour.cicp == (12, 13, matrix, 1)


def test_a_profile_comes_before_nclx(smooth, tmp_path):
    """Pillow's AVIF has both boxes."""
    icc = make_profile(Colour(gamma=1.0))
    Image.fromarray(smooth).save(tmp_path / "a.avif", icc_profile=icc)
    data = (tmp_path / "a.avif").read_bytes()
    assert b"colrprof" in data
    assert b"colrnclx" in data
    metadata = read_picture(tmp_path / "a.avif").metadata
    assert (metadata.icc, metadata.colour) == (icc, None)


@pytest.mark.parametrize("bands", [1, 2])
def test_a_profile_of_rgb_in_a_grey_png_is_not_lost_in_silence(bands, noise, tmp_path):
    """libpng passes by such profiles."""
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    source, target = tmp_path / "a.png", tmp_path / "b.png"
    body = b"name\0\0" + zlib.compress(icc)
    source.write_bytes(png(noise(8, 8, bands), ("iCCP", body)))
    picture = read_picture(source)
    assert picture.metadata.icc == icc
    assert write_picture(target, picture) == ("icc",)
    assert np.array_equal(read_picture(target).pixels, picture.pixels)
