"""A header costs a header: bytes read are counted, and samples play no part in what is found."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import pyvips
from PIL import Image

from multiaxis.errors import ImageError
from multiaxis.files.read import open_window, read_bytes
from multiaxis.files.window import Window
from multiaxis.images import (
    Probe,
    open_several,
    probe_file,
    probe_header,
    probe_picture,
    read_outline,
)
from multiaxis.images.contents.png import insert_chunks
from multiaxis.images.structure import chunk_bytes

tifffile = pytest.importorskip("tifffile")

HEADER = 256_000  # bytes: what a header may cost


@pytest.fixture
def bytes_read(monkeypatch):
    """Count what windows read."""
    read, found = Window._read, []

    def counted(self, *words):
        data = read(self, *words)
        found.append(len(data))
        return data

    monkeypatch.setattr(Window, "_read", counted)
    return found


@pytest.fixture(scope="module")
def photo():
    """Noise, which no codec makes small, as a Pillow image of 1.2 megapixels."""
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (960, 1300, 3), np.uint8))


def tiff_at_the_end(path, image):
    """Write 20 MB without compression, and the directory behind them, as libtiff does."""
    pyvips.Image.new_from_array(np.asarray(image.resize((2600, 2600)))).tiffsave(path)
    assert int.from_bytes(path.read_bytes()[4:8], "little") > 20_000_000


def heic(path, image):
    pillow_heif = pytest.importorskip("pillow_heif")
    part = pillow_heif.from_pillow(image.crop((0, 0, 448, 448)))
    part.save(path, quality=100, chroma=444)


def pages(path, image):
    with tifffile.TiffWriter(path) as file:
        for _ in range(3):
            file.write(np.asarray(image), photometric="rgb", metadata=None)


def moving(path, image, **options):
    small = [image.crop((0, 0, 640, 480 + number)).resize((640, 480)) for number in range(4)]
    small[0].save(path, save_all=True, append_images=small[1:], duration=50, **options)


def png(path, image):
    """What is said behind the samples counts too."""
    image.save(path)
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = chunk_bytes("eXIf", exif.tobytes().removeprefix(b"Exif\0\0"))
    path.write_bytes(insert_chunks(path.read_bytes(), b"", turned))


WRITERS = {
    "a.png": png,
    "a.jpg": lambda path, image: image.save(path, quality=95),
    "a.tif": tiff_at_the_end,
    "deflate.tif": lambda path, image: image.save(path, compression="tiff_adobe_deflate"),
    "big.tif": lambda path, image: tifffile.imwrite(
        path, np.asarray(image), bigtiff=True, byteorder=">", photometric="rgb"
    ),
    "a.webp": lambda path, image: image.save(path, lossless=True, method=0),
    "lossy.webp": lambda path, image: image.save(path, quality=95, method=0),
    "a.avif": lambda path, image: image.save(path, quality=90, speed=10),
    "a.heic": heic,
    "pages.tif": pages,
    "moving.png": moving,
    "moving.webp": lambda path, image: moving(path, image, quality=90, method=0),
}


def camera_file(path):
    """A Bayer mosaic on its side, as of a camera that was held upright."""
    mosaic = np.random.default_rng(0).integers(0, 60000, (600, 800), np.uint16)
    tags = [
        (50706, 1, 4, bytes([1, 4, 0, 0]), True),  # version
        (33421, 3, 2, (2, 2), True),  # mosaic's period
        (33422, 1, 4, bytes([0, 1, 1, 2]), True),  # red, green, green, blue
        (50721, 10, 9, (1, 1, 0, 1, 0, 1, 0, 1, 1, 1, 0, 1, 0, 1, 0, 1, 1, 1), True),
        (50728, 5, 3, (1, 1, 1, 1, 1, 1), True),  # neutral
        (274, 3, 1, 6, True),
        (271, 2, 0, "Maker", True),
    ]
    tifffile.imwrite(path, mosaic, photometric=32803, extratags=tags, metadata=None)
    return path


def facts(data, name):
    """Give what a plan knows of a file, or why it is refused."""
    try:
        several = open_several(data, name)
        if several:
            return several.kind, several.count, several.plays, several.probes
        return probe_header(data, name)
    except ImageError as error:
        return str(error)


@pytest.mark.thorough
@pytest.mark.parametrize("name", WRITERS)
def test_a_header_costs_a_header(name, photo, bytes_read, tmp_path):
    path = tmp_path / name
    WRITERS[name](path, photo)
    whole = facts(read_bytes(path), str(path))
    assert not isinstance(whole, str)
    assert path.stat().st_size > 2 * HEADER
    assert facts(read_outline(path), str(path)) == whole
    assert 0 < sum(bytes_read) < HEADER


def test_a_header_behind_the_samples_turns_the_picture(photo, tmp_path):
    png(tmp_path / "a.png", photo)
    probe = probe_picture(tmp_path / "a.png")
    assert (probe.width, probe.height) == (960, 1300)


def test_the_system_counts_no_more(photo, tmp_path):
    """The kernel's own count of what this process asked for."""
    counter = Path("/proc/self/io")
    if not counter.exists():
        pytest.skip("no /proc here")

    def asked():
        return int(counter.read_text().split()[1])

    tiff_at_the_end(tmp_path / "a.tif", photo)
    raw = pytest.importorskip("rawpy") and camera_file(tmp_path / "a.dng")
    for path in (tmp_path / "a.tif", raw):
        known = probe_file(path)  # whatever is loaded on the first call
        before = asked()
        assert probe_file(path) == known
        assert asked() - before < HEADER
        assert probe_header(read_bytes(path), str(path)) == known
        assert asked() - before > path.stat().st_size > 2 * HEADER


