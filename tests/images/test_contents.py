"""What a file holds beside its samples: kept where that is right, else named."""

from __future__ import annotations

import hashlib
import re
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image, PngImagePlugin

from multiaxis.images import Picture, read_picture, write_picture
from multiaxis.images.contents.photoshop import as_photoshop
from multiaxis.images.contents.tiff import read_tiff
from multiaxis.images.contents.xmp import Kept, mend_xmp
from multiaxis.images.structure import chunk_bytes, chunks, jpeg_end, riff_chunks, segments

XMP_MARK = b"http://ns.adobe.com/xap/1.0/\0"
RDF = 'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"'
FILM = struct.pack(">I4s4sI4s", 20, b"ftyp", b"mp42", 0, b"isom") + struct.pack(
    ">I4s", 40, b"mdat"
) + bytes(range(32))  # fmt: skip


@pytest.fixture
def png(smooth, encode) -> bytes:
    return encode(Image.fromarray(smooth), "PNG")


@pytest.fixture
def jpeg(smooth, encode) -> bytes:
    return encode(Image.fromarray(smooth), "JPEG", quality=95)


@pytest.fixture
def copy(tmp_path):
    """Write bytes to a file, read it, write it in a format; give the copy and what was lost."""

    def run(data: bytes, suffix: str) -> tuple[bytes, tuple[str, ...]]:
        (tmp_path / "source").write_bytes(data)
        target = tmp_path / f"copy{suffix}"
        lost = write_picture(target, read_picture(tmp_path / "source"), overwrite=True)
        return target.read_bytes(), lost

    return run


def with_chunks(png: bytes, *added: bytes, late: bytes = b"") -> bytes:
    return png[:33] + b"".join(added) + png[33:-12] + late + png[-12:]


def with_segments(jpeg: bytes, *added: tuple[int, bytes]) -> bytes:
    made = (bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body
            for marker, body in added)  # fmt: skip
    return jpeg[:20] + b"".join(made) + jpeg[20:]


def of(data: bytes, name: str) -> list[bytes]:
    walk = chunks if data.startswith(b"\x89PNG") else segments
    return [part.body for part in walk(data) if part.name == name]


def xmp_of(data: bytes) -> str:
    found = [body for body in of(data, "APP1") if body.startswith(XMP_MARK)]
    return found[0][len(XMP_MARK) :].decode() if found else ""


def packet(inside: str, attributes: str = "") -> bytes:
    return (
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF {RDF}><rdf:Description rdf:about="" '
        f'xmlns:GCamera="http://ns.google.com/photos/1.0/camera/" '
        f'xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" '
        f'xmlns:dc="http://purl.org/dc/elements/1.1/" '
        f'xmlns:Container="http://ns.google.com/photos/1.0/container/" '
        f'xmlns:Item="http://ns.google.com/photos/1.0/container/item/" dc:source="kept" '
        f"{attributes}>{inside}</rdf:Description></rdf:RDF></x:xmpmeta>"
    ).encode()


def directory(*items: tuple[str, str, int]) -> str:
    rows = "".join(
        f'<rdf:li rdf:parseType="Resource"><Container:Item Item:Semantic="{meaning}" '
        f'Item:Mime="{mime}" Item:Length="{length}"/></rdf:li>'
        for meaning, mime, length in (("Primary", "image/jpeg", 0), *items)
    )
    return f"<Container:Directory><rdf:Seq>{rows}</rdf:Seq></Container:Directory>"


# PNG


def test_texts_time_and_background_stay_in_png(copy, shared_dir):
    source = (shared_dir / "data/faults/03_text.png").read_bytes()
    written, lost = copy(source, ".png")
    for name in ("tEXt", "zTXt", "iTXt", "tIME", "bKGD"):
        assert of(written, name) == of(source, name)
    assert lost == ("significant bits",)


def test_texts_are_named_where_there_is_no_place(copy, shared_dir):
    source = (shared_dir / "data/faults/03_text.png").read_bytes()
    for suffix in (".jpg", ".tif", ".webp", ".avif"):
        lost = copy(source, suffix)[1]
        assert {"time", "text parameters", "text Title", "text Author"} <= set(lost)


def test_comments_go_from_jpeg_to_png_and_back(copy, shared_dir):
    source = (shared_dir / "data/faults/03_comment.jpg").read_bytes()
    written, lost = copy(source, ".jpg")
    assert (of(written, "COM"), lost) == (of(source, "COM"), ())
    written, lost = copy(source, ".png")
    assert (of(written, "tEXt"), lost) == ([b"Comment\0scanned by hand, page 12"], ())
    written, lost = copy(written, ".jpg")
    assert (of(written, "COM"), lost) == (of(source, "COM"), ())
    assert copy(source, ".webp")[1] == ("comment",)


