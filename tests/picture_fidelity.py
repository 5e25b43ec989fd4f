"""The fidelity of picture files, measured: what `docs/files.md` says is what this finds.

Files are written by Pillow, tifffile or by hand, go through the real reader and writer unchanged,
and are looked into with Pillow, tifffile or as bytes.
"""

from __future__ import annotations

import hashlib
import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image, ImageCms, IptcImagePlugin

from multiaxis.errors import ImageError
from multiaxis.images import FORMATS, Picture, read_picture, write_picture
from multiaxis.images.formats import Format

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
RDF = b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/">' + RDF + b"</rdf:RDF></x:xmpmeta>"
RECORD = b"\x1c\x02\x05\x00\x05title"
IPTC = b"Photoshop 3.0\0" + b"8BIM\x04\x04\0\0" + struct.pack(">I", len(RECORD)) + RECORD
FILM = struct.pack(">I4s4sI4s", 20, b"ftyp", b"mp42", 0, b"isom") + b"\0\0\0\x0cmdatfilm"
MARK = b"of a maker"
ROWS, COLUMNS = np.mgrid[0:32, 0:48]
RAMP = np.stack([COLUMNS * 5, ROWS * 7, 255 - COLUMNS * 2 - ROWS * 3], -1).astype(np.uint8)
WRITTEN = [row for row in FORMATS if row.depths and row.codec != "gif"]
NAMES = {"uint8": "8", "uint16": "16", "float32": "float"}
SCALES = {"uint8": 1, "uint16": 257, "float32": 1 / 255}


def formats_table(folder: Path) -> list[str]:
    """Measure what each format keeps of samples and of the known blocks."""
    head = [
        "format",
        "depths",
        "alpha",
        "grey",
        "ICC",
        "EXIF",
        "XMP",
        "IPTC",
        "resolution",
        "samples",
    ]
    photo = folder / "photo.jpg"
    photo.write_bytes(_photograph())
    rows = [_format_row(kind, read_picture(photo), folder) for kind in WRITTEN]
    return _lines([head, *rows])


def contents_table(folder: Path) -> list[str]:
    """Measure what becomes of everything else that a file can hold, in each format."""
    table = [["what a file holds", *(kind.name for kind in WRITTEN)]]
    for name, source, word, is_there in _sources():
        (folder / "source").write_bytes(source)
        picture = read_picture(folder / "source")
        cells = [_cell(picture, kind, word, is_there, folder) for kind in WRITTEN]
        table.append([name, *cells])
    return _lines(table)


def _lines(table: list[list[str]]) -> list[str]:
    """Write a table as Markdown has it."""
    lines = [f"| {' | '.join(row)} |" for row in table]
    return [lines[0], f"|{' --- |' * len(table[0])}", *lines[1:]]


def _photograph() -> bytes:
    exif = Image.Exif()
    exif[0x010F], exif[0x8769] = "Maker", {0x9003: "2019:08:07 06:05:04"}
    stream = io.BytesIO()
    Image.fromarray(RAMP).save(
        stream, "JPEG", quality=100, exif=exif, icc_profile=SRGB, xmp=XMP, dpi=(300, 300)
    )
    return _with_segment(stream.getvalue(), 0xED, IPTC)


def _with_segment(jpeg: bytes, marker: int, body: bytes) -> bytes:
    return jpeg[:20] + bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body + jpeg[20:]


def _format_row(kind: Format, photo: Picture, folder: Path) -> list[str]:
    path = folder / f"copy{kind.suffixes[0]}"
    lost = write_picture(path, photo, overwrite=True)
    with Image.open(path) as image:
        image.load()
        exif = image.getexif()
        inside = exif.get_ifd(0x8769)
        xmp = image.info.get("xmp") or getattr(image, "tag_v2", {}).get(700, b"")
        found = {
            "icc": image.info.get("icc_profile") == SRGB,
            "exif": inside.get(0x9003) == "2019:08:07 06:05:04",
            "xmp": bytes(xmp) == XMP,
            "iptc": bool(IptcImagePlugin.getiptcinfo(image)) if kind.codec != "heif" else False,
            "resolution": round(float(image.info.get("dpi", (0, 0))[0] or exif.get(282, 0))) == 300,
        }
    blocks = [_word(found[name], name in lost) for name in found]
    depths = ", ".join(NAMES[depth] for depth in NAMES if _holds(kind, depth, folder))
    return [kind.name, depths, _alpha(kind, folder), _grey(kind, folder), *blocks,
            _samples(kind, folder)]  # fmt: skip


def _word(kept: bool, named: bool) -> str:
    return "kept" if kept else "reported lost" if named else "LOST IN SILENCE"


def _holds(kind: Format, depth: str, folder: Path) -> bool:
    try:
        path = folder / f"depth{kind.suffixes[0]}"
        write_picture(
            path, Picture((RAMP.astype(np.float32) * SCALES[depth]).astype(depth)), overwrite=True
        )
    except ImageError:
        return False
    return read_picture(path).depth == depth


def _alpha(kind: Format, folder: Path) -> str:
    path, alpha = folder / f"alpha{kind.suffixes[0]}", RAMP[..., 0].copy()
    try:
        write_picture(path, Picture(RAMP, alpha), overwrite=True)
    except ImageError:
        return "refused"
    with Image.open(path) as image:
        found = np.asarray(image.convert("RGBA"))[..., 3].astype(int)
    return "kept" if np.abs(found - alpha).max() <= 3 else "CHANGED"


