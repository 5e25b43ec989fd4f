"""How results are written: the format, depth and metadata of the input unless asked otherwise."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from multiaxis.errors import ConfigError, unknown
from multiaxis.images import FORMATS, Metadata, Picture, written_suffix

DEPTHS = {"8": "uint8", "16": "uint16", "float": "float32"}


@dataclass(frozen=True)
class Output:
    """How results are written.

    Attributes
    ----------
    format : str or None
        A suffix without its dot, such as ``"png"``; by default the input's format.
    quality : int or None
        1 to 100, for JPEG, AVIF and WebP; by default 95, and lossless WebP.
    depth : str or None
        ``"8"``, ``"16"`` or ``"float"``; by default the input's.
    strip : bool
        Whether EXIF, XMP and IPTC are left out; profile and resolution stay.

    Raises
    ------
    ConfigError
        If a value is none of these.
    """

    format: str | None = None
    quality: int | None = None
    depth: str | None = None
    strip: bool = False

    def __post_init__(self) -> None:
        known = [suffix[1:] for row in FORMATS if row.depths for suffix in row.suffixes]
        if self.format is not None and self.format.lower().lstrip(".") not in known:
            raise unknown("format", self.format, known)
        if self.quality is not None and not 1 <= self.quality <= 100:
            raise ConfigError(f"the quality is {self.quality}: accepted is 1 to 100")
        if self.depth is not None and self.depth not in DEPTHS:
            raise unknown("depth", self.depth, DEPTHS)

    def suffix(self, path: Path) -> str:
        """Give the suffix of an input's output."""
        if self.format is None:
            return written_suffix(path)
        return f".{self.format.lower().lstrip('.')}"

    @property
    def sample_type(self) -> str | None:
        """Name of the dtype that is asked for, if one is."""
        return None if self.depth is None else DEPTHS[self.depth]

    def trim(self, picture: Picture) -> Picture:
        """Take out of a picture what is not to be written."""
        if not self.strip:
            return picture
        found = picture.metadata
        kept = Metadata(
            icc=found.icc,
            colour=found.colour,
            resolution=found.resolution,
            unit=found.unit,
            aspect=found.aspect,
        )
        return replace(picture, metadata=kept)

    def settings(self) -> dict[str, Any]:
        """List what decides the bytes of an output."""
        return asdict(self)