@pytest.mark.parametrize("text", ["plain", "Größe", "☂ 雨"])
def test_comments_keep_their_letters(text, copy, jpeg, tmp_path):
    written, lost = copy(with_segments(jpeg, (0xFE, text.encode())), ".png")
    (tmp_path / "a.png").write_bytes(written)
    with Image.open(tmp_path / "a.png") as image:
        assert (image.text["Comment"], lost) == (text, ())


def test_every_one_of_several_comments_counts(copy, jpeg):
    source = with_segments(jpeg, (0xFE, b"one"), (0xFE, b"two\0"), (0xFE, b""))
    assert of(copy(source, ".jpg")[0], "COM") == [b"one", b"two\0", b""]


@pytest.mark.parametrize("kind", ["tEXt", "zTXt", "iTXt", "packed iTXt"])
@pytest.mark.parametrize("word", ["exif", "APP1"])
def test_raw_profiles_are_exif(kind, word, copy, png):
    exif = bytes.fromhex("4d4d002a00000008 0001 0112 0003 00000001 00060000 00000000")
    source = with_chunks(png, raw_profile(kind, word, b"Exif\0\0" + exif))
    written, lost = copy(source, ".png")
    assert written[16:24] == struct.pack(">II", 32, 48)  # turned
    assert (of(written, "eXIf")[0][18:20], lost) == (b"\0\1", ())
    assert not any(b"Raw profile" in body for body in of(written, "zTXt") + of(written, "tEXt"))
    assert copy(source, ".jpg")[1] == ()


def test_raw_profile_of_the_sheet_is_turned(shared_dir):
    picture = read_picture(shared_dir / "data/faults/03_rawprofile_exif.png")
    stored = np.asarray(Image.open(shared_dir / "data/faults/03_rawprofile_exif.png"))
    assert picture.metadata.exif
    assert picture.pixels.shape[:2] in (stored.shape[:2], stored.shape[1::-1])


@pytest.mark.parametrize("word", ["xmp", "APP1"])
def test_raw_profiles_are_xmp(word, copy, png):
    body = packet("") if word == "xmp" else XMP_MARK + packet("")
    written, lost = copy(with_chunks(png, raw_profile("zTXt", word, body)), ".jpg")
    assert ('dc:source="kept"' in xmp_of(written), lost) == (True, ())


@pytest.mark.parametrize("word", ["iptc", "8bim"])
def test_raw_profiles_are_iptc(word, copy, png):
    block = as_photoshop(b"\x1c\x02\x05\x00\x05title")
    body = block.removeprefix(b"Photoshop 3.0\0")
    source = with_chunks(png, raw_profile("tEXt", word, body))
    written, lost = copy(source, ".jpg")
    assert (of(written, "APP13"), lost) == ([block], ())
    written, lost = copy(source, ".png")
    assert (of(written, "tEXt"), lost) == (of(source, "tEXt"), ())
    assert copy(source, ".webp")[1] == ("iptc",)


@pytest.mark.parametrize("text", [b"\nexif\n 9\nzz", b"\nexif\n 99\n00", b"", b"\nexif"])
def test_damaged_raw_profiles_stay_texts(text, copy, png):
    source = with_chunks(png, chunk_bytes("tEXt", b"Raw profile type exif\0" + text))
    written, lost = copy(source, ".png")
    assert (of(written, "tEXt"), lost) == (of(source, "tEXt"), ())


def raw_profile(kind: str, word: str, block: bytes) -> bytes:
    digits = re.sub(r"(.{72})", r"\1\n", block.hex())
    text = f"\n{word}\n{len(block):8}\n{digits}\n".encode()
    keyword = f"Raw profile type {word}".encode()
    if kind == "tEXt":
        return chunk_bytes("tEXt", keyword + b"\0" + text)
    if kind == "zTXt":
        return chunk_bytes("zTXt", keyword + b"\0\0" + zlib.compress(text))
    if kind == "iTXt":
        return chunk_bytes("iTXt", keyword + b"\0\0\0\0\0" + text)
    return chunk_bytes("iTXt", keyword + b"\0\1\0\0\0" + zlib.compress(text))


