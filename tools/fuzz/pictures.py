"""Twist pictures of every format by their structure; each is read, or refused in a sentence.

    python tools/fuzz/pictures.py [--cases 1000] [--first 1]

Seeds are tiny pictures, pages and animations, written here. Twisted are bytes anywhere, and what
containers state, with lengths and check sums mended so that it is believed: chunks of PNG, segments
of JPEG, entries of TIFF and of EXIF, chunks of WebP, boxes of HEIC and AVIF, colour profiles. What
is read is encoded again as a restoration would be ("read and used"), and must not be turned by
other readers, nor lie otherwise than where two of them agree. Anything but these and "refused in
words" is a bug.
"""

from __future__ import annotations

import functools
import io
import logging
import random
import struct
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyvips
from PIL import Image, ImageCms
from runner import DONE, REFUSED, run

from multiaxis.errors import MultiaxisError
from multiaxis.images import (
    Frame,
    as_file_has_it,
    decode_picture,
    encode_picture,
    encode_several,
    open_several,
    probe_header,
    seen_by_model,
)
from multiaxis.images.structure import (
    chunks,
    read_directories,
    read_directory,
    riff_chunks,
    segments,
)

WIDTH, HEIGHT = 14, 10
NUMBERS = [0, 1, 2, 3, 6, 8, 9, 255, 256, 65535, 2**31 - 1, 2**31, 2**32 - 1]
TARGETS = [".png", ".tif", ".webp", ".jpg", ".png", ".tif"]
MADE = b"acTL fcTL fdAT cICP gAMA cHRM pHYs tRNS PLTE sRGB tEXt zTXt iTXt eXIf iCCP bKGD sBIT tIME"
BOXES = b"meta iprp ipco ipma iloc iinf infe iref ispe colr irot imir pixi av1C hvcC auxC pitm ftyp"
TYPES = [0, 1, 2, 3, 4, 5, 7, 9, 11, 12, 13, 16, 99]
TAGS = [0x0112, 0x8769, 0x0111, 0x0103, 0x0152, 0x00FE, 700]


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


@functools.cache
def seeds() -> dict[str, list[bytes]]:
    """Write pictures of every format, with everything that they can carry."""
    rng = np.random.default_rng(1)
    samples = rng.integers(0, 255, (HEIGHT, WIDTH, 4), dtype=np.uint8)
    rgba, rgb = Image.fromarray(samples), Image.fromarray(samples[..., :3].copy())
    grey, deep = rgb.convert("L"), samples[..., :3].astype(np.uint16) * 257
    exif = Image.Exif()
    exif[0x0112], exif[0x010F], exif[0x011A] = 6, "Maker", 300.0
    exif[0x8769] = {0x9003: "2019:08:07 06:05:04", 0x927C: b"NOTE", 0xA002: WIDTH, 0xA003: HEIGHT}
    exif[0x8825] = {1: "N", 2: (48.0, 8.0, 30.5)}
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    both = {"exif": exif.tobytes(), "icc_profile": icc}
    moving = {"save_all": True, "append_images": [rgba.rotate(180), rgba], "duration": [50, 60, 70]}
    wide = pyvips.Image.new_from_memory(deep.tobytes(), WIDTH, HEIGHT, 3, "ushort")
    wide = wide.copy(interpretation="rgb16")
    return {
        "png": [
            saved(rgba, "PNG", **both), saved(rgb.quantize(9), "PNG", transparency=2, dpi=(9, 9)),
            saved(grey, "PNG", exif=exif), wide.pngsave_buffer(), saved(rgba, "PNG", **moving),
        ],
        "jpeg": [
            saved(rgb, "JPEG", **both, xmp=xmp, comment=b"by hand"), saved(grey, "JPEG", exif=exif),
            saved(rgb.convert("CMYK"), "JPEG"), saved(rgb, "JPEG", xmp=xmp, progressive=True),
        ],
        "tiff": [
            saved(rgb, "TIFF", **both), saved(grey, "TIFF", compression="tiff_lzw"),
            saved(rgb, "TIFF", save_all=True, append_images=[grey, rgba]), wide.tiffsave_buffer(),
            wide.tiffsave_buffer(bigtiff=True, tile=True, compression="deflate"),
            wide.colourspace("lab").tiffsave_buffer(), saved(rgb.convert("LAB"), "TIFF"),
            (wide.cast("float") / 65535).copy(interpretation="scrgb").tiffsave_buffer(),
        ],
        "webp": [
            saved(rgba, "WEBP", **both, lossless=True, xmp=xmp), saved(rgb, "WEBP", exif=exif),
            saved(rgba, "WEBP", **moving, lossless=True, exif=exif),
        ],
        "gif": [saved(rgb, "GIF", comment=b"by hand"), saved(rgba, "GIF", **moving, loop=2)],
        "iso": [saved(rgba, "AVIF", **both), saved(rgb, "AVIF", xmp=xmp), *heic(rgb, rgba, exif)],
    }  # fmt: skip


