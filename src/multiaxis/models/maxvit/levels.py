"""The levels of a feature pyramid, described in timm's words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


def levels_of(channels: Sequence[int], strides: Sequence[int]) -> list[dict[str, Any]]:
    """Describe each level: the stem's and each stage's."""
    return [
        {
            "num_chs": width,
            "reduction": stride,
            "module": f"stages.{level - 1}" if level else "stem",
            "index": level,
        }
        for level, (width, stride) in enumerate(zip(channels, strides, strict=True))
    ]


@dataclass(frozen=True)
class FeatureInfo:
    """What the maps of a backbone are, in timm's words.

    Attributes
    ----------
    info : tuple of dict
        For each level that is built: ``num_chs`` (channels), ``reduction`` (pixels of the picture
        for one of the map), ``module`` (name of the module) and ``index``.
    out_indices : tuple of int
        Levels of the maps that `forward` gives, in its order.

    Examples
    --------
    >>> from multiaxis import create_model
    >>> backbone = create_model("maxvit_pico", features_only=True, out_indices=(2, 3, 4))
    >>> backbone.feature_info.channels(), backbone.feature_info.reduction()
    ([32, 64, 128], [8, 16, 32])
    """

    info: tuple[dict[str, Any], ...]
    out_indices: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.info)

    def __getitem__(self, level: int) -> dict[str, Any]:
        return self.info[level]

    def get(self, key: str, idx: int | Sequence[int] | None = None) -> Any:
        """Give an entry of the maps' levels; of one level, or of several, where `idx` says so."""
        if isinstance(idx, int):
            return self.info[idx][key]
        return [self.info[level][key] for level in (self.out_indices if idx is None else idx)]

    def channels(self, idx: int | Sequence[int] | None = None) -> Any:
        """Give the channels of each map."""
        return self.get("num_chs", idx)

    def reduction(self, idx: int | Sequence[int] | None = None) -> Any:
        """Give how many pixels of the picture are one of each map."""
        return self.get("reduction", idx)

    def module_name(self, idx: int | Sequence[int] | None = None) -> Any:
        """Name the module that each map comes from."""
        return self.get("module", idx)

    def get_dicts(
        self, keys: Sequence[str] | None = None, idx: int | Sequence[int] | None = None
    ) -> Any:
        """Give the entries of each map, or those under `keys`; `idx` as in `get`."""
        levels = self.out_indices if idx is None else (idx,) if isinstance(idx, int) else idx
        found = [
            {k: v for k, v in self.info[level].items() if keys is None or k in keys}
            for level in levels
        ]
        return found[0] if isinstance(idx, int) else found
