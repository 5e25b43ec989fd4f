"""Pages and frames: each is read as a picture, and all are written back with what binds them."""

from __future__ import annotations

import io
import struct
import zlib
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image, ImageSequence

from multiaxis.errors import ImageError
from multiaxis.images import (
    Frame,
    check_several,
    encode_picture,
    open_several,
    probe_picture,
    read_picture,
    write_several,
)
from multiaxis.images.join import JoinError, join_tiff

tifffile = pytest.importorskip("tifffile")

TIMES = [100, 250, 40, 1000]  # milliseconds


def frames(noise, *, mode="RGBA"):
    channels = len(mode)
    return [Image.fromarray(noise(20, 30, channels)) for _ in TIMES]


def animate(path, images, **options):
    images[0].save(path, save_all=True, append_images=images[1:], duration=TIMES, **options)


def opened(path, **limit):
    return open_several(path.read_bytes(), str(path), **limit)


def copy(source, target):
    """Read picture after picture and write them as they are."""
    several = opened(source)
    check_several(target, several)
    encoded = [Frame(encode_picture(target, one)[0], time) for one, time in several.pictures()]
    return write_several(target, encoded, several)


def shown(path):
    """Give frames and times as Pillow shows them."""
    with Image.open(path) as image:
        plays = image.info.get("loop")
        found = []
        for number in range(image.n_frames):
            image.seek(number)
            found.append((np.asarray(image.convert("RGBA")), image.info.get("duration")))
        return [one for one, _ in found], [round(time) for _, time in found], plays


@pytest.mark.parametrize("target", [".webp", ".png"])
@pytest.mark.parametrize("source", [".webp", ".png"])
def test_animations(source, target, noise, tmp_path):
    kind = {".webp": {"lossless": True, "exact": True}, ".png": {"blend": 0}}[source]
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    animate(tmp_path / f"a{source}", frames(noise), loop=3, exif=exif, **kind)
    assert copy(tmp_path / f"a{source}", tmp_path / f"b{target}") == ()
    before, after = shown(tmp_path / f"a{source}"), shown(tmp_path / f"b{target}")
    for one, two in zip(before[0], after[0], strict=True):
        np.testing.assert_array_equal(one, two)
    assert before[1:] == after[1:] == (TIMES, 3)
    with Image.open(tmp_path / f"b{target}") as image:
        assert image.getexif()[0x010F] == "Maker"


@pytest.mark.parametrize("disposal", [1, 2, 3])
@pytest.mark.parametrize("kind", [".gif", ".png"])
def test_frames_come_composited(kind, disposal, tmp_path):
    """What a frame leaves out is what the frames before left there, or nothing."""
    images = []
    for number in range(4):
        image = Image.new("RGBA", (24, 16))
        image.paste((200, 60 * number, 40, 255), (5 * number, 2, 5 * number + 8, 12))
        images.append(image)
    animate(tmp_path / f"a{kind}", images, disposal=disposal, loop=0)
    several = opened(tmp_path / f"a{kind}")
    assert (several.kind, several.count, several.plays) == ("frames", 4, 0)
    copy(tmp_path / f"a{kind}", tmp_path / "b.webp")
    before, after = shown(tmp_path / f"a{kind}"), shown(tmp_path / "b.webp")
    for one, two in zip(before[0], after[0], strict=True):
        np.testing.assert_array_equal(one, two)
    assert after[1:] == (TIMES, 0)


@pytest.mark.parametrize(("loop", "plays"), [(None, 1), (0, 0), (2, 3)])
def test_a_gif_counts_repetitions(loop, plays, noise, tmp_path):
    animate(
        tmp_path / "a.gif", frames(noise, mode="RGB"), **({} if loop is None else {"loop": loop})
    )
    copy(tmp_path / "a.gif", tmp_path / "b.webp")
    assert shown(tmp_path / "b.webp")[2] == plays


def test_the_comment_of_a_gif_is_reported(noise, tmp_path):
    animate(tmp_path / "a.gif", frames(noise, mode="RGB"), comment=b"by hand")
    first, *others = [one for one, _ in opened(tmp_path / "a.gif").pictures()]
    assert [one for one in first.remarks if "its comment is not kept" in one]
    assert not any(one.remarks for one in others)
    Image.new("RGB", (4, 4)).save(tmp_path / "c.gif", comment=b"by hand")
    with pytest.warns(RuntimeWarning, match="its comment is not kept"):
        assert read_picture(tmp_path / "c.gif").pixels.shape == (4, 4, 3)


