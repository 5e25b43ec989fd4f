"""Which files are pictures, and what each format can hold: one table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any, TypeAlias

from multiaxis.errors import ImageError
from multiaxis.files.address import Remote

Target: TypeAlias = PurePath | Remote
"""What will be written; its suffix names the format, and messages name it."""


@dataclass(frozen=True)
class Format:
    """One picture format.

    Attributes
    ----------
    name : str
        As people call it.
    suffixes : tuple of str
        Lower case; the first is the usual one.
    codec : str
        What libvips calls its loader and saver.
    depths : tuple of str
        Sample types that can be written without loss of depth.
    max_side : int
        Longest side that can be written, in pixels.
    alpha : bool
        Whether transparency can be written.
    extra : bool
        Whether bands beside colour and alpha can be written.
    hdr : bool
        Whether the colour space of HDR can be written.
    grey : bool
        Whether grey stays one channel; if not, it is written as RGB.
    options : mapping
        Options of the saver.
    written_as : str
        Suffix that takes the place of its own in outputs, for what is only read.
    note : str
        What a user should know before choosing the format.
    """

    name: str
    suffixes: tuple[str, ...]
    codec: str
    depths: tuple[str, ...]
    max_side: int
    alpha: bool = True
    extra: bool = False
    hdr: bool = False
    grey: bool = True
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    written_as: str = ""
    note: str = ""


_RAW = "3fr arw cr2 cr3 dng erf iiq kdc mef mos mrw nef nrw orf pef raf raw rw2 sr2 srf srw x3f"
RAW_SUFFIXES = tuple(f".{name}" for name in _RAW.split())
"""Camera files; many are TIFF inside and would open as their small preview."""

CAMERA_RAW = Format(
    "camera raw",
    RAW_SUFFIXES,
    "raw",
    (),
    0,
    written_as=".tif",
    note="read with the raw extra: developed to 16-bit sRGB with the camera's white balance; "
    "written as TIFF",
)
"""Told by the suffix: its content may look like a TIFF, which is the preview."""

FORMATS = (
    Format(
        "PNG",
        (".png",),
        "png",
        ("uint8", "uint16"),
        2**31 - 1,
        hdr=True,
        note="lossless; holds ICC, EXIF, XMP and resolution, not IPTC",
    ),
    Format(
        "JPEG",
        (".jpg", ".jpeg", ".jpe", ".jfif"),
        "jpeg",
        ("uint8",),
        65_500,
        alpha=False,
        # Halved chroma costs about 3 dB: more than many restorations win.
        options={"Q": 95, "subsample_mode": "off", "optimize_coding": True},
        note="lossy, quality 95 with full chroma; holds all metadata",
    ),
    Format(
        "TIFF",
        (".tif", ".tiff"),
        "tiff",
        ("uint8", "uint16", "float32"),
        2**31 - 1,
        extra=True,
        options={"compression": "deflate", "predictor": "horizontal"},
        note="lossless; holds all metadata (EXIF not in files above 4 GB)",
    ),
    Format(
        "WebP",
        (".webp",),
        "webp",
        ("uint8",),
        16_383,
        grey=False,
        # Lossy WebP always halves chroma (35 to 43 dB at quality 95); exact keeps hidden colour.
        options={"lossless": True, "exact": True},
        note="written lossless; grey comes back as RGB; holds ICC, EXIF and XMP",
    ),
    Format(
        "AVIF",
        (".avif",),
        "heif",
        ("uint8",),
        16_384,
        grey=False,
        # Effort 2: a tenth of the default's time for 0.4 dB less.
        options={"compression": "av1", "Q": 95, "subsample_mode": "off", "effort": 2},
        note="lossy, quality 95 with full chroma, alpha too; grey comes back as RGB; holds ICC, "
        "EXIF and XMP; 10 and 12 bits are read as 16, and kept by PNG or TIFF",
    ),
    Format(
        "GIF",
        (".gif",),
        "gif",
        (),
        0,
        written_as=".webp",
        note="read; written as WebP without loss, since 256 colours would not hold the result",
    ),
    Format(
        "HEIC",
        (".heic", ".heif", ".hif"),
        "heic",
        (),
        0,
        written_as=".png",
        note="read with the heic extra, 10 and 12 bits as 16; written as PNG",
    ),
    CAMERA_RAW,
)

READABLE_SUFFIXES = frozenset(suffix for row in FORMATS for suffix in row.suffixes)
"""Suffixes of pictures that can be read, all lower case, with the dot."""

READABLE_NAMES = ", ".join(row.name for row in FORMATS)

_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
)

_FOREIGN = (
    (b"BM", "BMP"),
    (b"8BPS", "Photoshop"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cJXL ", "JPEG XL"),
    (b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (b"v/1\x01", "OpenEXR"),
    (b"%PDF", "PDF"),
    (b"<svg", "SVG"),
)

ANIMATED = "animated HEIF or AVIF"
"""What `recognise` calls sequences of those."""

_BRANDS = dict.fromkeys((b"avis", b"msf1", b"hevc"), ANIMATED)
_HEIC = {b"heic", b"heix", b"heim", b"heis"}


def recognise(data: bytes) -> Format | str | None:
    """Tell the format from the first bytes of a file; the suffix plays no part.

    Returns
    -------
    Format, str or None
        A format that can be read; the name of one that cannot; or None for something else.
    """
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _by_name("WebP")
    if data[4:8] == b"ftyp":
        return _by_brands(data)
    for magic, name in _MAGIC:
        if data.startswith(magic):
            return _by_name(name)
    return next((name for magic, name in _FOREIGN if data.startswith(magic)), None)


def format_of(target: Target) -> Format:
    """Find the format to write from the suffix of a name.

    Raises
    ------
    ImageError
        If the suffix belongs to no format that can be written.
    """
    suffix = target.suffix.lower()
    for row in FORMATS:
        if suffix in row.suffixes:
            return row
    known = ", ".join(sorted(suffix for row in FORMATS if row.depths for suffix in row.suffixes))
    found = f"unknown suffix {target.suffix!r}" if suffix else "no suffix"
    raise ImageError(f"cannot write {target}: {found}; accepted are {known}")


def written_suffix(path: Target) -> str:
    """Give the suffix of what is written for an input that keeps its format where it can.

    Examples
    --------
    >>> [written_suffix(PurePath(name)) for name in ("a.JPG", "b.heic", "c.NEF")]
    ['.JPG', '.png', '.tif']
    """
    row = next((row for row in FORMATS if path.suffix.lower() in row.suffixes), None)
    return row.written_as if row and row.written_as else path.suffix


def formats_for(depth: str, *, alpha: bool) -> list[Format]:
    """List the formats that can hold a depth, and alpha where there is some."""
    return [row for row in FORMATS if depth in row.depths and (row.alpha or not alpha)]


def check_holds(
    target: Target,
    *,
    depth: str,
    alpha: bool,
    height: int,
    width: int,
    extra: int = 0,
    hdr: str = "",
) -> None:
    """Refuse a format that would lose depth, transparency, bands or HDR, or is too small.

    Parameters
    ----------
    target : PurePath or Remote
        What will be written; its suffix names the format.
    depth : str
        ``"uint8"``, ``"uint16"`` or ``"float32"``.
    alpha : bool
        Whether there is transparency.
    height, width : int
        Pixels.
    extra : int
        Bands beside colour and alpha.
    hdr : str
        ``"PQ"``, ``"HLG"`` or nothing.

    Raises
    ------
    ImageError
        Says which formats hold such a picture.
    """
    kind, fitting = format_of(target), formats_for(depth, alpha=alpha)
    fitting = [row for row in fitting if (row.extra or not extra) and (row.hdr or not hdr)]
    if not fitting:
        raise ImageError(
            f"cannot write {target}: no format that is written holds {hdr} and extra bands together"
        )
    if kind not in fitting and not kind.depths:
        raise ImageError(
            f"cannot write {target}: {kind.name} files are only read; use {usual_suffixes(fitting)}"
        )
    if kind not in fitting:
        parts = ["alpha"] * alpha + [f"{extra} extra band{'s' * (extra > 1)}"] * bool(extra)
        parts += [f"HDR colours ({hdr})"] * bool(hdr)
        kept = " with ".join([depth, *([" and ".join(parts)] if parts else [])])
        raise ImageError(
            f"cannot write {target}: {kind.name} cannot hold {kept}; use {usual_suffixes(fitting)}"
        )
    longest = max(height, width)
    if longest > kind.max_side:
        larger = usual_suffixes(row for row in fitting if row.max_side >= longest)
        raise ImageError(
            f"cannot write {target}: {width}x{height} pixels exceed the {kind.max_side} that "
            f"{kind.name} can hold along one side; use {larger}"
        )


def usual_suffixes(rows: Iterable[Format]) -> str:
    """List the usual suffixes of some formats, for a message."""
    return " or ".join(row.suffixes[0] for row in rows)


def _by_name(name: str) -> Format:
    return next(row for row in FORMATS if row.name == name)


def _by_brands(data: bytes) -> Format | str | None:
    """Read the brands of an ISO media file: the major one, then the compatible ones."""
    length = min(int.from_bytes(data[:4], "big"), 256)
    major = data[8:12]
    brands = [major, *(data[at : at + 4] for at in range(16, length, 4))]
    if major in _BRANDS:
        return _BRANDS[major]
    if b"avif" in brands:
        return _by_name("AVIF")
    return _by_name("HEIC") if _HEIC & set(brands) else "video or another ISO media"