def test_texts_that_unpack_to_far_too_much_cost_nothing(copy, png):
    packer = zlib.compressobj(9)
    bomb = b"".join(packer.compress(bytes(1 << 22)) for _ in range(5)) + packer.flush()
    added = chunk_bytes("zTXt", b"Raw profile type exif\0\0" + bomb)
    assert copy(with_chunks(png, added), ".png")[1] == ()


@pytest.mark.parametrize(
    ("name", "named"),
    [
        ("prVt", None),  # safe to copy
        ("vpAg", None),
        ("prVT", "chunk prVT"),
        ("sTER", "chunk sTER"),
        ("caBX", "content credentials"),
        ("iDOT", None),  # an aid to decoders of the file as it was
    ],
)
@pytest.mark.parametrize("late", [False, True])
def test_private_chunks_go_by_their_names(name, named, late, copy, png):
    chunk = chunk_bytes(name, b"private")
    source = with_chunks(png, late=chunk) if late else with_chunks(png, chunk)
    written, lost = copy(source, ".png")
    assert lost == ((named,) if named else ())
    kept = named is None and name != "iDOT"
    assert of(written, name) == ([b"private"] if kept else [])
    if kept:
        names = [part.name for part in chunks(written)]
        assert (names.index(name) > names.index("IDAT")) == late
        assert copy(source, ".jpg")[1] == (f"chunk {name}",)


def test_palettes_histograms_and_bits(smooth, encode, copy):
    palette = encode(Image.fromarray(smooth).convert("P"), "PNG")
    at = palette.index(b"IDAT") - 4
    source = palette[:at] + chunk_bytes("hIST", bytes(512)) + chunk_bytes("bKGD", b"\1")
    assert set(copy(source + palette[at:], ".png")[1]) == {"histogram", "background colour"}


def test_a_background_fits_one_depth(copy, png, tmp_path):
    (tmp_path / "a.png").write_bytes(with_chunks(png, chunk_bytes("bKGD", bytes(6))))
    picture = read_picture(tmp_path / "a.png")
    wide = Picture(picture.pixels.astype(np.uint16) * 257, None, picture.metadata)
    assert write_picture(tmp_path / "b.png", wide) == ("background colour",)


def test_exif_behind_the_samples_is_read(copy, png):
    exif = bytes.fromhex("4d4d002a00000008 0001 0112 0003 00000001 00060000 00000000")
    written, lost = copy(with_chunks(png, late=chunk_bytes("eXIf", exif)), ".png")
    assert (written[16:24], lost) == (struct.pack(">II", 32, 48), ())


def test_pixel_aspects_stay_aspects(copy, shared_dir):
    source = (shared_dir / "data/faults/03_phys_aspect.png").read_bytes()
    written, lost = copy(source, ".png")
    assert (of(written, "pHYs"), lost) == (of(source, "pHYs"), ())
    written, lost = copy(source, ".jpg")
    assert (of(written, "APP0")[0][7:12], lost) == (b"\0\0\2\0\1", ())
    written, lost = copy(written, ".png")
    assert (of(written, "pHYs"), lost) == (of(source, "pHYs"), ())
    assert copy(source, ".webp")[1] == ("pixel aspect",)


def test_turned_pictures_turn_their_aspect(copy, png):
    exif = bytes.fromhex("4d4d002a00000008 0001 0112 0003 00000001 00060000 00000000")
    density = chunk_bytes("pHYs", struct.pack(">IIB", 3, 1, 0))
    written = copy(with_chunks(png, density, chunk_bytes("eXIf", exif)), ".png")[0]
    assert of(written, "pHYs") == [struct.pack(">IIB", 1, 3, 0)]


@pytest.mark.parametrize("unit", [1, 2])
def test_units_of_resolution_stay(unit, copy, jpeg):
    density = struct.pack(">BHH", unit, 118, 72)
    source = jpeg[:13] + density + jpeg[18:]
    written, lost = copy(source, ".jpg")
    assert (of(written, "APP0")[0][7:12], lost) == (density, ())


def test_seventy_two_dots_are_said_where_they_were(copy, jpeg):
    density = struct.pack(">BHH", 1, 72, 72)
    assert of(copy(jpeg[:13] + density + jpeg[18:], ".jpg")[0], "APP0")[0][7:12] == density
    assert of(copy(jpeg, ".jpg")[0], "APP0")[0][7:12] == struct.pack(">BHH", 0, 1, 1)


# JPEG