def test_the_still_picture_of_an_animation(noise, tmp_path):
    images = frames(noise)[:3]
    images[0].save(
        tmp_path / "a.png", save_all=True, append_images=images[1:], default_image=True,
        duration=70,
    )  # fmt: skip
    several = opened(tmp_path / "a.png")
    assert [time for _, time in several.pictures()] == [None, Fraction(7, 100), Fraction(7, 100)]
    assert copy(tmp_path / "a.png", tmp_path / "b.png") == ()
    with Image.open(tmp_path / "b.png") as image:
        assert image.default_image
        found = [np.asarray(frame.convert("RGBA")) for frame in ImageSequence.Iterator(image)]
    np.testing.assert_array_equal(found, [np.asarray(image) for image in images])
    assert copy(tmp_path / "a.png", tmp_path / "b.webp") == ("still picture",)


def test_animations_of_sixteen_bits_are_refused_with_a_way_out(noise, tmp_path):
    animate(tmp_path / "a.png", frames(noise))
    data = bytearray((tmp_path / "a.png").read_bytes())
    data[24] = 16
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(ImageError, match=r"ffmpeg -i a\.png -f apng"):
        opened(tmp_path / "a.png")


@pytest.fixture
def scan(noise, tmp_path):
    """Three pages that differ in size, depth, colours, tags and orientation."""
    pages = [noise(20, 30, 3), noise(14, 9), noise(8, 12, 3, depth="uint16")]
    with tifffile.TiffWriter(tmp_path / "scan.tif") as file:
        file.write(pages[0], photometric="rgb", resolution=(300, 300), description="one",
                   software="scanner", metadata=None)  # fmt: skip
        file.write(pages[1], photometric="minisblack", compression="zlib", description="two",
                   rowsperstrip=2, metadata=None)  # fmt: skip
        tags = [(274, "H", 1, 6, True), (33550, "d", 3, (1.5, 2.5, 0.0), True)]
        file.write(pages[2], photometric="rgb", tile=(16, 16), extratags=tags, metadata=None)
    return tmp_path / "scan.tif", [*pages[:2], np.rot90(pages[2], -1)]


def test_pages(scan, tmp_path):
    source, wanted = scan
    several = opened(source)
    assert (several.kind, several.count) == ("pages", 3)
    assert [(probe.width, probe.height) for probe in several.probes] == [(30, 20), (9, 14), (8, 12)]
    copy(source, tmp_path / "b.tif")
    with tifffile.TiffFile(tmp_path / "b.tif") as file:
        for page, samples in zip(file.pages, wanted, strict=True):
            np.testing.assert_array_equal(page.asarray(), samples)
        assert [page.description for page in file.pages] == ["one", "two", ""]
        assert file.pages[0].tags["Software"].value == "scanner"
        assert file.pages[0].tags["XResolution"].value == (300, 1)
    with Image.open(tmp_path / "b.tif") as image:
        assert image.n_frames == 3
        for number, samples in enumerate(wanted):
            image.seek(number)
            assert image.size == samples.shape[1::-1]
            image.load()


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
def test_pages_of_any_order_and_offsets(big, order, noise, tmp_path):
    pages = [noise(70, 50, 3) for _ in range(3)]
    with tifffile.TiffWriter(tmp_path / "a.tif", bigtiff=big, byteorder=order) as file:
        for page in pages:
            file.write(page, photometric="rgb", metadata=None)
    copy(tmp_path / "a.tif", tmp_path / "b.tif")
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "b.tif", key=range(3)), pages)


def test_exif_of_each_page(noise, tmp_path):
    images = []
    for number in range(2):
        image = Image.fromarray(noise(9, 7, 3))
        exif = Image.Exif()
        exif[0x0110] = f"Model of page {number}"
        exif[0x8769] = {0x9003: f"2019:08:07 06:05:0{number}", 0x829A: (1, 250)}
        exif[0x8825] = {1: "N", 2: (48.0, 8.0, 30.5)}
        stream = io.BytesIO()
        image.save(stream, "TIFF", exif=exif.tobytes())
        images.append(stream.getvalue())
    (tmp_path / "a.tif").write_bytes(join_tiff(images))
    copy(tmp_path / "a.tif", tmp_path / "b.tif")
    with Image.open(tmp_path / "b.tif") as image:
        for number in range(2):
            image.seek(number)
            assert image.tag_v2[0x0110] == f"Model of page {number}"
            exif = image.getexif()
            assert exif.get_ifd(0x8769)[0x9003] == f"2019:08:07 06:05:0{number}"
            assert exif.get_ifd(0x8825)[1] == "N"