def _grey(kind: Format, folder: Path) -> str:
    path = folder / f"grey{kind.suffixes[0]}"
    write_picture(path, Picture(RAMP[..., :1].copy()), overwrite=True)
    with Image.open(path) as image:
        return "kept" if image.mode == "L" else "as RGB"


def _samples(kind: Format, folder: Path) -> str:
    path = folder / f"samples{kind.suffixes[0]}"
    write_picture(path, Picture(RAMP), overwrite=True)
    with Image.open(path) as image:
        if np.array_equal(np.asarray(image.convert("RGB")), RAMP):
            return "every bit" + (" (unless `--quality`)" if "lossless" in kind.options else "")
    return f"quality {kind.options['Q']}, full chroma"


def _cell(
    picture: Picture, kind: Format, word: str, is_there: Callable[[bytes], bool], folder: Path
) -> str:
    path = folder / f"copy{kind.suffixes[0]}"
    lost = write_picture(path, picture, overwrite=True)
    return _word(is_there(path.read_bytes()), any(word in name for name in lost))


def _sources() -> list[tuple[str, bytes, str, Callable[[bytes], bool]]]:
    """List what it is, a file that holds it, its name where it is lost, and how it is found."""
    png, jpeg, webp = (_plain(kind) for kind in ("PNG", "JPEG", "WEBP"))
    geo = [(33550, 12, 3, (0.5, 0.25, 0.0)), (65001, 2, None, MARK.decode())]
    jumb = b"JP\0\1\0\0\0\1jumb c2pa " + MARK
    second = b"MPF\0II*\0\x08\0\0\0\0\0\0\0\0\0"
    return [
        ("texts of PNG", _with_chunk(png, b"tEXtTitle\0" + MARK), "text", _has(MARK)),
        ("comment (JPEG, PNG)", _with_segment(jpeg, 0xFE, MARK), "comment", _has(MARK)),
        ("time of PNG", _with_chunk(png, b"tIME" + bytes(7)), "time", _has(b"tIME")),
        ("pixel aspect", _with_chunk(png, b"pHYs" + struct.pack(">IIB", 2, 1, 0)), "aspect",
         _is_wide),
        ("PNG's private chunks, if safe to copy", _with_chunk(png, b"prVt" + MARK), "prVt",
         _has(MARK)),
        ("JPEG segments of other makers", _with_segment(jpeg, 0xE6, MARK), "APP6", _has(MARK)),
        ("WebP's unknown chunks", _with_riff(webp), "chunk", _has(MARK)),
        ("GeoTIFF and other plain tags", _tiff(geo), "tag", _has(MARK)),
        ("tags that point elsewhere", _tiff([(65002, 13, 1, 8)]), "tag", _has(b"\xea\xfd\x0d\0")),
        ("extended XMP", _extended(jpeg), "XMP", _has(MARK)),
        ("film of a motion photograph", jpeg + FILM, "film", _has(FILM)),
        ("gain map, second picture, depth map", _with_segment(jpeg, 0xE2, second) + jpeg,
         "second picture", _has(b"MPF\0")),
        ("content credentials (C2PA)", _with_segment(jpeg, 0xEB, jumb), "credentials", _has(MARK)),
        ("other data behind the end", jpeg + MARK, "behind", _has(MARK)),
    ]  # fmt: skip


def _has(mark: bytes) -> Callable[[bytes], bool]:
    return lambda data: mark in data


def _is_wide(data: bytes) -> bool:
    with Image.open(io.BytesIO(data)) as image:
        if image.format == "PNG":
            return b"pHYs" + struct.pack(">IIB", 2, 1, 0) in data
        if image.format == "JPEG":
            return (image.info["jfif_unit"], *image.info["jfif_density"]) == (0, 2, 1)
        tags = getattr(image, "tag_v2", {})
        return bool(tags) and (tags.get(296), tags.get(282), tags.get(283)) == (1, 2, 1)


def _plain(kind: str) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(RAMP).save(stream, kind, exif=b"II*\0\x08" + bytes(9), lossless=True)
    return stream.getvalue()


def _with_chunk(png: bytes, named: bytes) -> bytes:
    size = struct.pack(">I", len(named) - 4)
    return png[:33] + size + named + struct.pack(">I", zlib.crc32(named)) + png[33:]


def _with_riff(webp: bytes) -> bytes:
    body = webp[8:] + b"LENS" + struct.pack("<I", len(MARK)) + MARK + bytes(len(MARK) % 2)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _tiff(tags: list[tuple[int, int, int | None, object]]) -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(stream, RAMP, photometric="rgb", metadata=None, extratags=tags)
    return stream.getvalue()


def _extended(jpeg: bytes) -> bytes:
    inside = b'<rdf:Description xmlns:a="urn:a" a:b="' + MARK + b'"/>'
    whole = b'<x:xmpmeta xmlns:x="adobe:ns:meta/">' + RDF + inside + b"</rdf:RDF></x:xmpmeta>"
    guid = hashlib.md5(whole, usedforsecurity=False).hexdigest().upper().encode()
    note = b'<rdf:Description xmlns:n="http://ns.adobe.com/xmp/note/" n:HasExtendedXMP="'
    main = XMP.replace(b"</rdf", note + guid + b'"/></rdf')
    place = guid + struct.pack(">II", len(whole), 0)
    jpeg = _with_segment(jpeg, 0xE1, b"http://ns.adobe.com/xmp/extension/\0" + place + whole)
    return _with_segment(jpeg, 0xE1, b"http://ns.adobe.com/xap/1.0/\0" + main)