def test_a_film_behind_the_picture_is_kept(copy, shared_dir):
    source = (shared_dir / "data/faults/04_motion.jpg").read_bytes()
    film = source[jpeg_end(source) :]
    written, lost = copy(source, ".jpg")
    assert (written[jpeg_end(written) :], lost) == (film, ())
    assert xmp_of(written) == xmp_of(source)
    assert f'MicroVideoOffset="{len(film)}"' in xmp_of(written)
    for suffix in (".png", ".webp", ".tif", ".avif"):
        written, lost = copy(source, suffix)
        assert lost == ("film",)
        assert not re.search(rb"MotionPhoto|MicroVideo|video/mp4", written)


@pytest.mark.parametrize("gain_map_first", [True, False])
def test_a_film_beside_a_gain_map_keeps_a_true_offset(gain_map_first, copy, jpeg):
    pieces = {"GainMap": ("image/jpeg", jpeg), "MotionPhoto": ("video/mp4", FILM)}
    order = sorted(pieces, reverse=not gain_map_first)
    items = [(name, pieces[name][0], len(pieces[name][1])) for name in order]
    behind = b"".join(pieces[name][1] for name in order)
    offset = len(behind) - behind.index(FILM)
    stated = f'GCamera:MicroVideoOffset="{offset}" GCamera:MicroVideo="1" hdrgm:Version="1.0"'
    source = with_segments(jpeg, (0xE1, XMP_MARK + packet(directory(*items), stated)))
    written, lost = copy(source + behind, ".jpg")
    assert (written[jpeg_end(written) :], lost) == (FILM, ("gain map",))
    xmp = xmp_of(written)
    assert f'MicroVideoOffset="{len(FILM)}"' in xmp
    assert ("MotionPhoto" in xmp, "GainMap" in xmp, "hdr" in xmp) == (True, False, False)
    assert 'dc:source="kept"' in xmp


def test_samsung_trailers_are_kept_whole(copy, jpeg):
    block = bytes.fromhex("0000300a") + struct.pack("<I", 16) + b"MotionPhoto_Data" + FILM
    head = b"SEFH" + struct.pack("<II", 106, 1)
    head += bytes.fromhex("0000300a") + struct.pack("<II", len(block), len(block))
    trailer = block + head + struct.pack("<I", len(head)) + b"SEFT"
    written, lost = copy(jpeg + trailer, ".jpg")
    assert (written[jpeg_end(written) :], lost) == (trailer, ())
    assert copy(jpeg + trailer, ".png")[1] == ("film",)
    second = block.replace(FILM, jpeg)
    head = head[:-8] + struct.pack("<II", len(second), len(second))
    trailer = second + head + struct.pack("<I", len(head)) + b"SEFT"
    assert set(copy(jpeg + trailer, ".jpg")[1]) == {"Samsung's pictures", "film"}


def test_gain_maps_go_with_all_that_points_to_them(copy, shared_dir):
    source = (shared_dir / "data/faults/05_ultrahdr.jpg").read_bytes()
    written, lost = copy(source, ".jpg")
    assert lost == ("gain map",)
    assert jpeg_end(written) == len(written)
    assert not re.search(rb"MPF|hdrgm|hdr-gain-map|GainMap|Container", written)


def test_iso_gain_maps_without_xmp(copy, jpeg):
    mark = b"urn:iso:std:iso:ts:21496:-1\0"
    second = with_segments(jpeg, (0xE2, mark + bytes(40)))
    written, lost = copy(with_segments(jpeg, (0xE2, mark + bytes(4))) + second, ".jpg")
    assert (lost, mark in written, jpeg_end(written)) == (("gain map",), False, len(written))


def test_stereo_views_are_named(copy, shared_dir):
    source = (shared_dir / "data/faults/05_stereo_mpo.jpg").read_bytes()
    for suffix in (".jpg", ".png"):
        written, lost = copy(source, suffix)
        assert (lost, b"MPF" in written) == (("second picture",), False)


def test_extended_xmp_is_split_again(copy, shared_dir):
    source = (shared_dir / "data/faults/06_extended_xmp.jpg").read_bytes()
    written, lost = copy(source, ".jpg")
    assert (of(written, "APP1"), lost) == (of(source, "APP1"), ())
    written, lost = copy(source, ".png")  # joined where there is room
    assert (b"HasExtendedXMP" in written, lost) == (False, ())
    xmp = of(written, "iTXt")[0]
    assert len(xmp) > 70_000
    assert b"GDepth:Data" in xmp
    written, lost = copy(written, ".jpg")
    extension = b"".join(body[75:] for body in of(written, "APP1") if b"/extension/" in body)
    guid = hashlib.md5(extension, usedforsecurity=False).hexdigest().upper()
    assert (f'HasExtendedXMP="{guid}"' in xmp_of(written), lost) == (True, ())
    assert b"GDepth:Data" in extension