def test_a_thumbnail_is_no_page(noise, tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for number in range(3):
            file.write(noise(20, 30, 3), photometric="rgb", subfiletype=int(number == 1))
    assert opened(tmp_path / "a.tif").count == 2
    remarks = [one.remarks for one, _ in opened(tmp_path / "a.tif").pictures()]
    assert remarks == [("its thumbnail is not kept",), ()]
    with tifffile.TiffWriter(tmp_path / "b.tif") as file:
        for number in range(2):
            file.write(noise(20, 30, 3), photometric="rgb", subfiletype=number)
    assert opened(tmp_path / "b.tif") is None


def test_single_pictures_are_none_of_it(noise, tmp_path):
    image = Image.fromarray(noise(8, 9, 3))
    for suffix in (".png", ".jpg", ".webp", ".tif", ".gif", ".avif"):
        image.save(tmp_path / f"a{suffix}")
        assert opened(tmp_path / f"a{suffix}") is None
    assert probe_picture(tmp_path / "a.gif").format == "GIF"
    (tmp_path / "a.txt").write_bytes(b"no picture")
    assert opened(tmp_path / "a.txt") is None


def test_formats_that_cannot_hold_them(scan, noise, tmp_path):
    pages = opened(scan[0])
    with pytest.raises(ImageError, match=r"PNG cannot hold the 3 pages of .*; use \.tif"):
        check_several(tmp_path / "b.png", pages)
    animate(tmp_path / "a.gif", frames(noise, mode="RGB"))
    moving = opened(tmp_path / "a.gif")
    for suffix in (".jpg", ".tif", ".avif"):
        with pytest.raises(ImageError, match=r"cannot hold the 4 frames of .*; use .png or .webp"):
            check_several(tmp_path / f"b{suffix}", moving)
    with pytest.raises(ImageError, match="WebP cannot hold uint16"):
        check_several(tmp_path / "b.webp", moving, depth="uint16")


def test_limits_count_each_and_all(scan, noise, tmp_path):
    with pytest.raises(ImageError, match="megapixels, at most 0.0005 are accepted"):
        opened(scan[0], max_megapixels=0.0005)
    images = [*frames(noise), *frames(noise)] * 3
    images[0].save(tmp_path / "a.webp", save_all=True, append_images=images[1:])
    with pytest.raises(ImageError, match="megapixels together, at most 0.007"):
        opened(tmp_path / "a.webp", max_megapixels=0.0007)


@pytest.mark.parametrize("kind", [".gif", ".png", ".webp", ".tif"])
def test_damage_is_refused_in_a_sentence(kind, scan, noise, tmp_path):
    path = scan[0] if kind == ".tif" else tmp_path / f"a{kind}"
    if kind != ".tif":
        animate(path, frames(noise, mode="RGB"))
    data = path.read_bytes()
    for end in range(len(data) // 3, len(data), len(data) // 9):
        (tmp_path / "cut").write_bytes(data[:end])
        try:
            several = opened(tmp_path / "cut")
            pictures = [one for one, _ in several.pictures()] if several else []
            assert all(one.pixels.size for one in pictures)
        except ImageError as error:
            assert "\n" not in str(error)  # noqa: PT017 (either is right)


def test_more_than_offsets_reach():
    with pytest.raises(JoinError, match="above 4 GB"):
        join_tiff([b"II+\0" + bytes(12)])


def test_what_asks_for_one_picture_names_the_way(scan, noise, tmp_path):
    with pytest.raises(ImageError, match=r"magick scan\.tif scan-%03d\.png$"):
        read_picture(scan[0])
    (tmp_path / "a.avif").write_bytes(b"\0\0\0\x18ftypavis\0\0\0\0avifmif1")
    with pytest.raises(ImageError, match=r"ffmpeg -i a\.avif -c:v ffv1 a\.mkv$"):
        read_picture(tmp_path / "a.avif")