@pytest.mark.thorough
def test_pairs_of_a_training_are_compared_by_their_headers(photo, bytes_read, tmp_path):
    from multiaxis.tasks.restore.samples import PairedFolders

    for folder in ("inputs", "targets"):
        (tmp_path / folder).mkdir()
        png(tmp_path / folder / "a.png", photo)
    source = PairedFolders(inputs=str(tmp_path / "inputs"), targets=str(tmp_path / "targets"))
    assert len(source.open()) == 1
    assert 0 < sum(bytes_read) < HEADER


def test_a_camera_file_that_cannot_be_opened_by_name_is_read_whole(tmp_path, monkeypatch):
    rawpy = pytest.importorskip("rawpy")
    path, imread = camera_file(tmp_path / "a.dng"), rawpy.imread
    assert probe_file(path) == Probe(600, 800, 3, "uint16", alpha=False, format="camera raw")
    with pytest.raises(ImageError, match=r"600x800 are 0.5 megapixels, at most 0.1"):
        probe_file(path, max_megapixels=0.1)

    def nameless(file):
        if isinstance(file, str):
            raise UnicodeEncodeError("utf-8", "a", 0, 1, "surrogates not allowed")
        return imread(file)

    monkeypatch.setattr(rawpy, "imread", nameless)
    assert probe_file(path, "s3://b/x.dng").width == 600
    path.write_bytes(b"II*\0 no camera file at all")
    with pytest.raises(ImageError, match="^cannot read s3://b/x.dng: its camera raw data"):
        probe_file(path, "s3://b/x.dng")


def test_what_is_no_picture_is_hardly_read(bytes_read, tmp_path):
    (tmp_path / "a.png").write_bytes(b"no picture" * 100_000)
    with pytest.raises(ImageError, match="not a picture of a known format"):
        probe_picture(tmp_path / "a.png")
    assert sum(bytes_read) < 5000


def test_floats_are_looked_through(tmp_path):
    samples = np.full((20, 30, 3), 0.5, np.float32)
    samples[13, 7, 1] = np.nan
    tifffile.imwrite(tmp_path / "a.tif", samples, photometric="rgb")
    with pytest.raises(ImageError, match="NaN|no numbers|not finite"):
        probe_picture(tmp_path / "a.tif")


def test_the_outline_of_every_odd_file_says_what_the_file_says(shared_dir, tmp_path):
    odd = [path for path in (shared_dir / "data" / "faults").iterdir() if path.is_file()]
    assert odd
    for path in odd:
        assert facts(read_outline(path), path.name) == facts(read_bytes(path), path.name)


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif", "a.webp", "a.avif", "moving.webp"])
def test_damage_is_found_as_in_the_whole_file(name, noise, tmp_path):
    """Cut anywhere, and with bytes of the header changed."""
    image = Image.fromarray(noise(20, 24, 3))
    options = {"save_all": True, "append_images": [image.rotate(90)]} if "moving" in name else {}
    image.save(tmp_path / name, **options)
    data = (tmp_path / name).read_bytes()
    rng = np.random.default_rng(1)
    damaged = [data[:end] for end in range(0, len(data), len(data) // 12)]
    for _ in range(40):
        made = bytearray(data)
        made[rng.integers(min(len(data), 300))] = rng.integers(256)
        damaged.append(bytes(made))
    for made in damaged:
        (tmp_path / name).write_bytes(made)
        assert facts(read_outline(tmp_path / name), name) == facts(made, name)


def test_a_window_is_like_bytes(noise, tmp_path):
    data = noise(10, 50, 3).tobytes()
    (tmp_path / "a").write_bytes(data)
    with open_window(tmp_path / "a") as window:
        assert len(window) == len(data)
        assert (window[3:9], window[700:], window[-4:]) == (data[3:9], data[700:], data[-4:])
        assert window[9:9] == window[2000:3000] == b""
        assert window.startswith(data[300:310], 300)
        assert window.startswith((b"no", data[:4]))
        assert window.find(data[40:44], 20, 60) == data.find(data[40:44], 20, 60)
        assert window.find(b"nothing of this", 0, 90) == -1
        found = window.stand_in()
    assert len(found) == len(data)
    assert found[:64] == data[:64]
    assert found[700:] == data[700:]
    assert not any(found[500:699])


def test_a_file_that_shrinks_meanwhile_goes_on_with_zeros(tmp_path):
    (tmp_path / "a").write_bytes(bytes(range(256)) * 40)
    with open_window(tmp_path / "a") as window:
        (tmp_path / "a").write_bytes(b"short")
        assert window[:7] == b"short\0\0"
        assert window[900:1000] == bytes(100)
        assert window.bytes_read == 5
        assert len(window.stand_in()) == 10240


@pytest.mark.parametrize("kind", ["missing", "folder", "link"])
def test_what_cannot_be_opened_is_a_sentence(kind, tmp_path):
    path = tmp_path / "a.png"
    if kind == "folder":
        path.mkdir()
    elif kind == "link":
        path.symlink_to("a.png")
    for read in (probe_picture, read_outline, read_bytes):
        with pytest.raises(ImageError, match=f"^cannot read {path}: "):
            read(path)
    shutil.rmtree(path, ignore_errors=True)
