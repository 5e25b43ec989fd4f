"""PNG chunks: what is read from them, and how they are put into an encoded file."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

from multiaxis.images.contents.content import EXIF_MARK, Content, Found, plain
from multiaxis.images.contents.photoshop import as_photoshop
from multiaxis.images.structure import Part, chunk_bytes, chunks

if TYPE_CHECKING:
    from multiaxis.images.picture import Metadata

# Samples and how to read them; colour, which has a file of its own; an Apple aid to decoders.
_SAMPLES = {"IHDR", "PLTE", "tRNS", "IDAT", "IEND", "iDOT"}
_COLOUR = {"iCCP", "sRGB", "gAMA", "cHRM", "cICP", "mDCV", "mDCv", "cLLI", "cLLi"}
_ANIMATION = {"acTL", "fcTL", "fdAT"}
_TEXTS = {"tEXt", "zTXt", "iTXt"}
_XMP = "XML:com.adobe.xmp"
_XMP_MARK = b"http://ns.adobe.com/xap/1.0/\0"
_RAW = re.compile(r"Raw profile type (exif|app1|xmp|iptc|8bim)", re.IGNORECASE)
_COMMENT = "Comment"
_MOST = 1 << 24  # bytes of an unpacked text: what says more is hostile
_UNPACKED = 16  # texts that are unpacked in one file
_NAMES = {
    "tIME": "time",
    "caBX": "content credentials",
    "bKGD": "background colour",
    "sBIT": "significant bits",
    "sPLT": "suggested palette",
    "hIST": "histogram",
}


def read_png(data: bytes) -> Found:
    """Read what a PNG file holds beside its samples.

    Parameters
    ----------
    data : bytes
        The whole file.

    Notes
    -----
    What ImageMagick writes as ``Raw profile type`` texts is read as the blocks that they are. An
    unknown chunk is taken over where its name says that this is safe beside other samples (PNG,
    section 5.4: a fourth letter in lower case).
    """
    found, reader, late, layout, after = Found(), _Texts(), False, b"", 0
    for chunk in chunks(data):
        name, after = chunk.name, chunk.end
        if name == "IHDR":
            layout = chunk.body[8:10]
        late = late or name == "IDAT"
        if name == "iCCP" and not late and found.icc is None:
            # libpng passes by profiles of RGB in grey files, and says nothing.
            found.icc = unpack(chunk.body.partition(b"\0")[2][1:])
        if name == "PLTE" and layout[1:] in (b"\x02", b"\x06"):
            found.lose("suggested palette")
        if name in _SAMPLES or name in _COLOUR or name in _ANIMATION:
            continue
        if name == "pHYs":
            _read_density(chunk.body, found)
        elif name == "eXIf":
            found.offer_exif(chunk.body)
        elif name in _TEXTS:
            reader.take(chunk, found, late=late)
        else:
            found.contents.append(_carried(chunk, layout, late=late))
    reader.finish(found)
    if after and data[after:].strip(b"\0\r\n "):
        found.lose("data behind the end")
    return found


def put_png(data: bytes, metadata: Metadata) -> bytes:
    """Put metadata into an encoded PNG file that holds samples and colour alone.

    Parameters
    ----------
    data : bytes
        The whole file.
    metadata : Metadata
        A density in the file is replaced.
    """
    early, late = _density(metadata), b""
    if metadata.exif:
        early += chunk_bytes("eXIf", metadata.exif.removeprefix(EXIF_MARK))
    if metadata.xmp:
        early += chunk_bytes("iTXt", _XMP.encode() + bytes(5) + metadata.xmp)
    layout = data[24:26]
    for content in metadata.contents:
        body = b""
        if content.holder == "png" and content.layout in (b"", layout):
            body = content.body
        elif content.text is not None and content.holder != "png":
            body = _text(_COMMENT, content.text)
        early, late = (early, late + body) if content.late else (early + body, late)
    return insert_chunks(data, early, late, without=("pHYs",))


def insert_chunks(
    data: bytes, early: bytes, late: bytes = b"", without: Iterable[str] = ()
) -> bytes:
    """Insert whole chunks before the samples and behind them.

    Parameters
    ----------
    data : bytes
        The whole file.
    early, late : bytes
        Chunks as `chunk_bytes` makes them.
    without : iterable of str
        Names of chunks before the samples that are left out.
    """
    listed = list(chunks(data))
    first = next((chunk.start for chunk in listed if chunk.name == "IDAT"), len(data))
    end = next((chunk.start for chunk in listed if chunk.name == "IEND"), len(data))
    left_out = set(without)
    head = [part.whole for part in listed if part.start < first and part.name not in left_out]
    return b"".join([data[:8], *head, early, data[first:end], late, data[end:]])


def unpack(packed: bytes) -> bytes | None:
    """Unpack zlib data; None where they are damaged, or too large to be meant well."""
    stream = zlib.decompressobj()
    try:
        body = stream.decompress(packed, _MOST)
    except zlib.error:
        return None
    return None if stream.unconsumed_tail else body


class _Texts:
    """Sorts texts into blocks that hide in them, remarks, and others."""

    def __init__(self) -> None:
        self.unpacked = 0
        self.profiles: dict[str, bytes] = {}

    def take(self, chunk: Part, found: Found, *, late: bool) -> None:
        keyword, _, rest = chunk.body.partition(b"\0")
        word = keyword.decode("latin-1")
        raw = _RAW.fullmatch(word)
        if word == _XMP and (body := self._text(chunk.name, rest)):
            found.offer_xmp(body)
            return
        if raw and (block := _raw_profile(self._text(chunk.name, rest) or b"")):
            self._take_profile(raw[1].lower(), block, chunk, found)
            return
        name = "comment" if word == _COMMENT else f"text {plain(word)}"
        text = self._text(chunk.name, rest) if word == _COMMENT else None
        said = None if text is None else _decoded(text, utf8=chunk.name == "iTXt")
        found.contents.append(Content(name, "png", chunk.whole, said, late))

    def _take_profile(self, kind: str, block: bytes, chunk: Part, found: Found) -> None:
        if kind in ("iptc", "8bim"):
            # PNG has no other place for it: it stays the text that it is.
            found.iptc = as_photoshop(block)
            found.contents.append(Content("iptc", "png", chunk.whole))
        elif block.startswith(_XMP_MARK):
            self.profiles.setdefault("xmp", block.removeprefix(_XMP_MARK))
        else:
            self.profiles.setdefault("xmp" if kind == "xmp" else "exif", block)

    def finish(self, found: Found) -> None:
        """Chunks of their own count for more than texts that say the same."""
        found.exif = found.exif or self.profiles.get("exif")
        found.offer_xmp(self.profiles.get("xmp"))

    def _text(self, kind: str, rest: bytes) -> bytes | None:
        packed = kind == "zTXt"
        if kind == "zTXt":
            rest = rest[1:]
        elif kind == "iTXt":
            packed = rest[:1] == b"\1"
            rest = rest[2:].partition(b"\0")[2].partition(b"\0")[2]
        if not packed:
            return rest
        self.unpacked += 1
        return unpack(rest) if self.unpacked <= _UNPACKED else None


def _carried(chunk: Part, layout: bytes, *, late: bool) -> Content:
    safe = chunk.name[3:].islower()
    known = _NAMES.get(chunk.name)
    if chunk.name == "tIME" or (known is None and safe):
        name = known or f"chunk {plain(chunk.name)}"
        return Content(name, "png", chunk.whole, late=late)
    if chunk.name == "bKGD" and layout[1:] != b"\x03":
        return Content(_NAMES["bKGD"], "png", chunk.whole, layout=layout)
    return Content(known or f"chunk {plain(chunk.name)}")


def _read_density(body: bytes, found: Found) -> None:
    if len(body) != 9:
        return
    across, down, unit = struct.unpack(">IIB", body)
    if not (across and down):
        return
    if unit == 1:
        found.resolution = across / 1000, down / 1000
    elif unit == 0 and across != down and max(across, down) < 2**31:
        found.aspect = across, down


def _density(metadata: Metadata) -> bytes:
    if metadata.resolution:
        across, down = (
            min(max(1, round(value * 1000)), 2**31 - 1) for value in metadata.resolution
        )
        return chunk_bytes("pHYs", struct.pack(">IIB", across, down, 1))
    if metadata.aspect:
        return chunk_bytes("pHYs", struct.pack(">IIB", *metadata.aspect, 0))
    return b""


def _raw_profile(text: bytes) -> bytes | None:
    """Read ImageMagick's form: a name, a length and hexadecimal digits, on lines of their own."""
    words = text.split(maxsplit=2)
    if len(words) < 3 or not words[1].isdigit():
        return None
    try:
        block = bytes.fromhex(words[2].decode("ascii"))
    except ValueError:
        return None
    return block if block and len(block) == int(words[1][:12]) else None


def _text(keyword: str, text: str) -> bytes:
    """Make a text chunk; Latin-1 is all that the plain kind holds."""
    try:
        return chunk_bytes("tEXt", f"{keyword}\0{text}".encode("latin-1"))
    except UnicodeEncodeError:
        return chunk_bytes("iTXt", f"{keyword}\0\0\0\0\0{text}".encode())


def _decoded(text: bytes, *, utf8: bool) -> str | None:
    found = text.decode("utf-8" if utf8 else "latin-1", "replace")
    return found if found and "\0" not in found else None