def test_extensions_out_of_order_or_with_holes(copy, shared_dir):
    source = (shared_dir / "data/faults/06_extended_xmp.jpg").read_bytes()
    one, two = [part for part in segments(source) if b"/extension/" in part.body[:40]]
    swapped = source[: one.start] + two.whole + one.whole + source[two.end :]
    assert of(copy(swapped, ".jpg")[0], "APP1") == of(source, "APP1")
    torn = source[: two.start] + source[two.end :]
    written, lost = copy(torn, ".jpg")
    assert (lost, b"HasExtendedXMP" in written) == (("extended XMP",), False)


def test_segments_of_other_makers_are_kept_in_jpeg(copy, jpeg):
    added = [(0xE3, b"Meta\0\0II"), (0xE6, b"GoPro\0x"), (0xEC, b"Ducky\0x"), (0xE2, b"FPXR\0x")]
    written, lost = copy(with_segments(jpeg, *added), ".jpg")
    assert lost == ()
    for marker, body in added:
        assert of(written, f"APP{marker - 0xE0}") == [body]
    named = {"APP3 Meta", "APP6 GoPro", "APP12 Ducky", "APP2 FPXR"}
    assert set(copy(with_segments(jpeg, *added), ".png")[1]) == named


def test_content_credentials_are_no_longer_true(copy, jpeg):
    added = [(0xEB, b"JP\0\1\0\0\0\1jumb....c2pa"), (0xEB, b"JP\0\1\0\0\0\2more")]
    written, lost = copy(with_segments(jpeg, *added), ".jpg")
    assert (of(written, "APP11"), lost) == ([], ("content credentials",))


def test_photoshop_resources_stay_but_for_thumbnails(copy, jpeg):
    kept = b"8BIM\x04\x04\0\0" + struct.pack(">I", 10) + b"\x1c\x02\x05\x00\x05title"
    path = b"8BIM\x07\xd0\x05names\0\0\0\2ab"
    thumbnail = b"8BIM\x04\x0c\0\0\0\0\0\3abc\0"
    source = with_segments(jpeg, (0xED, b"Photoshop 3.0\0" + kept + thumbnail + path))
    written, lost = copy(source, ".jpg")
    assert (of(written, "APP13"), lost) == ([b"Photoshop 3.0\0" + kept + path], ())


def test_blocks_of_several_segments_are_joined_and_split(copy, jpeg):
    record = b"8BIM\x04\x04\0\0" + struct.pack(">I", 100_000) + bytes(100_000)
    halves = [b"Photoshop 3.0\0" + half for half in (record[:60_000], record[60_000:])]
    written, lost = copy(with_segments(jpeg, *((0xED, half) for half in halves)), ".jpg")
    assert (b"".join(body[14:] for body in of(written, "APP13")), lost) == (record, ())


def test_a_second_packet_or_block_is_named_and_turns_nothing(copy, jpeg, png):
    turned = XMP_MARK + b"<x:xmpmeta xmlns:x='adobe:ns:meta/' tiff:Orientation='%d'></x:xmpmeta>"
    made, lost = copy(with_segments(jpeg, (0xE1, turned % 1), (0xE1, turned % 6)), ".jpg")
    assert lost == ("second XMP",)
    assert sum(part.body.startswith(XMP_MARK) for part in segments(made)) == 1
    packets = [b"XML:com.adobe.xmp" + bytes(5) + turned[len(XMP_MARK) :] % k for k in (1, 6)]
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    block = chunk_bytes("eXIf", exif.tobytes().removeprefix(b"Exif\0\0"))
    texts = [chunk_bytes("iTXt", packet) for packet in packets]
    made, lost = copy(with_chunks(png, *texts, block, block), ".png")
    assert sorted(lost) == ["second EXIF", "second XMP"]
    assert made.count(b"XML:com.adobe.xmp") == made.count(b"eXIf") == 1


def test_exif_that_is_too_large_for_jpeg_is_named(copy, png):
    exif = b"MM\0*\0\0\0\x08" + struct.pack(">HHHII", 1, 0x10E, 2, 70_000, 26) + bytes(70_004)
    source = with_chunks(png, chunk_bytes("eXIf", exif))
    assert copy(source, ".png")[1] == ()
    assert copy(source, ".jpg")[1] == ("exif",)