def heic(rgb: Image.Image, rgba: Image.Image, exif: Image.Exif) -> list[bytes]:
    try:
        import pillow_heif
    except ImportError:
        return []
    pillow_heif.register_heif_opener()
    return [saved(image.resize((64, 64)), "HEIF", exif=exif.tobytes()) for image in (rgb, rgba)]


def any_bytes(data: bytes, rng: random.Random) -> bytes:
    """Cut, flip, double, zero, or write absurd numbers into."""
    made, kind = bytearray(data or b"\0"), rng.randrange(5)
    at = rng.randrange(len(made))
    if kind == 0:
        return bytes(made[:at])
    if kind == 1:
        for _ in range(rng.randrange(1, 12)):
            made[rng.randrange(len(made))] ^= 1 << rng.randrange(8)
    elif kind == 2:
        made[at:at] = made[at : at + rng.randrange(1, 200)]
    elif kind == 3:
        made[at : at + 40] = bytes(min(40, len(made) - at))
    else:
        order = rng.choice(["<", ">"])
        made[at : at + 4] = struct.pack(f"{order}I", rng.choice(NUMBERS))
    return bytes(made)


def rows(parts: list[bytes], rng: random.Random, made: Callable[[], bytes]) -> list[bytes]:
    """Leave out, repeat, move or add a part."""
    parts, at, kind = list(parts), rng.randrange(len(parts)), rng.randrange(4)
    if kind == 0:
        del parts[at]
    elif kind == 1:
        parts.insert(rng.randrange(len(parts) + 1), parts[at])
    elif kind == 2:
        parts.insert(rng.randrange(len(parts)), parts.pop(at))
    else:
        parts.insert(at, made())
    return parts


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def twist_png(data: bytes, rng: random.Random) -> bytes:
    found = list(chunks(data))
    parts = [part.whole for part in found]
    if rng.random() < 0.6:
        part = rng.choice(found)
        name = rng.choice(MADE.split()) if rng.random() < 0.2 else part.name.encode("latin-1")
        parts[found.index(part)] = chunk(name, any_bytes(part.body, rng))
    else:
        parts = rows(
            parts, rng, lambda: chunk(rng.choice(MADE.split()), rng.randbytes(rng.randrange(40)))
        )
    return data[:8] + b"".join(parts)


def segment(marker: bytes, body: bytes) -> bytes:
    return marker + struct.pack(">H", min(len(body) + 2, 65535)) + body


def twist_jpeg(data: bytes, rng: random.Random) -> bytes:
    found = list(segments(data))
    parts = [part.whole for part in found]
    part = rng.choice(found[:-1])
    if rng.random() < 0.6:
        tail = part.whole[part.inner_end - part.start :]
        parts[found.index(part)] = segment(part.whole[:2], any_bytes(part.body, rng)) + tail
    else:
        marker = b"\xff" + bytes([rng.choice([0xE1, 0xE2, 0xED, 0xFE])])
        parts = rows(parts, rng, lambda: segment(marker, part.body[: rng.randrange(200)]))
    return data[:2] + b"".join(parts)


