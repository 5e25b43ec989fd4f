"""How fast this machine restores: measured on every job, kept from one run to the next."""

from __future__ import annotations

import json
import math
from pathlib import Path

from multiaxis.files.publish import publish

_FADING = 0.8  # what an earlier measurement counts beside a new one


class Rates:
    """Seconds for a padded megapixel, for each kind of work.

    Parameters
    ----------
    path : Path
        Where they are kept.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._sums: dict[str, tuple[float, float]] = {}
        try:
            kept = json.loads(path.read_bytes())
            self._sums = {str(kind): (float(s), float(m)) for kind, (s, m) in kept.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            pass  # a new folder, or a damaged file: they are measured again

    def add(self, kind: str, seconds: float, megapixels: float) -> None:
        """Add a measurement; large pictures count for more than small ones."""
        before_seconds, before = self._sums.get(kind, (0.0, 0.0))
        self._sums[kind] = (
            before_seconds * _FADING + seconds,
            before * _FADING + max(megapixels, 1e-6),
        )
        publish(self._path, json.dumps(self._sums).encode(), overwrite=True)

    def seconds(self, kind: str, megapixels: float) -> float | None:
        """Estimate the seconds of some work; None before anything of its kind was measured."""
        if kind not in self._sums:
            return None
        seconds, measured = self._sums[kind]
        estimate = seconds / measured * megapixels
        return estimate if math.isfinite(estimate) else None
