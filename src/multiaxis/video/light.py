"""How bright the display was on which an HDR clip was made: static metadata of HDR10."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

_CHROMATICITY, _LUMINANCE = 50_000, 10_000  # units of SMPTE ST 2086 in bit streams

_NAMES = {  # of the encoders' parameters, and whether they are decimals
    "libx264": ("mastering-display", "cll", False),
    "libx265": ("master-display", "max-cll", False),
    "libsvtav1": ("mastering-display", "content-light", True),
}


@dataclass(frozen=True)
class Light:
    """Mastering display (SMPTE ST 2086) and content light level (CTA-861.3).

    Attributes
    ----------
    chromaticities : tuple of 8 Fraction, or None
        x and y of red, green, blue and white.
    luminance : tuple of 2 Fraction, or None
        Least and greatest of the display, in cd/m2.
    content : tuple of 2 int, or None
        Brightest pixel and brightest frame average, in cd/m2.
    """

    chromaticities: tuple[Fraction, ...] | None
    luminance: tuple[Fraction, ...] | None
    content: tuple[int, int] | None

    @classmethod
    def of(cls, found: Mapping[str, bytes]) -> Light | None:
        """Read it from a frame's side data by name; None if there is none."""
        chromaticities = luminance = content = None
        if data := found.get("MASTERING_DISPLAY_METADATA"):
            numbers = np.frombuffer(data, "=i4")
            ratios = [
                Fraction(int(a), int(b)) if b else Fraction(0)
                for a, b in numbers[:20].reshape(-1, 2)
            ]
            has_chromaticities, has_luminance = numbers[20:22]
            chromaticities = tuple(ratios[:8]) if has_chromaticities else None
            luminance = tuple(ratios[8:]) if has_luminance else None
        if data := found.get("CONTENT_LIGHT_LEVEL"):
            brightest, average = np.frombuffer(data, "=u4")[:2]
            content = int(brightest), int(average)
        if chromaticities or luminance or content:
            return cls(chromaticities, luminance, content)
        return None

    def options(self, encoder: str) -> dict[str, str]:
        """Give the parameters with which an encoder writes it into its bit stream."""
        if encoder not in _NAMES:
            return {}
        display, content, decimals = _NAMES[encoder]
        words: list[str] = []
        if self.chromaticities and self.luminance:
            words.append(f"{display}={self._display(decimals=decimals)}")
        if self.content:
            words.append(f"{content}={self.content[0]},{self.content[1]}")
        return {f"{encoder.removeprefix('lib')}-params": ":".join(words)}

    def _display(self, *, decimals: bool) -> str:
        """Spell the display; in units of 0.00002 and of 0.0001 cd/m2, unless in decimals."""
        xy = [_spell(value, _CHROMATICITY, decimals) for value in self.chromaticities or ()]
        least, most = (_spell(value, _LUMINANCE, decimals) for value in self.luminance or ())
        red, green, blue, white = (f"({x},{y})" for x, y in zip(xy[::2], xy[1::2], strict=True))
        return f"G{green}B{blue}R{red}WP{white}L({most},{least})"


def _spell(value: Fraction, unit: int, decimals: bool) -> str:  # noqa: FBT001 (private)
    return f"{float(value):.5f}" if decimals else str(round(value * unit))