def twist_tiff(data: bytes, rng: random.Random, start: int = 0) -> bytes:
    """Change type, count, value or tag of an entry, or where the next directory lies."""
    found = read_directories(data, start)
    directory = rng.choice(found) if found else None
    if directory and rng.random() < 0.3:
        pointers = [entry for entry in directory.entries if entry.tag in (0x8769, 0x8825)]
        offsets = rng.choice(pointers).offsets if pointers else ()
        directory = (read_directory(data, offsets[0], start) if offsets else None) or directory
    if not directory or not directory.entries:
        return any_bytes(data, rng)
    made = bytearray(data)
    size = 8 if data[start + 2 : start + 4] in (b"+\0", b"\0+") else 4
    order = "little" if data[start : start + 1] == b"I" else "big"
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        entry = rng.choice(directory.entries)
        changes = [
            (entry.at + 2, rng.choice(TYPES), 2),
            (entry.at + 4, rng.choice(NUMBERS), size),
            (entry.at + 4 + size, rng.choice([*NUMBERS, len(data), len(data) - 9]), size),
            (entry.at, rng.choice(TAGS), 2),
            (directory.at, rng.choice([0, 1, 3, 300, 65535]), 8 if size == 8 else 2),
            (max(directory.next_at, 0), rng.choice([directory.at - start, 8, 0]), size),
        ]
        at, value, length = rng.choice(changes)
        made[at : at + length] = (value % 256**length).to_bytes(length, order)
    return bytes(made)


def riff(name: str, body: bytes) -> bytes:
    size = struct.pack("<I", len(body))
    return name.encode("latin-1") + size + body + bytes(len(body) % 2)


def twist_webp(data: bytes, rng: random.Random) -> bytes:
    found = list(riff_chunks(data))
    parts = [part.whole for part in found]
    part = rng.choice(found)
    if rng.random() < 0.6:
        parts[found.index(part)] = riff(part.name, any_bytes(part.body, rng))
    else:
        names = ["VP8X", "ICCP", "ANIM", "ANMF", "ALPH", "EXIF", "XMP ", "VP8L"]
        parts = rows(parts, rng, lambda: riff(rng.choice(names), part.body[: rng.randrange(60)]))
    return riff("RIFF", b"WEBP" + b"".join(parts))


def twist_iso(data: bytes, rng: random.Random) -> bytes:
    """Change what lies in the boxes before the samples, most of all behind the names of boxes."""
    made = bytearray(data)
    places = [at for name in BOXES.split() if (at := data.find(name)) > 0]
    for _ in range(rng.choice([1, 1, 2, 4])):
        at = rng.choice(places) + rng.randrange(-4, 24)
        made[at : at + 1] = bytes([rng.choice([0, 1, 2, 3, 4, 8, 16, 127, 128, 255])])
    return bytes(made)


def twist_exif(data: bytes, rng: random.Random) -> bytes:
    """Twist the directories inside a JPEG, PNG or WebP file, sums mended."""
    at = next((data.find(mark) for mark in (b"MM\0*", b"II*\0") if mark in data[12:]), -1)
    if at < 0:
        return any_bytes(data, rng)
    made = twist_tiff(data, rng, at)
    if made.startswith(b"\x89PNG"):
        made = made[:8] + b"".join(chunk(part.name.encode("latin-1"), part.body)
                                   for part in chunks(made))  # fmt: skip
    return made


