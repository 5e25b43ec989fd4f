"""MaxViT without its head: feature maps for detectors, decoders and probes."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from multiaxis.models.maxvit.config import MaxViTConfig
from multiaxis.models.maxvit.levels import FeatureInfo, levels_of
from multiaxis.models.maxvit.network import Trunk


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
        levels = levels_of(self.pyramid_channels, self.pyramid_strides)
        self.feature_info = FeatureInfo(tuple(levels), self.out_indices)

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
