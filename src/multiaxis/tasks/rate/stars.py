"""Stars that cameras and editors wrote: in XMP beside or inside a photograph, or in its EXIF."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from multiaxis.errors import ImageError
from multiaxis.files.read import read_bytes
from multiaxis.images import Metadata, read_outline
from multiaxis.images.contents import find_contents
from multiaxis.images.contents.xmp import RATING, find_value, put_value
from multiaxis.images.exif import Entries, gather_entries
from multiaxis.images.formats import RAW_SUFFIXES, Format, recognise
from multiaxis.images.structure import Entry

REJECTED = -1.0
_RATING, _PERCENT = 0x4746, 0x4749
_EXIF, _TAKEN, _FRACTION = 0x8769, 0x9003, 0x9291
_PERCENTS = {1: 1.0, 25: 2.0, 50: 3.0, 75: 4.0, 99: 5.0}  # as Windows writes one to five stars
_MOST = 16 << 20  # bytes of a sidecar


@dataclass(frozen=True)
class Marks:
    """What a photograph's files say of it.

    Attributes
    ----------
    stars : float or None
        1 to 5, or -1 where it is rejected; None where it is not rated (0 stars mean that, too).
    where : str
        What counts: ``"sidecar"``, ``"XMP"`` or ``"EXIF"``; empty without stars.
    differ : bool
        Whether another place says something else.
    beyond : str
        A rating that no number of stars is, such as ``"80"``.
    """

    stars: float | None = None
    where: str = ""
    differ: bool = False
    beyond: str = ""


def sidecars(path: Path) -> tuple[Path, Path]:
    """Name the files that may lie beside a photograph: ``a.xmp`` and ``a.jpg.xmp``."""
    return path.with_suffix(".xmp"), path.with_name(path.name + ".xmp")


def read_marks(path: Path) -> Marks:
    """Read the stars of a photograph; a sidecar counts first, then XMP inside it, then EXIF.

    Raises
    ------
    ImageError
        If it cannot be read.
    """
    found: list[tuple[str, str]] = []
    there = [s for s in sidecars(path) if s.is_file() and s.stat().st_size <= _MOST]
    found += [("sidecar", find_value(read_bytes(s), RATING) or "") for s in there]
    metadata = read_metadata(path)
    found.append(("XMP", find_value(metadata.xmp, RATING) or ""))
    found.append(("EXIF", _exif_stars(gather_entries(metadata.exif) if metadata.exif else {})))
    said = [(where, text) for where, text in found if text]
    known = [(where, stars) for where, text in said if (stars := _stars(text)) is not None]
    beyond = next((text for _, text in said if _stars(text) is None), "")
    rated = [(where, stars) for where, stars in known if stars != 0]
    if not rated:
        return Marks(beyond=beyond)
    where, stars = rated[0]
    return Marks(stars, where, len({value for _, value in rated}) > 1)


def read_metadata(path: Path) -> Metadata:
    """Read what stands in a photograph beside its samples; of camera raw, nothing.

    Raises
    ------
    ImageError
        If it cannot be read, or is no picture.
    """
    if path.suffix.lower() in RAW_SUFFIXES:
        return Metadata()
    outline = read_outline(path)
    kind = recognise(outline)
    if not isinstance(kind, Format):
        raise ImageError(f"{path} is no picture of a known format")
    return find_contents(outline, kind.codec, Metadata())


def taken_at(metadata: Metadata) -> float | None:
    """Tell when a photograph was taken, in seconds since 1970 by the camera's own clock."""
    entries = gather_entries(metadata.exif) if metadata.exif else {}
    inner = entries.get(_EXIF)
    if not isinstance(inner, dict):
        return None
    moment, fraction = inner.get(_TAKEN), inner.get(_FRACTION)
    try:
        at = datetime.strptime(_text(moment), "%Y:%m:%d %H:%M:%S")
    except ValueError:
        return None
    digits = _text(fraction)
    seconds = (at - datetime(1970, 1, 1)).total_seconds()
    return seconds + (int(digits[:9]) / 10 ** len(digits[:9]) if digits.isdigit() else 0.0)


def with_stars(sidecar: bytes | None, stars: int) -> bytes:
    """Write stars into the content of a sidecar, and keep the rest of it.

    Raises
    ------
    ImageError
        If it is there and cannot be understood.
    """
    content = put_value(sidecar, RATING, "xmp", str(stars))
    if content is None:
        raise ImageError(
            "the sidecar that is there cannot be understood as XMP: move it away, or mend it"
        )
    start = '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'.encode()
    return start + b"\n" + content + b'\n<?xpacket end="w"?>\n'


def _stars(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if value == REJECTED or 0 <= value <= 5 else None


def _exif_stars(entries: Entries) -> str:
    rating, percent = (_number(entries.get(tag)) for tag in (_RATING, _PERCENT))
    if rating is None and percent in _PERCENTS:
        rating = _PERCENTS[int(percent)]
    return "" if rating is None else f"{rating:g}"


def _number(entry: Entry | Entries | None) -> float | None:
    return entry.numbers[0] if isinstance(entry, Entry) and entry.numbers else None


def _text(entry: Entry | Entries | None) -> str:
    return entry.text.strip() if isinstance(entry, Entry) else ""
