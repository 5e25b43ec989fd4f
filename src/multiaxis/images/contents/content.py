"""What a file holds beside its samples, in one form for all kinds of files."""

from __future__ import annotations

from dataclasses import dataclass, field

from multiaxis.images.exif import is_exif

EXIF_MARK = b"Exif\0\0"
"""What JPEG files have before an EXIF block, and others have or have not."""


@dataclass(frozen=True)
class Content:
    """One chunk, segment, tag or box that is neither samples nor one of the known blocks.

    Attributes
    ----------
    name : str
        What people call it; the same thing has the same name in every kind of file.
    holder : str
        `Format.codec` of the files that can take it over as it is; empty where none can, for
        what would be wrong beside other samples, or would point to nothing.
    body : bytes
        As files of `holder` have it, header included where they have one.
    text : str or None
        The remark that it holds, which other kinds of files have a place for, too.
    late : bool
        Whether it stands behind the samples.
    layout : bytes
        PNG's depth and colour type that it fits, where it fits only one.
    """

    name: str
    holder: str = ""
    body: bytes = field(default=b"", repr=False)
    text: str | None = field(default=None, repr=False)
    late: bool = False
    layout: bytes = field(default=b"", repr=False)


@dataclass
class Found:
    """What a walk over a file finds; fields are as in `Metadata`, None where there is none."""

    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    xmp_extension: bytes | None = None
    iptc: bytes | None = None
    resolution: tuple[float, float] | None = None
    unit: str = "inch"
    aspect: tuple[int, int] | None = None
    contents: list[Content] = field(default_factory=list[Content])

    def offer_exif(self, block: bytes | None) -> None:
        """Take the first block that readers take for one; another might turn the picture again."""
        if not is_exif(self.exif):
            self.exif = block or None
        elif block:
            self.lose("second EXIF")

    def offer_xmp(self, packet: bytes | None) -> None:
        """Take the first packet, for the same reason."""
        if packet and self.xmp and packet != self.xmp:
            self.lose("second XMP")
        self.xmp = self.xmp or packet or None

    def lose(self, *names: str) -> None:
        """Note what no output can hold."""
        self.contents += [Content(name) for name in names]


def plain(name: str) -> str:
    """Make a name from a file fit for one line of a terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in name[:79])
