"""Kinds of samples: what is read is what a second reader sees; what is not is refused in time."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from PIL import Image

from multiaxis.errors import ImageError
from multiaxis.images import (
    Picture,
    as_file_has_it,
    check_write,
    probe_picture,
    read_picture,
    seen_by_model,
    write_picture,
)

tifffile = pytest.importorskip("tifffile")

FAULTS = "data/faults"
HEIGHT, WIDTH = 6, 10


def tiff(body: bytes, tags: dict[int, tuple[int, ...]]) -> bytes:
    """A TIFF of one strip, written by hand; every tag is SHORT but for sizes and places."""
    table = {256: (WIDTH,), 257: (HEIGHT,), 259: (1,), 273: (8,), 278: (HEIGHT,), 279: (len(body),)}
    table |= tags
    at = 8 + len(body) + 2 + 12 * len(table) + 4
    entries = behind = b""
    for tag, values in sorted(table.items()):
        letter, kind = ("I", 4) if tag in (273, 279) else ("H", 3)
        raw = struct.pack(f"<{len(values)}{letter}", *values)
        place = raw.ljust(4, b"\0") if len(raw) <= 4 else struct.pack("<I", at + len(behind))
        behind += raw if len(raw) > 4 else b""
        entries += struct.pack("<HHI", tag, kind, len(values)) + place
    head = b"II*\0" + struct.pack("<I", 8 + len(body)) + body + struct.pack("<H", len(table))
    return head + entries + bytes(4) + behind


def kind(photometric: int, *bits: int, **more: tuple[int, ...]) -> dict[int, tuple[int, ...]]:
    names = {"compression": 259, "planar": 284, "inks": 332, "extra": 338, "format": 339}
    tags = {258: bits, 262: (photometric,), 277: (len(bits),)}
    return tags | {names[name]: value for name, value in more.items()}


REFUSED = {
    "10 bits": (kind(1, 10), "10-bit"),
    "12 bits": (kind(1, 12), "12-bit"),
    "14 bits of RGB": (kind(2, 14, 14, 14), "14-bit"),
    "RGB565": (kind(2, 5, 6, 5), "5, 6, 5 bits"),
    "4 bits of RGB": (kind(2, 4, 4, 4), "4-bit"),
    "signed": (kind(1, 16, format=(2,)), "signed 16-bit"),
    "32 bits": (kind(1, 32), "unsigned 32-bit"),
    "doubles": (kind(1, 64, format=(3,)), "64-bit floats"),
    "24-bit floats": (kind(1, 24, format=(3,)), "24-bit floats"),
    "white 0 floats": (kind(0, 32, format=(3,)), "white as 0"),
    "halves in planes": (kind(2, 16, 16, 16, format=(3,) * 3, planar=(2,)), "in planes"),
    "complex": (kind(1, 64, format=(6,)), "complex"),
    "zstd": (kind(1, 8, compression=(50000,)), "Zstandard"),
    "LZMA": (kind(1, 8, compression=(34925,)), "LZMA"),
    "JPEG 2000": (kind(2, 8, 8, 8, compression=(33005,)), "JPEG 2000"),
    "unheard of": (kind(1, 8, compression=(4711,)), "number 4711"),
    "YCbCr": (kind(6, 8, 8, 8), "YCbCr outside JPEG"),
    "five inks": (kind(5, 8, 8, 8, 8, 8, inks=(2,)), "inks"),
    "three inks": (kind(5, 8, 8, 8, inks=(2,)), "inks"),
    "floats of inks": (kind(5, 32, 32, 32, 32, format=(3,) * 4), "floats of CMYK"),
    "mask": (kind(4, 1), "mask"),
    "mosaic": (kind(32803, 16), "mosaic"),
    "ICC Lab": (kind(9, 8, 8, 8), "ICC Lab"),
    "many bands": (kind(1, 8, 8, 8, 8, extra=(0, 0, 0)), "4 TIFF bands"),
    "alpha last": (kind(2, 8, 8, 8, 8, 8, extra=(0, 2)), "mix transparency"),
    "grey in planes": (kind(1, 8, 8, planar=(2,), extra=(2,)), "in planes"),
    "tiles in planes": (kind(2, 8, 8, 8, planar=(2,)) | {322: (16,), 323: (16,)}, "in planes"),
    "inks in planes": (kind(5, 8, 8, 8, 8, planar=(2,)), "in planes"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_read_is_said_from_the_header(name, tmp_path):
    tags, said = REFUSED[name]
    (tmp_path / "a.tif").write_bytes(tiff(bytes(4000), tags))
    for read in (probe_picture, read_picture):
        with pytest.raises(ImageError, match=said) as caught:
            read(tmp_path / "a.tif")
        assert name == "alpha last" or "first" in str(caught.value)
        assert "damaged" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("10_grey10.tif", "10-bit"),
        ("10_zstd.tif", "Zstandard"),
        ("10_float_neg.tif", "between -0.05 and 1.25"),
    ],
)
def test_the_sheet(name, said, shared_dir):
    with pytest.raises(ImageError, match=said):
        probe_picture(shared_dir / FAULTS / name)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 255.0, -0.5])
@pytest.mark.parametrize("at", [0, -1])
@pytest.mark.parametrize("bands", [1, 3, 4])
def test_floats_on_another_scale_are_refused_when_planned(value, at, bands, tmp_path):
    floats = np.random.default_rng(0).random((HEIGHT, WIDTH, bands)).astype(np.float32)
    floats[at, at, 0] = value
    extra = {"extrasamples": ["unassalpha"]} if bands == 4 else {}
    tifffile.imwrite(
        tmp_path / "a.tif",
        floats[..., 0] if bands == 1 else floats,
        photometric="minisblack" if bands == 1 else "rgb",
        **extra,
    )
    said = "lie between" if np.isfinite(value) else "NaN or infinite"
    with pytest.raises(ImageError, match=f"cannot read .*{said}"):
        probe_picture(tmp_path / "a.tif")
    with pytest.raises(ImageError, match=said):
        seen_by_model(read_picture(tmp_path / "a.tif"))


def test_floats_in_their_range_are_probed_and_kept(tmp_path):
    floats = np.random.default_rng(0).random((HEIGHT, WIDTH, 3)).astype(np.float32)
    floats[0, 0] = (0, 1, 1.0005)  # rounding
    tifffile.imwrite(tmp_path / "a.tif", floats, photometric="rgb")
    assert probe_picture(tmp_path / "a.tif").depth == "float32"
    np.testing.assert_array_equal(read_picture(tmp_path / "a.tif").pixels, floats)


@pytest.mark.parametrize("depth", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize(("bands", "planar"), [(2, "contig"), (4, "contig"), (4, "separate")])
def test_associated_alpha_is_divided_out_and_rounded(depth, bands, planar, tmp_path):
    rng = np.random.default_rng(5)
    peak = {"uint8": 255, "uint16": 65535, "float32": 1}[depth]
    cover = rng.random((HEIGHT, WIDTH, 1))
    cover[0, :3] = [[0], [1], [1 / 255]]
    stored = np.concatenate([rng.random((HEIGHT, WIDTH, bands - 1)) * cover, cover], -1) * peak
    stored = (stored if depth == "float32" else np.rint(stored)).astype(depth)
    tifffile.imwrite(
        tmp_path / "a.tif",
        np.moveaxis(stored, -1, 0) if planar == "separate" else stored,
        photometric="rgb" if bands == 4 else "minisblack",
        planarconfig=planar,
        extrasamples=["assocalpha"],
    )
    picture = read_picture(tmp_path / "a.tif")
    np.testing.assert_array_equal(picture.alpha, stored[..., -1])
    again = picture.pixels * (picture.alpha[..., None] / peak)
    seen = picture.alpha > 0
    if depth == "float32":
        np.testing.assert_allclose(again[seen], stored[seen][:, :-1], rtol=1e-5)
    else:
        clipped = np.minimum(stored[..., :-1], stored[..., -1:])[seen]
        np.testing.assert_array_equal(np.rint(again[seen]), clipped)


@pytest.mark.parametrize("order", [{}, {"byteorder": ">"}, {"bigtiff": True, "byteorder": ">"}])
def test_alpha_in_any_order_of_bytes(order, tmp_path):
    stored = np.full((4, 4, 4), (30, 60, 90, 100), np.uint8)
    tifffile.imwrite(
        tmp_path / "a.tif", stored, photometric="rgb", extrasamples=["assocalpha"], **order
    )
    picture = read_picture(tmp_path / "a.tif")
    assert picture.pixels[0, 0].tolist() == [76, 153, 230]  # 76.5 is rounded to even
    assert picture.alpha[0, 0] == 100


@pytest.mark.parametrize("depth", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize(
    ("photometric", "extra", "planar"),
    [
        *(
            ("rgb", extra, planar)
            for extra in ([0], [0, 0], [2, 0])
            for planar in ("contig", "separate")
        ),
        ("minisblack", [0], "contig"),
        ("minisblack", [2, 0], "contig"),
    ],
)
def test_bands_of_no_meaning_pass_through(depth, planar, photometric, extra, tmp_path):
    colours = 3 if photometric == "rgb" else 1
    rng = np.random.default_rng(1)
    samples = rng.random((HEIGHT, WIDTH, colours + len(extra)))
    samples[0] = 0  # no transparency, whatever the band holds
    samples = (samples * (1 if depth == "float32" else np.iinfo(depth).max)).astype(depth)
    tifffile.imwrite(
        tmp_path / "a.tif",
        np.moveaxis(samples, -1, 0) if planar == "separate" else samples,
        photometric=photometric,
        planarconfig=planar,
        extrasamples=extra,
        metadata=None,
    )
    with pytest.warns(RuntimeWarning, match="through unchanged"):
        picture = read_picture(tmp_path / "a.tif")
    has_alpha = extra[0] == 2
    np.testing.assert_array_equal(picture.pixels, samples[..., :colours])
    np.testing.assert_array_equal(picture.extra, samples[..., colours + has_alpha :])
    probe = probe_picture(tmp_path / "a.tif")
    assert (probe.alpha, probe.extra) == (picture.has_alpha, picture.extra.shape[2])
    assert picture.has_alpha == has_alpha
    if not has_alpha:  # nothing is hidden from the model
        np.testing.assert_array_equal(seen_by_model(picture)[0], 0)
    write_picture(tmp_path / "b.tif", as_file_has_it(picture, seen_by_model(picture)))
    with tifffile.TiffFile(tmp_path / "b.tif") as file:
        page = file.pages[0]
        assert list(map(int, page.extrasamples)) == extra
        if depth != "float32":
            np.testing.assert_array_equal(page.asarray(), samples)
    with pytest.warns(RuntimeWarning, match="through unchanged"):
        again = read_picture(tmp_path / "b.tif")
    np.testing.assert_array_equal(again.pixels, picture.pixels)
    np.testing.assert_array_equal(again.extra, picture.extra)


def test_a_band_without_any_word_about_it_is_no_alpha(tmp_path, shared_dir):
    (tmp_path / "a.tif").write_bytes(tiff(bytes(range(240)), kind(2, 8, 8, 8, 8)))
    for path in (tmp_path / "a.tif", shared_dir / FAULTS / "10_unspecified_extra.tif"):
        with pytest.warns(RuntimeWarning, match="1 band passes"):
            picture = read_picture(path)
        assert picture.alpha is None
        with pytest.raises(ImageError, match=r"cannot hold uint8 with 1 extra band; use \.tif"):
            check_write(tmp_path / "b.png", picture)


@pytest.mark.parametrize("photometric", [0, 1, 3])
@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_few_bits(photometric, bits, tmp_path):
    """Grey with either end as white, and palettes, against the bytes taken apart here."""
    rng = np.random.default_rng(bits)
    rows = rng.integers(0, 256, (HEIGHT, (WIDTH * bits + 7) // 8), dtype=np.uint8)
    taken = np.unpackbits(rows, axis=1).reshape(HEIGHT, -1, bits)
    levels = (taken * 2 ** np.arange(bits)[::-1]).sum(-1)[:, :WIDTH]
    palette = rng.integers(0, 65536, (3, 2**bits))
    tags = kind(photometric, bits) | ({320: tuple(palette.ravel())} if photometric == 3 else {})
    (tmp_path / "a.tif").write_bytes(tiff(rows.tobytes(), tags))
    found = read_picture(tmp_path / "a.tif").pixels
    if photometric == 3:
        np.testing.assert_array_equal(found, np.moveaxis(palette[:, levels] >> 8, 0, -1))
    else:
        grey = levels * (255 // (2**bits - 1))
        np.testing.assert_array_equal(found[..., 0], grey if photometric else 255 - grey)


def test_other_kinds_that_are_read(tmp_path):
    rng = np.random.default_rng(2)
    two = rng.integers(0, 256, (HEIGHT, WIDTH, 2), dtype=np.uint8)
    palette = rng.integers(0, 65536, (3, 256))
    body = two.tobytes()
    (tmp_path / "a.tif").write_bytes(tiff(body, kind(0, 8, 8, extra=(2,))))
    picture = read_picture(tmp_path / "a.tif")
    np.testing.assert_array_equal(picture.pixels[..., 0], 255 - two[..., 0])
    np.testing.assert_array_equal(picture.alpha, two[..., 1])
    tags = kind(3, 8, 8, extra=(2,)) | {320: tuple(palette.ravel())}
    (tmp_path / "b.tif").write_bytes(tiff(body, tags))
    picture = read_picture(tmp_path / "b.tif")
    np.testing.assert_array_equal(picture.pixels, np.moveaxis(palette[:, two[..., 0]] >> 8, 0, -1))
    np.testing.assert_array_equal(picture.alpha, two[..., 1])
    halves = rng.random((HEIGHT, WIDTH, 3)).astype(np.float16)
    tifffile.imwrite(tmp_path / "c.tif", halves, photometric="rgb")
    np.testing.assert_array_equal(read_picture(tmp_path / "c.tif").pixels, halves)
    smooth = np.kron(
        rng.integers(0, 256, (2, 2, 3), dtype=np.uint8), np.ones((16, 16, 1), np.uint8)
    )
    Image.fromarray(smooth).save(tmp_path / "d.tif", compression="jpeg")  # YCbCr inside
    with Image.open(tmp_path / "d.tif") as image:
        there = np.asarray(image.convert("RGB")).astype(int)
    assert np.abs(read_picture(tmp_path / "d.tif").pixels - there).max() <= 2


@pytest.mark.parametrize(("mode", "bits"), [("L", 8), ("I;16", 10), ("L;12", 12), ("I;16", 12)])
def test_grey_heic(mode, bits, tmp_path):
    pillow_heif = pytest.importorskip("pillow_heif")
    grey = np.random.default_rng(3).integers(0, 2**bits, (64, 80))
    grey[0, :2] = (0, 2**bits - 1)
    shift = 16 - bits if mode == "I;16" else 0
    stored = (grey << shift).astype(np.uint8 if bits == 8 else np.uint16)
    file = pillow_heif.from_bytes(mode, (80, 64), stored.tobytes())
    if mode == "I;16":
        pillow_heif.options.SAVE_HDR_TO_12_BIT = bits == 12
    try:
        file.save(tmp_path / "a.heic", quality=-1)
    finally:
        pillow_heif.options.SAVE_HDR_TO_12_BIT = False
    probe, picture = probe_picture(tmp_path / "a.heic"), read_picture(tmp_path / "a.heic")
    assert (probe.bands, probe.depth) == (1, "uint8" if bits == 8 else "uint16")
    peak = 255 if bits == 8 else 65535
    assert picture.pixels.max() == peak  # white is white
    assert np.abs(picture.pixels[..., 0] / peak - grey / (2**bits - 1)).max() < 2 / 2**bits


@pytest.mark.parametrize("bits", [8, 10, 12])
@pytest.mark.parametrize("bands", [1, 3, 4])
def test_avif_of_every_depth(bits, bands, tmp_path):
    pyvips = pytest.importorskip("pyvips")
    ramp = np.linspace(0, 65535, 64 * 64).reshape(64, 64, 1).astype(np.uint16)
    samples = np.repeat(ramp, bands, axis=-1)
    interpretation = "grey16" if bands == 1 else "rgb16"
    image = pyvips.Image.new_from_memory(samples.tobytes(), 64, 64, bands, "ushort")
    image = image.copy(interpretation=interpretation)
    image.heifsave(str(tmp_path / "a.avif"), compression="av1", bitdepth=bits, lossless=True)
    picture = read_picture(tmp_path / "a.avif")
    peak = 255 if bits == 8 else 65535
    assert picture.depth == ("uint8" if bits == 8 else "uint16")
    assert picture.pixels.max() == peak
    assert np.abs(picture.pixels / peak - ramp / 65535).max() < 4 / 2**bits
    if bands == 4:
        assert picture.alpha.max() == peak


def test_extra_bands_have_the_pictures_shape():
    from multiaxis.errors import ShapeError

    with pytest.raises(ShapeError, match="extra bands"):
        Picture(np.zeros((4, 4, 3), np.uint8), extra=np.zeros((4, 3, 1), np.uint8))