def test_data_behind_the_end_are_named(copy, png, jpeg):
    for source, suffix in ((png, ".png"), (jpeg, ".jpg")):
        assert copy(source + b"PK\3\4 an archive", suffix)[1] == ("data behind the end",)
        assert copy(source + bytes(9), suffix)[1] == ()


# WebP and AVIF


def test_unknown_chunks_stay_in_webp(smooth, encode, copy):
    source = encode(Image.fromarray(smooth), "WEBP", lossless=True, exif=b"II*\0\x08" + bytes(9))
    body = source[8:] + b"LENS" + struct.pack("<I", 3) + b"abc\0"
    written, lost = copy(b"RIFF" + struct.pack("<I", len(body)) + body, ".webp")
    found = {part.name: part.body for part in riff_chunks(written)}
    assert (found["LENS"], lost) == (b"abc", ())
    assert copy(b"RIFF" + struct.pack("<I", len(body)) + body, ".png")[1] == ("chunk LENS",)


@pytest.mark.parametrize("alpha", [False, True])
def test_pillow_reads_what_is_put_into_webp(alpha, smooth, tmp_path, png):
    (tmp_path / "a.png").write_bytes(with_chunks(png, chunk_bytes("iTXt", ITXT + packet(""))))
    found = read_picture(tmp_path / "a.png").metadata
    write_picture(tmp_path / "a.webp", Picture(smooth, smooth[..., 0] if alpha else None, found))
    with Image.open(tmp_path / "a.webp") as image:
        image.load()
        assert (image.info["xmp"], image.size) == (packet(""), (48, 32))
        assert image.mode == ("RGBA" if alpha else "RGB")


ITXT = b"XML:com.adobe.xmp" + bytes(5)


def test_pillow_reads_what_is_put_into_png(copy, png, tmp_path):
    text = PngImagePlugin.PngInfo()
    source = with_chunks(png, chunk_bytes("iTXt", ITXT + packet("")))
    (tmp_path / "b.png").write_bytes(copy(source, ".png")[0])
    with Image.open(tmp_path / "b.png") as image:
        image.load()
        assert (image.info["xmp"], text.chunks) == (packet(""), [])


def test_boxes_behind_an_avif_are_named(smooth, encode, copy):
    source = encode(Image.fromarray(smooth), "AVIF", xmp=packet("", 'GCamera:MotionPhoto="1"'))
    source += struct.pack(">I4s", 8 + len(FILM), b"mpvd") + FILM
    written, lost = copy(source, ".avif")
    assert (lost, b"MotionPhoto" in written) == (("film",), False)
    assert b'dc:source="kept"' in written


# XMP


def test_packets_without_pointers_keep_every_byte():
    xmp = b'<?xpacket begin="" id="W5M0"?>  ' + packet("") + b'  <?xpacket end="w"?>'
    assert mend_xmp(xmp, Kept()) is xmp


@pytest.mark.parametrize(
    "xmp",
    [
        b"<x MotionPhoto",
        b'<!DOCTYPE x [<!ENTITY a "b">]><x>MotionPhoto&a;</x>',
        b"<MotionPhoto>" * 9_000 + b"</MotionPhoto>" * 9_000,
    ],
)
def test_packets_that_cannot_be_mended_are_dropped(xmp):
    assert mend_xmp(xmp, Kept()) is None


def test_elements_are_mended_as_attributes_are():
    inside = "<GCamera:MotionPhoto>1</GCamera:MotionPhoto><dc:title>a</dc:title>"
    mended = mend_xmp(packet(inside), Kept())
    assert mended is not None
    assert (b"MotionPhoto" in mended, b"<dc:title>a</dc:title>" in mended) == (False, True)


def test_stripping_loses_nothing(shared_dir, tmp_path):
    from multiaxis.tasks.restore.output import Output

    for name in ("03_text.png", "04_motion.jpg", "05_ultrahdr.jpg"):
        picture = read_picture(shared_dir / "data/faults" / name)
        stripped = Output(strip=True).trim(picture)
        path = tmp_path / name
        assert write_picture(path, stripped) == ()
        assert not re.search(rb"tEXt|MotionPhoto|GainMap", Path(path).read_bytes())


# TIFF


def tiff_of(smooth, path: Path, tags=(), **options) -> Path:
    tifffile.imwrite(path, smooth, photometric="rgb", metadata=None, extratags=tags, **options)
    return path