def twist_icc(data: bytes, rng: random.Random) -> bytes:
    """Twist the colour profile inside a picture that is encoded anew."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    made = bytearray(any_bytes(profile, rng))
    if len(made) > 140 and rng.random() < 0.5:
        at = 128 + rng.randrange(min(120, len(made) - 132))
        made[at : at + 4] = struct.pack(">I", rng.choice(NUMBERS))
    kind = rng.choice(["PNG", "JPEG", "TIFF", "WEBP"])
    image = Image.frombytes("RGB", (WIDTH, HEIGHT), (data * 9)[: 3 * WIDTH * HEIGHT])
    return saved(image, kind, icc_profile=bytes(made))


TWISTS: dict[str, tuple[Callable[[bytes, random.Random], bytes], list[str]]] = {
    "bytes": (any_bytes, ["png", "jpeg", "tiff", "webp", "gif", "iso"]),
    "chunks of PNG": (twist_png, ["png"]),
    "segments of JPEG": (twist_jpeg, ["jpeg"]),
    "entries of TIFF": (twist_tiff, ["tiff"]),
    "chunks of WebP": (twist_webp, ["webp"]),
    "boxes of HEIC and AVIF": (twist_iso, ["iso"]),
    "entries of EXIF": (twist_exif, ["jpeg", "png", "webp"]),
    "colour profiles": (twist_icc, ["png"]),
}


def case(number: int, folder: Path) -> tuple[str, str]:
    warnings.simplefilter("ignore")
    logging.disable()
    rng = random.Random(number)  # noqa: S311
    if number == 0:
        for seed in (seed for row in seeds().values() for seed in row):
            restore(seed, folder, rng)
    kind = rng.choice(list(TWISTS))
    twist, formats = TWISTS[kind]
    data = twist(rng.choice(seeds()[rng.choice(formats)]), rng)
    try:
        return kind, restore(data, folder, rng)
    except MultiaxisError as error:
        return kind, REFUSED if "\n" not in str(error) else "refused in several lines"
    except BaseException as error:  # noqa: BLE001 (a panic of a library is none of Exception)
        return kind, f"{type(error).__name__}: {str(error)[:60]!r}"


def restore(data: bytes, folder: Path, rng: random.Random) -> str:
    source, target = folder / "case", folder / f"out{rng.choice(TARGETS)}"
    several = open_several(data, str(source), max_megapixels=5)
    if several is not None:
        suffix = ".tif" if several.kind == "pages" else rng.choice([".png", ".webp"])
        target = target.with_suffix(suffix)
        frames = [Frame(encode_picture(target, one)[0], time) for one, time in several.pictures()]
        made = encode_several(target, frames, several)[0]
    else:
        probe = probe_header(data, str(source), max_megapixels=5)
        picture = decode_picture(data, str(source), max_megapixels=5)
        if (probe.width, probe.height) != (picture.width, picture.height):
            return "the header says another size"
        if turned_otherwise(data, picture.width, picture.height):
            return "lies otherwise than others show it"
        if picture.depth == "float32" or picture.extra is not None:
            target = target.with_suffix(".tif")
        elif picture.depth == "uint16" or picture.has_alpha:
            target = target.with_suffix(rng.choice([".tif", ".png"]))
        made = encode_picture(target, as_file_has_it(picture, seen_by_model(picture)))[0]
    return "is turned again by others" if {*shown(made)} - {1, None} else DONE


def turned_otherwise(data: bytes, width: int, height: int) -> bool:
    """Tell whether two readers agree in an orientation, and the picture has another shape."""
    one, other = shown(data)
    if one is None or one != other or not data.startswith((b"\x89PNG", b"\xff\xd8", b"RIFF")):
        return False
    with Image.open(io.BytesIO(data)) as image:
        stored = image.size
    return (width, height) != (stored[::-1] if one > 4 else stored)


def shown(data: bytes) -> tuple[int | None, int | None]:
    """Give the orientations that Pillow and libvips turn by; None where one cannot read it."""
    pillow: int | None = None
    try:
        with Image.open(io.BytesIO(data)) as image:
            image.load()
            Image.Exif().load(image.info.get("exif") or b"")  # else getexif hides that it failed
            found = image.getexif().get(0x0112, 1)
            pillow = (
                int(found) if not isinstance(found, str | bytes) and found in range(1, 9) else 1
            )
    except Exception:  # noqa: BLE001 (what it cannot read it does not turn)
        pillow = None
    try:
        image = pyvips.Image.new_from_buffer(data, "")
        return pillow, image.get("orientation") if image.get_typeof("orientation") else 1
    except pyvips.Error:
        return pillow, None


if __name__ == "__main__":
    run(case, __doc__.splitlines()[0])
