"""A file that cannot be read says so in one sentence, with its name and what is accepted."""

from __future__ import annotations

import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from multiaxis.errors import ImageError
from multiaxis.images import Picture, probe_picture, read_picture, write_picture

KINDS = ["PNG", "JPEG", "TIFF", "WEBP", "AVIF"]


def refusal(path, **options) -> str:
    """Read, expect a refusal, and check that it is one sentence with the name in it."""
    before = sorted(path.parent.iterdir())
    with pytest.raises(ImageError) as caught:
        read_picture(path, **options)
    text = str(caught.value)
    assert text.startswith(f"cannot read {path}: ")
    assert "\n" not in text
    assert "vips" not in text.lower()
    assert sorted(path.parent.iterdir()) == before
    return text


def check_chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.97])
def test_cut_files(kind, share, noise, encode, tmp_path):
    data = encode(Image.fromarray(noise(120, 160, 3)), kind)
    path = tmp_path / "cut.png"
    path.write_bytes(data[: int(len(data) * share)])
    assert "cut short" in refusal(path)


@pytest.mark.parametrize("options", [{}, {"compression": "tiff_lzw"}, {"compression": "jpeg"}])
def test_cut_tiff_of_any_compression(options, noise, encode, tmp_path):
    data = encode(Image.fromarray(noise(120, 160, 3)), "TIFF", **options)
    (tmp_path / "cut.tif").write_bytes(data[: len(data) // 2])
    assert "cut short" in refusal(tmp_path / "cut.tif")


@pytest.mark.parametrize("kind", KINDS)
def test_signature_only(kind, noise, encode, tmp_path):
    (tmp_path / "a").write_bytes(encode(Image.fromarray(noise(8, 8, 3)), kind)[:16])
    assert str(tmp_path / "a") in refusal(tmp_path / "a")


def test_scrambled_png(noise, encode, tmp_path):
    data = bytearray(encode(Image.fromarray(noise(60, 60, 3)), "PNG"))
    data[2000] ^= 255
    (tmp_path / "a.png").write_bytes(data)
    assert "damaged" in refusal(tmp_path / "a.png")


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"", "it is empty (0 bytes); accepted are PNG, JPEG, TIFF, WebP, AVIF"),
        (b"hello\nworld\n", "not a picture of a known format"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "a SVG file"),
        (b"GIF89a" + bytes(20), "GIF data are damaged"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC data are damaged"),
        (b"\0\0\0\x18ftypavis\0\0\0\0avifavis", "animated"),
        (b"\0\0\0\x18ftypisom\0\0\0\0mp41avc1", "video"),
        (bytes(100), "not a picture of a known format"),
    ],
)
def test_other_files(data, found, tmp_path):
    (tmp_path / "x.png").write_bytes(data)
    assert found in refusal(tmp_path / "x.png")


def test_folder_missing_and_null(tmp_path):
    (tmp_path / "x.png").mkdir()
    assert "is a folder" in refusal(tmp_path / "x.png")
    assert "no such file" in refusal(tmp_path / "y.png")
    for name in ("y.png/z.png", "nul\0l.png", "x" * 300 + ".png"):
        with pytest.raises(ImageError, match=r"cannot read"):
            read_picture(tmp_path / name)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes on this system")
def test_pipes_are_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    assert "not a regular file" in refusal(tmp_path / "pipe.png")


def test_permission_denied(smooth, tmp_path, monkeypatch):
    write_picture(tmp_path / "a.png", Picture(smooth))

    def denied(*_: object) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.read_bytes", denied)
    assert "permission denied" in refusal(tmp_path / "a.png")


@pytest.mark.parametrize("kind", ["WEBP", "PNG", "TIFF"])
def test_several_frames(kind, noise, encode, tmp_path):
    frames = [Image.fromarray(noise(20, 20, 3)) for _ in range(2)]
    data = encode(frames[0], kind, save_all=True, append_images=frames[1:])
    (tmp_path / "many").write_bytes(data)
    assert "magick many many-%03d.png" in refusal(tmp_path / "many")
    with pytest.raises(ImageError, match="one picture is wanted here"):
        probe_picture(tmp_path / "many")


@pytest.mark.parametrize(
    ("kind", "found"), [("GIF", "2 pages or frames"), ("AVIF", "ffmpeg -i many")]
)
def test_animations_of_other_kinds(kind, found, noise, encode, tmp_path):
    frames = [Image.fromarray(noise(20, 20, 3)) for _ in range(2)]
    data = encode(frames[0], kind, save_all=True, append_images=frames[1:])
    (tmp_path / "many").write_bytes(data)
    assert found in refusal(tmp_path / "many")


def test_an_animation_of_one_frame_is_a_picture(smooth, encode, tmp_path):
    data = encode(Image.fromarray(smooth), "PNG")
    control = check_chunk(b"acTL", struct.pack(">II", 1, 0))
    (tmp_path / "one.png").write_bytes(data[:33] + control + data[33:])
    np.testing.assert_array_equal(read_picture(tmp_path / "one.png").pixels, smooth)


def test_integers_of_32_bits(noise, encode, tmp_path):
    (tmp_path / "a.tif").write_bytes(encode(Image.fromarray(noise(8, 8).astype(np.int32)), "TIFF"))
    text = refusal(tmp_path / "a.tif")
    assert "signed 32-bit numbers" in text
    assert "save it as TIFF" in text


def test_camera_raw_is_not_taken_for_its_preview(smooth, encode, tmp_path):
    (tmp_path / "a.NEF").write_bytes(encode(Image.fromarray(smooth), "TIFF"))
    assert "camera raw data are damaged" in refusal(tmp_path / "a.NEF")


def enlarge(kind: str, data: bytes) -> bytes:
    """Patch the header of a small file to claim 40000 by 30000 pixels."""
    if kind == "PNG":
        body = struct.pack(">II", 40_000, 30_000) + data[24:29]
        return data[:8] + check_chunk(b"IHDR", body) + data[33:]
    if kind == "JPEG":
        at = data.index(b"\xff\xc0") + 5
        return data[:at] + struct.pack(">HH", 30_000, 40_000) + data[at + 4 :]
    start = struct.unpack("<I", data[4:8])[0]
    patched = bytearray(data)
    for entry in range(start + 2, start + 2 + 12 * patched[start], 12):
        tag = int.from_bytes(patched[entry : entry + 2], "little")
        if tag in (256, 257, 278):
            patched[entry + 2 : entry + 12] = struct.pack("<HII", 4, 1, 40_000)
    return bytes(patched)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
def test_bombs_are_refused_from_the_header(kind, smooth, encode, tmp_path, monkeypatch):
    path = tmp_path / "bomb"
    path.write_bytes(enlarge(kind, encode(Image.fromarray(smooth), kind)))

    def decoded(*_: object) -> None:
        pytest.fail("samples were decoded")

    monkeypatch.setattr("multiaxis.images.read.decode", decoded)
    text = refusal(path)
    assert "megapixels, at most 400 are accepted" in text
    with pytest.raises(ImageError, match="megapixels"):
        probe_picture(path)


def test_the_limit_can_be_set(smooth, tmp_path):
    path = tmp_path / "a.png"
    write_picture(path, Picture(smooth))
    assert "48x32 are 0.0 megapixels, at most 0.001" in refusal(path, max_megapixels=0.001)
    assert read_picture(path, max_megapixels=48 * 32 / 1e6).width == 48
