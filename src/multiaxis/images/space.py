"""Colour spaces that a file states in a few numbers, without a profile: cICP, nclx, gAMA, cHRM."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from multiaxis.images.structure import Items, Part

SRGB_PRIMARIES = (0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
"""x and y of white, red, green and blue."""

HDR = {16: "PQ", 18: "HLG"}
"""Transfer characteristics of ITU-T H.273 that reach above the white of SDR."""

# White, red, green and blue of each number of ITU-T H.273 (2024), table 2.
_PRIMARIES = {
    1: SRGB_PRIMARIES,
    2: SRGB_PRIMARIES,  # unspecified
    4: (0.310, 0.316, 0.67, 0.33, 0.21, 0.71, 0.14, 0.08),
    5: (0.3127, 0.3290, 0.64, 0.33, 0.29, 0.60, 0.15, 0.06),
    6: (0.3127, 0.3290, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    7: (0.3127, 0.3290, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    8: (0.310, 0.316, 0.681, 0.319, 0.243, 0.692, 0.145, 0.049),
    9: (0.3127, 0.3290, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046),
    10: (1 / 3, 1 / 3, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0),
    11: (0.314, 0.351, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
    12: (0.3127, 0.3290, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
    22: (0.3127, 0.3290, 0.630, 0.340, 0.295, 0.605, 0.155, 0.077),
}
# Light from samples: exponent, or exponent, a, b, c and d of ICC's curve of type 3, in which
# x >= d becomes (a x + b) ** exponent, and what is below becomes c x.
SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
_CURVES = {
    # Screens show video's curves (1, 6, 14, 15; 11 and 12 with wider gamuts) nearly as sRGB's,
    # and so do browsers; 2 is unspecified.
    **dict.fromkeys((1, 2, 6, 11, 12, 13, 14, 15), SRGB_CURVE),
    4: (2.2,),
    5: (2.8,),
    7: (1 / 0.45, 1 / 1.1115, 0.1115 / 1.1115, 1 / 4, 0.0912),
    8: (1.0,),
    17: (2.6,),
}
_CHUNKS = ("cICP", "sRGB", "gAMA", "cHRM", "mDCV", "cLLI")
_FINE = 100_000  # gAMA and cHRM count hundred-thousandths
_USUAL_GAMMA = 1 / 2.2  # with sRGB's primaries this is how sRGB is told to old viewers
_NEAR = 0.005


@dataclass(frozen=True)
class Colour:
    """What a file says of its colour space, beside or instead of a profile.

    Attributes
    ----------
    cicp : tuple of int or None
        Colour primaries, transfer characteristics, matrix and full range of ITU-T H.273.
    intent : int or None
        Rendering intent of PNG's sRGB chunk: the picture is in sRGB.
    gamma : float or None
        Exponent from light to samples, such as 1 / 2.2.
    chromaticities : tuple of float or None
        x and y of white, red, green and blue.
    chunks : tuple of (str, bytes)
        PNG's own chunks of all this, as found, those on HDR mastering included.
    """

    cicp: tuple[int, int, int, int] | None = None
    intent: int | None = None
    gamma: float | None = None
    chromaticities: tuple[float, ...] | None = None
    chunks: tuple[tuple[str, bytes], ...] = ()

    @property
    def hdr(self) -> str:
        """``"PQ"``, ``"HLG"`` or, as a rule, nothing."""
        return HDR.get(self.cicp[1], "") if self.cicp else ""

    @property
    def is_known(self) -> bool:
        """Whether `primaries` and `curve` say all; false for HDR and for reserved numbers."""
        if self.cicp is None:
            return True
        primaries, transfer, _, full = self.cicp
        return primaries in _PRIMARIES and transfer in _CURVES and full == 1

    @property
    def primaries(self) -> tuple[float, ...]:
        """Give x and y of white, red, green and blue that count."""
        if self.cicp is not None:
            return _PRIMARIES.get(self.cicp[0], SRGB_PRIMARIES)
        if self.intent is not None:
            return SRGB_PRIMARIES
        return self.chromaticities or SRGB_PRIMARIES

    @property
    def curve(self) -> tuple[float, ...]:
        """Give the way from samples to light that counts: `SRGB_CURVE`, one exponent, or such."""
        if self.cicp is not None:
            return _CURVES.get(self.cicp[1], SRGB_CURVE)
        if self.intent is not None or self.gamma is None:
            return SRGB_CURVE
        usual = abs(self.gamma / _USUAL_GAMMA - 1) < _NEAR
        return SRGB_CURVE if usual and _is_srgb(self.primaries) else (1 / self.gamma,)

    @property
    def is_srgb(self) -> bool:
        """Whether nothing differs from sRGB."""
        return self.is_known and self.curve == SRGB_CURVE and _is_srgb(self.primaries)


def read_png_colour(parts: Iterable[Part]) -> Colour | None:
    """Collect the colour chunks of a PNG file; None where there are none.

    Parameters
    ----------
    parts : iterable of Part
        From `structure.chunks`. Of two chunks of one name the first counts.

    Notes
    -----
    Source: PNG, third edition (W3C, 2025), sections 4.3 and 11.3.2.
    """
    found: dict[str, bytes] = {}
    for part in parts:
        if part.name == "IDAT":
            break
        if part.name in _CHUNKS:
            found.setdefault(part.name, part.body)
    if not found:
        return None
    cicp, srgb = found.get("cICP", b""), found.get("sRGB", b"")
    gamma = int.from_bytes(found.get("gAMA", b"")[:4], "big") / _FINE
    return Colour(
        cicp=(cicp[0], cicp[1], cicp[2], cicp[3]) if len(cicp) == 4 else None,
        intent=srgb[0] if len(srgb) == 1 else None,
        gamma=gamma if 0.01 < gamma < 100 else None,
        chromaticities=_chromaticities(found.get("cHRM", b"")),
        chunks=tuple(found.items()),
    )


def read_nclx(body: bytes) -> Colour | None:
    """Read the content of a ``colr`` box; None where it is a profile or damaged.

    Notes
    -----
    Source: ISO/IEC 14496-12, section 12.1.5.
    """
    if body[:4] != b"nclx" or len(body) < 11:
        return None
    primaries, transfer, matrix = (int.from_bytes(body[at : at + 2], "big") for at in (4, 6, 8))
    # Matrix and range belong to the coded samples: decoded, they are RGB of full range.
    return Colour(cicp=(primaries, transfer, matrix, 1))


def png_chunks(colour: Colour) -> list[tuple[str, bytes]]:
    """List the chunks that state a colour space in a PNG file."""
    if colour.chunks or colour.cicp is None:
        return list(colour.chunks)
    primaries, transfer, _, full = colour.cicp
    if max(primaries, transfer) > 255 or 2 in (primaries, transfer):
        return []
    return [("cICP", bytes([primaries, transfer, 0, full]))]


def _chromaticities(body: bytes) -> tuple[float, ...] | None:
    if len(body) != 32:
        return None
    values = tuple(int.from_bytes(body[at : at + 4], "big") / _FINE for at in range(0, 32, 4))
    (wx, wy), (rx, ry), (gx, gy), (bx, by) = zip(values[::2], values[1::2], strict=True)
    area = (gx - rx) * (by - ry) - (bx - rx) * (gy - ry)
    sane = max(values) <= 1 and wy > 0.01 and wx + wy <= 1 and abs(area) > 1e-3
    return values if sane else None


def _is_srgb(primaries: tuple[float, ...]) -> bool:
    return all(abs(a - b) < _NEAR for a, b in zip(primaries, SRGB_PRIMARIES, strict=True))


def read_heif_colour(items: Items) -> Colour | None:
    """Read the colour of a HEIF file's picture; a profile there comes first, and then it is None.

    Parameters
    ----------
    items : Items
        From `structure.read_items`.

    Notes
    -----
    Source: ISO/IEC 23000-22 (MIAF), section 7.3.6.4.
    """
    tiles = [of for kind, item, of in items.references if (kind, item) == ("dimg", items.primary)]
    # Some writers describe only the tiles of a picture that is put together of such.
    for item in (items.primary, *(tile for group in tiles for tile in group[:1])):
        described = [box.body for box in items.properties.get(item, ()) if box.name == "colr"]
        if any(body[:4] in (b"prof", b"rICC") for body in described):
            return None
        if described:
            return next(filter(None, map(read_nclx, described)), None)
    return None
