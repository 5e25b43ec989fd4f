"""Anchors: the boxes at each pixel of each level that detectors start from."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from multiaxis.tasks.detect.networks.config import AnchorConfig
from multiaxis.tasks.detect.networks.parts import ImageList


class Anchors(nn.Module):
    """Makes the anchors of maps of any size.

    torchvision's generator divides the picture's side by the map's for the stride, which is wrong
    where the map was rounded up, and puts anchors on the corners of pixels. These stand on their
    centres, as the authors' (TensorFlow model garden, ``official/vision/ops/anchor.py``).

    Parameters
    ----------
    config : AnchorConfig
    strides : sequence of int
        Pixels of the picture for one of each level's map.

    Examples
    --------
    >>> anchors = Anchors(AnchorConfig(scales=1, ratios=(1.0,)), strides=(8,))
    >>> anchors.on([(1, 2)], torch.device("cpu")).tolist()
    [[-8.0, -8.0, 16.0, 16.0], [0.0, -8.0, 24.0, 16.0]]
    """

    def __init__(self, config: AnchorConfig, strides: Sequence[int]) -> None:
        super().__init__()
        self.config, self.strides = config, tuple(strides)

    def on(self, sizes: Sequence[tuple[int, int]], device: torch.device) -> Tensor:
        """Give the anchors of a picture.

        Parameters
        ----------
        sizes : sequence of (height, width)
            Of each level's map.
        device : device

        Returns
        -------
        Tensor, shape (anchors, 4)
            (left, top, right, bottom) in pixels of the picture: level by level, row by row, pixel
            by pixel, then by scale and ratio.
        """
        levels = zip(sizes, self.strides, strict=True)
        return torch.cat([self._level(size, stride, device) for size, stride in levels])

    def forward(self, images: ImageList, maps: list[Tensor]) -> list[Tensor]:
        """Give the anchors of each picture of a batch, as torchvision's proposals ask for them."""
        sizes = [(x.shape[-2], x.shape[-1]) for x in maps]
        return [self.on(sizes, maps[0].device)] * len(images.image_sizes)

    def _level(self, size: tuple[int, int], stride: int, device: torch.device) -> Tensor:
        rows, columns = ((torch.arange(n, device=device) + 0.5) * stride for n in size)
        y, x = torch.meshgrid(rows, columns, indexing="ij")
        centres = torch.stack((x, y, x, y), dim=-1).reshape(-1, 1, 4)
        return (centres + self._around_zero(stride).to(device)).reshape(-1, 4)

    def _around_zero(self, stride: int) -> Tensor:
        config = self.config
        steps = torch.arange(config.scales, dtype=torch.float32) / config.scales
        sides = config.size * stride * 2 ** steps[:, None]
        stretch = torch.tensor(config.ratios, dtype=torch.float32).sqrt()
        width, height = (sides * stretch).reshape(-1), (sides / stretch).reshape(-1)
        return torch.stack((-width, -height, width, height), dim=-1) / 2
