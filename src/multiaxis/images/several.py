"""Files of several pictures: pages of a TIFF, frames of an animated GIF, PNG or WebP."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

import numpy as np
from PIL import Image

from multiaxis.errors import ImageError
from multiaxis.files.address import Where, to_where
from multiaxis.images.colour import colour_remark
from multiaxis.images.formats import Format, recognise
from multiaxis.images.orient import upright
from multiaxis.images.picture import Metadata, Picture
from multiaxis.images.read import (
    DEFAULT_MEGAPIXELS,
    Probe,
    decode_picture,
    probe_header,
    read_metadata,
)
from multiaxis.images.structure import (
    Directory,
    chunks,
    gif_note,
    page_alone,
    read_directories,
)

ALL_OF_THEM = 10
"""How many times the limit of one picture all pages or frames together may have."""

_SUBFILE, _REDUCED = 254, 1  # a page that is another one made smaller: a thumbnail
_LARGEST_FRAME = 89.0  # megapixels; above, Pillow suspects an attack


@dataclass(frozen=True)
class Several:
    """A file of several pictures, read one by one.

    Attributes
    ----------
    name : str
        What messages call the file: a path or an address.
    kind : str
        ``"pages"`` or ``"frames"``.
    format : Format
    count : int
        At least 2.
    probes : tuple of Probe
        What each page's header says; of frames, one for all.
    plays : int
        How often an animation is shown; 0 for ever.
    """

    name: str
    kind: str
    format: Format
    count: int
    probes: tuple[Probe, ...]
    plays: int = 0
    data: bytes = field(default=b"", repr=False)
    pages: tuple[Directory, ...] = field(default=(), repr=False)
    max_megapixels: float = DEFAULT_MEGAPIXELS

    def pictures(self) -> Iterator[tuple[Picture, Fraction | None]]:
        """Read picture after picture, with the seconds that it is shown.

        Yields
        ------
        Picture
            Upright, with the metadata and remarks of its page; of an animation, the first has
            those of the file.
        Fraction or None
            None for pages, and for the still picture that some animated PNG files have.

        Raises
        ------
        ImageError
            If one is damaged or of a kind that is not read.
        """
        if self.kind == "frames":
            yield from _frames(self)
            return
        left_out = len(read_directories(self.data)) > len(self.pages)
        remarks = ("its thumbnail is not kept",) * left_out
        for page in self.pages:
            data = page_alone(self.data, page)
            picture = decode_picture(data, self.name, max_megapixels=self.max_megapixels)
            yield replace(picture, remarks=picture.remarks + remarks), None
            remarks = ()


def open_several(
    data: bytes, name: str, *, max_megapixels: float = DEFAULT_MEGAPIXELS
) -> Several | None:
    """Open a file of several pictures.

    Parameters
    ----------
    data : bytes
        The whole file.
    name : str
        What messages call it: a path or an address.
    max_megapixels : float
        For each picture, as in `decode_picture`; all together may have ten times as many.

    Returns
    -------
    Several or None
        None where the file holds one picture, or is for `decode_picture` to refuse.

    Raises
    ------
    ImageError
        If the pictures are too large or of a kind that is not read.
    """
    where, kind = to_where(name), recognise(data)
    if not isinstance(kind, Format):
        return None
    if kind.name == "TIFF":
        return _open_pages(where, kind, data, max_megapixels)
    if kind.name in ("GIF", "WebP") or (kind.name == "PNG" and _is_animated(data)):
        return _open_frames(where, kind, data, max_megapixels)
    return None


def _open_pages(where: Where, kind: Format, data: bytes, most: float) -> Several | None:
    found = read_directories(data)
    pages = tuple(page for page in found if not _is_thumbnail(page))
    if len(pages) < 2:
        return None
    probes = list[Probe]()
    for page in pages:
        alone = page_alone(data, page)
        probes.append(probe_header(alone, str(where), max_megapixels=most))
        _check_total(where, sum(probe.width * probe.height for probe in probes), most)
    return Several(str(where), "pages", kind, len(pages), tuple(probes), 0, data, pages, most)


def _open_frames(where: Where, kind: Format, data: bytes, most: float) -> Several | None:
    try:
        with Image.open(io.BytesIO(data), formats=[kind.name.upper()]) as image:
            count, plays = int(getattr(image, "n_frames", 1)), _plays(image, kind)
            bits = data[24] if kind.name == "PNG" else 8
            width, height = image.size
    except Exception as error:
        raise ImageError(_damaged(where, kind)) from error
    if count < 2:
        return None
    _check_size(where, width, height, min(most, _LARGEST_FRAME))
    _check_total(where, count * width * height, most)
    turned = _file_metadata(where, kind, data)[1] in (5, 6, 7, 8)
    width, height = (height, width) if turned else (width, height)
    probe = Probe(width, height, bands=3, depth="uint8", alpha=True, format=kind.name)
    if bits > 8:
        raise ImageError(
            f"cannot read {where}: it is an animated PNG of {bits} bits, and 8 are read; "
            f"convert it first: ffmpeg -i {where.name} -f apng -pix_fmt rgba 8bits.png"
        )
    return Several(str(where), "frames", kind, count, (probe,), plays, data, (), most)


def _plays(image: Image.Image, kind: Format) -> int:
    """Tell how often to show it; GIF counts what comes after the first time."""
    loop = image.info.get("loop")
    if kind.name != "GIF":
        return int(loop or 0)
    return 1 if loop is None else (int(loop) + 1 if loop else 0)


def _frames(several: Several) -> Iterator[tuple[Picture, Fraction | None]]:
    where = to_where(several.name)
    metadata, turn = _file_metadata(where, several.format, several.data)
    with Image.open(io.BytesIO(several.data), formats=[several.format.name.upper()]) as image:
        still = bool(getattr(image, "default_image", False))
        for number in range(several.count):
            try:
                image.seek(number)
                samples = upright(np.asarray(image.convert("RGBA")), turn)
                milliseconds = float(image.info.get("duration", 0) or 0)
            except Exception as error:
                raise ImageError(_damaged(where, several.format)) from error
            seconds = Fraction(milliseconds / 1000).limit_denominator(65535)
            kept = metadata if number == 0 else Metadata(icc=metadata.icc, colour=metadata.colour)
            picture = _picture(samples, kept)
            if number == 0:
                remarks = gif_note(several.data), colour_remark(picture)
                picture = replace(picture, remarks=tuple(filter(None, remarks)))
            yield picture, None if still and number == 0 else seconds


def _file_metadata(where: Where, kind: Format, data: bytes) -> tuple[Metadata, int]:
    try:
        return read_metadata(data, kind)
    except ImageError as error:
        raise ImageError(_damaged(where, kind)) from error


def _is_animated(data: bytes) -> bool:
    return any(chunk.name == "acTL" for chunk in chunks(data))


def _picture(samples: np.ndarray[Any, Any], metadata: Metadata) -> Picture:
    pixels, alpha = samples[..., :3], samples[..., 3]
    return Picture(np.ascontiguousarray(pixels), np.ascontiguousarray(alpha), metadata)


def _is_thumbnail(page: Directory) -> bool:
    entry = page.get(_SUBFILE)
    return bool(entry and entry.offsets and entry.offsets[0] & _REDUCED)


def _check_total(where: Where, pixels: int, most: float) -> None:
    if pixels / 1e6 > most * ALL_OF_THEM:
        raise ImageError(
            f"cannot read {where}: its pages or frames are {pixels / 1e6:.0f} megapixels together, "
            f"at most {most * ALL_OF_THEM:g} are accepted; raise the limit if the file is trusted"
        )


def _check_size(where: Where, width: int, height: int, most: float) -> None:
    if width * height / 1e6 > most:
        raise ImageError(
            f"cannot read {where}: frames of {width}x{height} are {width * height / 1e6:.1f} "
            f"megapixels, at most {most:g} are accepted; save them smaller first"
        )


def _damaged(where: Where, kind: Format) -> str:
    return (
        f"cannot read {where}: its {kind.name} frames are damaged or cut short; fetch the file "
        "again, or save its whole frames anew with an image editor"
    )
