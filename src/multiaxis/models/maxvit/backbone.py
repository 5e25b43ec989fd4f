"""MaxViT without its head: feature maps for detectors, decoders and probes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from multiaxis.models.maxvit.config import MaxViTConfig
from multiaxis.models.maxvit.network import Trunk


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


class Backbone(Trunk):
    """The feature maps of a MaxViT, as a module that holds nothing else.

    It has no head and no stage behind the last map, so each of its parameters gets a gradient.
    Windows, checkpointing, freezing and weights are those of `MaxViT`; a checkpoint of a whole
    model loads, without what is not built.

    Parameters
    ----------
    config : MaxViTConfig
        Its `out_indices` choose the maps; all levels by default.

    Attributes
    ----------
    feature_info : FeatureInfo
        Channels and strides of the maps.
    out_indices : tuple of int

    Examples
    --------
    >>> import torch
    >>> config = MaxViTConfig(depths=(1, 1), widths=(32, 64), out_indices=(1, 2))
    >>> [tuple(m.shape) for m in Backbone(config)(torch.zeros(1, 3, 50, 31))]
    [(1, 32, 13, 8), (1, 64, 7, 4)]
    """

    def __init__(self, config: MaxViTConfig) -> None:
        if config.out_indices is None:
            config = replace(config, out_indices=tuple(range(len(config.depths) + 1)))
        super().__init__(config, config.built_stages)
        if config.start != "normal":  # layers are built with that one
            self.init_weights()
        self.out_indices = config.out_indices or ()
        self.feature_info = FeatureInfo(
            tuple(
                {
                    "num_chs": channels,
                    "reduction": stride,
                    "module": f"stages.{level - 1}" if level else "stem",
                    "index": level,
                }
                for level, (channels, stride) in enumerate(
                    zip(self.pyramid_channels, self.pyramid_strides, strict=True)
                )
            ),
            self.out_indices,
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """Give feature maps of several resolutions.

        Parameters
        ----------
        x : Tensor, shape (batch, in_channels, height, width)
            Normalised pictures of any size (with the window policy ``"fixed"``: of an allowed one).

        Returns
        -------
        list of Tensor
            One for each of `out_indices`: (batch, channels, height, width), with the picture's
            sides over the stride, rounded up.

        Raises
        ------
        ShapeError
            If the channels or the sides are others.
        """
        return self.forward_pyramid(x, self.out_indices)