def tags_of(path: Path) -> dict[int, object]:
    with tifffile.TiffFile(path) as file:
        return {tag.code: tag.value for tag in file.pages[0].tags}


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("big", [False, True])
def test_georeferences_stay(order, big, smooth, tmp_path):
    tags = [
        (33550, 12, 3, (0.5, 0.25, 0.0)),
        (33922, 12, 6, (0.0, 0.0, 0.0, 5e5, 4e6, 0.0)),
        (34735, 3, 8, (1, 1, 0, 1, 1024, 0, 1, 1)),
        (34736, 12, 2, (6378137.0, 298.25)),
        (34737, 2, None, "WGS 84|"),
        (42112, 2, None, "<GDALMetadata/>"),
        (42113, 2, None, "-9999"),
        (285, 2, None, "page"),
        (60001, 5, 1, (1, 3)),
        (60002, 9, 2, (-5, 6)),
    ]
    path = tiff_of(smooth, tmp_path / "a.tif", tags, byteorder=order, bigtiff=big)
    assert write_picture(tmp_path / "b.tif", read_picture(path)) == ()
    before, after = tags_of(path), tags_of(tmp_path / "b.tif")
    for tag, *_ in tags:
        assert after[tag] == before[tag]
    named = set(write_picture(tmp_path / "b.png", read_picture(path)))
    assert {"tag 33550 ModelPixelScale", "tag 42113 GDAL nodata", "tag 60001"} <= named


def test_the_georeference_of_the_sheet_stays(shared_dir, tmp_path):
    source = shared_dir / "data/faults/10_geotiff.tif"
    assert write_picture(tmp_path / "b.tif", read_picture(source)) == ()
    before, after = tags_of(source), tags_of(tmp_path / "b.tif")
    assert all(after[tag] == before[tag] for tag in (33550, 33922, 34735))


def test_turned_pictures_lie_elsewhere(smooth, tmp_path):
    tags = [(33550, 12, 3, (0.5, 0.5, 0.0)), (274, 3, 1, 6), (34737, 2, None, "WGS 84|")]
    picture = read_picture(tiff_of(smooth, tmp_path / "a.tif", tags))
    assert write_picture(tmp_path / "b.tif", picture) == ("tag 33550 ModelPixelScale",)


def test_tags_that_point_elsewhere_are_named(smooth, tmp_path):
    tags = [(60003, 4, 1, 8), (60004, 4, 1, 12345), (60005, 13, 1, 8), (37724, 7, 4, b"8BIM")]
    picture = read_picture(tiff_of(smooth, tmp_path / "a.tif", tags))
    lost = set(write_picture(tmp_path / "b.tif", picture))
    assert lost == {"tag 60003", "tag 60005", "tag 37724 Photoshop layers"}
    assert tags_of(tmp_path / "b.tif")[60004] == 12345


@pytest.mark.parametrize("thumbnail_first", [False, True])
def test_thumbnails_are_no_pages(thumbnail_first, smooth, tmp_path):
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as file:
        if thumbnail_first:
            file.write(smooth[::4, ::4], photometric="rgb", subfiletype=1)
        file.write(smooth, photometric="rgb")
        if not thumbnail_first:
            file.write(smooth[::4, ::4], photometric="rgb", subfiletype=1)
    picture = read_picture(path)
    np.testing.assert_array_equal(picture.pixels, smooth)
    assert write_picture(tmp_path / "b.tif", picture) == ("thumbnail",)


def test_the_thumbnail_of_the_sheet_is_named(shared_dir, tmp_path):
    picture = read_picture(shared_dir / "data/faults/10_thumb_page2.tif")
    assert (picture.width, picture.depth) == (96, "uint16")
    assert write_picture(tmp_path / "b.tif", picture) == ("thumbnail",)


def test_pictures_below_a_page_are_named(smooth, tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(smooth, photometric="rgb", subifds=2)
        file.write(smooth[::2, ::2], photometric="rgb", subfiletype=1)
        file.write(smooth, photometric="rgb")
    picture = read_picture(tmp_path / "a.tif")
    assert set(write_picture(tmp_path / "b.tif", picture)) == {"thumbnail", "second picture"}


@pytest.mark.parametrize("kind", [1, 4, 7])
def test_iptc_in_its_own_tag_is_read(kind, smooth, copy, tmp_path):
    record = b"\x1c\x02\x05\x00\x05title" + bytes(2)
    count = len(record) // 4 if kind == 4 else len(record)
    value = struct.unpack(f"<{count}I", record) if kind == 4 else record
    path = tiff_of(smooth, tmp_path / "a.tif", [(33723, kind, count, value)])
    picture = read_picture(path)
    assert picture.metadata.iptc == as_photoshop(record[:-2])
    assert write_picture(tmp_path / "b.tif", picture) == ()
    assert read_picture(tmp_path / "b.tif").metadata.iptc == picture.metadata.iptc
    assert bytes(tags_of(tmp_path / "b.tif")[33723]) == record[:-2]
    assert write_picture(tmp_path / "b.jpg", picture) == ()


@pytest.mark.parametrize("unit", [2, 3])
def test_resolution_of_tiff_keeps_its_unit(unit, smooth, tmp_path):
    path = tiff_of(smooth, tmp_path / "a.tif", resolution=(300, 118.11), resolutionunit=unit)
    assert write_picture(tmp_path / "b.tif", read_picture(path)) == ()
    after = tags_of(tmp_path / "b.tif")
    assert (after[282], after[296]) == ((300, 1), unit)
    assert after[283][0] / after[283][1] == pytest.approx(118.11)


def test_aspects_travel_between_png_jpeg_and_tiff(copy, shared_dir):
    source = (shared_dir / "data/faults/03_phys_aspect.png").read_bytes()
    tiff, lost = copy(source, ".tif")
    again, lost_again = copy(tiff, ".png")
    assert (of(again, "pHYs"), lost, lost_again) == (of(source, "pHYs"), (), ())


def test_texts_of_tiff_keep_types_and_go_into_exif(smooth, copy, tmp_path):
    tags = [
        (315, 2, None, "A. Artist"),
        (33432, 2, None, "(c) me"),
        (316, 2, None, "host"),
        (40091, 1, 6, "ab\0".encode("utf-16-le")),
        (305, 2, None, "tool"),
    ]
    path = tiff_of(smooth, tmp_path / "a.tif", tags, description="a text", software=False)
    picture = read_picture(path)
    for suffix in (".tif", ".jpg", ".png", ".webp"):
        assert write_picture(tmp_path / f"b{suffix}", picture) == ()
    before, after = tags_of(path), tags_of(tmp_path / "b.tif")
    assert all(before[tag] == after[tag] for tag in (270, 305, 315, 316, 33432, 40091))
    with Image.open(tmp_path / "b.jpg") as image:
        exif = image.getexif()
    assert (exif[315], exif[316], exif[270]) == ("A. Artist", "host", "a text")


def test_odd_exif_goes_into_tiff_as_it_is(copy, png, shared_dir, tmp_path):
    """Strings where numbers belong, and numbers where text does: no entry stops a file."""
    entries = [
        struct.pack(">HHI4s", 0x010F, 11, 1, struct.pack(">f", 1.5)),
        struct.pack(">HHI4s", 0x013B, 2, 3, b"ab\0\0"),
        struct.pack(">HHII", 0x8769, 4, 1, 50),
    ]
    inner = [
        struct.pack(">HHI4s", 0x829A, 2, 4, b"1/5\0"),
        struct.pack(">HHI4s", 0xA002, 12, 9, b"\0\0\xff\xff"),
    ]
    exif = b"MM\0*\0\0\0\x08" + struct.pack(">H", 3) + b"".join(entries) + bytes(4)
    exif += struct.pack(">H", 2) + b"".join(inner) + bytes(4)
    source = with_chunks(png, chunk_bytes("eXIf", exif))
    for suffix in (".tif", ".png", ".jpg", ".webp"):
        assert copy(source, suffix)[1] == ()
    (tmp_path / "b.tif").write_bytes(copy(source, ".tif")[0])
    after = tags_of(tmp_path / "b.tif")
    assert (after[0x010F], after[0x013B]) == (1.5, "ab")
    assert after[0x8769]["ExposureTime"] == "1/5"
    odd = read_picture(shared_dir / "data/faults/51_artist_as_float.tif")
    assert write_picture(tmp_path / "c.tif", odd) == ()
    assert tags_of(tmp_path / "c.tif")[315] == 1.5


def test_values_across_each_other_cost_nothing():
    """Thousands of tags that each claim the whole file are not all copied."""
    count = 3000
    table = b"".join(struct.pack("<HHII", 60_000 + number, 7, 30_000, 8) for number in range(count))
    data = b"II*\0\x08\0\0\0" + struct.pack("<H", count) + table + bytes(4)
    found = read_tiff(data)
    assert sum(len(content.body) for content in found.contents) < 2 * len(data)
    assert len(found.contents) == count


def test_exif_that_tells_nothing_but_orientation_is_not_lost_in_tiff(smooth, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(smooth).save(tmp_path / "a.jpg", exif=exif)
    assert write_picture(tmp_path / "b.tif", read_picture(tmp_path / "a.jpg")) == ()
