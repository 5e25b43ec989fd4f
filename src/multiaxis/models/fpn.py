"""A feature pyramid: maps of one width at every scale, made of a backbone's (Lin et al., 2017)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F  # noqa: N812 (the name everyone uses)
from torch import Tensor, nn

from multiaxis.axis.layers import lecun_normal
from multiaxis.errors import ConfigError, ShapeError
from multiaxis.models.pyramid import PyramidConfig


class FeaturePyramid(nn.Module):
    """The neck alone: from a backbone's maps to a pyramid.

    Parameters
    ----------
    channels : mapping of int to int
        Channels of the backbone's maps by their level.
    config : PyramidConfig, optional
    only : sequence of int, optional
        Levels that are made; by default all. Layers that serve none of them are not built.

    Raises
    ------
    ConfigError
        If the backbone lacks the first level, or one between its own; or `only` asks for others.

    Examples
    --------
    >>> neck = FeaturePyramid({3: 8, 4: 16}, PyramidConfig(levels=(3, 5), channels=4)).eval()
    >>> found = neck({3: torch.zeros(1, 8, 10, 7), 4: torch.zeros(1, 16, 5, 4)})
    >>> {level: tuple(x.shape) for level, x in found.items()}
    {3: (1, 4, 10, 7), 4: (1, 4, 5, 4), 5: (1, 4, 3, 2)}
    """

    def __init__(
        self,
        channels: Mapping[int, int],
        config: PyramidConfig | None = None,
        *,
        only: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        self.config = config = PyramidConfig() if config is None else config
        first, last = config.levels
        self.own = range(first, min(max(channels), last) + 1)
        missing = [level for level in self.own if level not in channels]
        if missing or not self.own:
            raise ConfigError(
                f"the backbone has the levels {sorted(channels)}, and the pyramid begins at "
                f"{first}: accepted is a backbone with that level and all up to its last"
            )
        levels = range(first, last + 1)
        self.made = sorted(levels if only is None else set(only))
        if not self.made or not set(self.made) <= set(levels):
            raise ConfigError(f"received the levels {self.made}: accepted are {list(levels)}")
        width, top = config.channels, self.own[-1]
        coarser = range(top + 1, self.made[-1] + 1)
        smooth = [n for n in self.own if n in self.made or (coarser and n == top)]
        wide = {  # channels after fusion, which grow from level to level where maps are put beside
            level: width * (top - level + 1 if config.fusion == "concat" else 1)
            for level in self.own
        }
        needed = range(self.made[0], top + 1)  # coarser levels go into finer ones
        self.lateral = _by_level({n: nn.Conv2d(channels[n], width, 1) for n in needed or [top]})
        self.smooth = _by_level({n: nn.Conv2d(wide[n], width, 3, padding=1) for n in smooth})
        self.coarser = _by_level({n: nn.Conv2d(width, width, 3, stride=2) for n in coarser})
        self.norm = _by_level({n: _norm(config) for n in self.made})
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                lecun_normal(layer.weight.data, layer.weight[0].numel())
                assert layer.bias is not None  # noqa: S101 (they all have one)
                nn.init.zeros_(layer.bias)

    def forward(self, maps: Mapping[int, Tensor]) -> dict[int, Tensor]:
        """Make the pyramid of equally large pictures.

        Parameters
        ----------
        maps : mapping of int to Tensor
            The backbone's by level, (batch, channels, height, width), each with half of the sides
            of the one before, rounded up.

        Returns
        -------
        dict of int to Tensor
            The levels that are made, (batch, config.channels, height, width).
        """
        fused: dict[int, Tensor] = {}
        for name, lateral in reversed(list(self.lateral.items())):
            level = int(name)
            x = lateral(maps[level])
            if level + 1 in fused:
                above = _enlarged(fused[level + 1], x)
                is_sum = self.config.fusion == "sum"
                x = above + x if is_sum else torch.cat([above, x], dim=1)
            fused[level] = x
        pyramid = {int(name): layer(fused[int(name)]) for name, layer in self.smooth.items()}
        for name, layer in self.coarser.items():
            level = int(name)
            x = pyramid[level - 1]
            x = F.relu(x) if level - 1 not in self.own else x
            pyramid[level] = layer(_padded_to_halve(x))
        return {int(name): norm(pyramid[int(name)]) for name, norm in self.norm.items()}


class Backbone(Protocol):
    """What a pyramid stands on: a MaxViT, with or without its head."""

    pyramid_channels: tuple[int, ...]
    pyramid_strides: tuple[int, ...]

    def forward_pyramid(self, x: Tensor, levels: Sequence[int] | None = None) -> list[Tensor]:
        """Give maps of several resolutions."""
        ...


@dataclass(frozen=True)
class MaskedMaps:
    """Maps of pictures of different sizes, side by side.

    Attributes
    ----------
    maps : dict of int to Tensor
        By level, (batch, channels, height, width) of the largest picture's map; zeros where a
        picture has ended.
    masks : dict of int to Tensor of bool, (batch, 1, height, width)
        Where a picture's own map is. Layers that look at neighbours keep pictures apart if each
        of their results is multiplied by it.
    sides : tuple of (int, int)
        Of the pictures, pixels.
    """

    maps: dict[int, Tensor]
    masks: dict[int, Tensor]
    sides: tuple[tuple[int, int], ...]

    def alone(self, number: int) -> dict[int, Tensor]:
        """Give the maps of one picture without what pads them: (channels, height, width)."""
        sizes = {n: level_size(self.sides[number], n) for n in self.maps}
        return {n: x[number, :, : sizes[n][0], : sizes[n][1]] for n, x in self.maps.items()}


class PyramidBackbone(nn.Module):
    """A backbone with its pyramid, for pictures of any sizes.

    Pictures of one size go through together. Others go through by themselves: a MaxViT's grid and
    its squeezed means depend on the size of the map, so that a padded picture would not give what
    it gives alone. Their maps are padded behind the neck, with masks. While it is trained, batch
    norms see one size after the other.

    Parameters
    ----------
    backbone : MaxViT
        With or without a head, which is not used.
    config : PyramidConfig, optional

    Attributes
    ----------
    strides : dict of int to int
        Pixels of the picture for one of each level.

    Examples
    --------
    >>> from multiaxis import create_model
    >>> model = PyramidBackbone(create_model("maxvit_pico", num_classes=0)).eval()
    >>> found = model([torch.zeros(3, 64, 64), torch.zeros(3, 50, 90)])
    >>> found.maps[3].shape, found.alone(1)[3].shape
    (torch.Size([2, 256, 8, 12]), torch.Size([256, 7, 12]))
    """

    def __init__(self, backbone: nn.Module, config: PyramidConfig | None = None) -> None:
        super().__init__()
        if not hasattr(backbone, "forward_pyramid"):
            raise ConfigError(
                f"received a {type(backbone).__name__} as a backbone: accepted is a MaxViT, which "
                "create_model builds"
            )
        about: Backbone = backbone  # pyright: ignore[reportAssignmentType]
        levels = {stride.bit_length() - 1: k for k, stride in enumerate(about.pyramid_strides)}
        channels = {level: about.pyramid_channels[k] for level, k in levels.items()}
        self.backbone, self.neck = backbone, FeaturePyramid(channels, config)
        first, last = self.neck.config.levels
        self.strides = {level: 2**level for level in range(first, last + 1)}
        self._wanted = [levels[level] for level in self.neck.own]

    def pyramid(self, x: Tensor) -> dict[int, Tensor]:
        """Make the pyramid of a batch of equally large pictures: see `FeaturePyramid.forward`."""
        about: Backbone = self.backbone  # pyright: ignore[reportAssignmentType]
        maps = about.forward_pyramid(x, self._wanted)
        return self.neck(dict(zip(self.neck.own, maps, strict=True)))

    def forward(self, pictures: Tensor | Sequence[Tensor]) -> MaskedMaps:
        """Make the pyramids of pictures, each as if it were alone.

        Parameters
        ----------
        pictures : Tensor (batch, channels, height, width), or sequence of (channels, height, width)
            Normalised, as the backbone takes them.

        Returns
        -------
        MaskedMaps

        Raises
        ------
        ShapeError
            If there is none, or one that the backbone refuses.
        """
        alone: dict[int, dict[int, Tensor]] = {}
        for numbers in by_size(pictures):
            batch = torch.stack([pictures[k] for k in numbers])
            for level, maps in self.pyramid(batch).items():
                for k, x in zip(numbers, maps, strict=True):
                    alone.setdefault(k, {})[level] = x
        sides = tuple((x.shape[1], x.shape[2]) for x in pictures)
        padded = {n: pad_maps([alone[k][n] for k in range(len(sides))]) for n in self.strides}
        return MaskedMaps(
            {n: maps for n, (maps, _) in padded.items()},
            {n: masks for n, (_, masks) in padded.items()},
            sides,
        )


def by_size(pictures: Tensor | Sequence[Tensor]) -> list[list[int]]:
    """Put the numbers of equally large pictures together, in the order of their first.

    Raises
    ------
    ShapeError
        If there are no pictures, or one is no tensor of (channels, height, width).

    Examples
    --------
    >>> by_size([torch.zeros(3, 4, 4), torch.zeros(3, 4, 5), torch.zeros(3, 4, 4)])
    [[0, 2], [1]]
    """
    groups: dict[tuple[int, ...], list[int]] = {}
    for number, picture in enumerate(pictures):
        if picture.ndim != 3 or 0 in picture.shape:
            raise ShapeError(
                f"picture {number} has the shape {tuple(picture.shape)}: accepted are pictures of "
                "(channels, height, width), in a list or stacked"
            )
        groups.setdefault(tuple(picture.shape), []).append(number)
    if not groups:
        raise ShapeError("received no pictures: give at least one")
    return list(groups.values())


def pad_maps(maps: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Stack maps of different sizes, with zeros behind the smaller ones.

    Parameters
    ----------
    maps : sequence of Tensor, shape (channels, height, width)

    Returns
    -------
    stacked : Tensor, shape (batch, channels, height, width)
    masks : Tensor of bool, shape (batch, 1, height, width)
        Where a map is.
    """
    height, width = (max(x.shape[axis] for x in maps) for axis in (1, 2))
    room = [(0, width - x.shape[2], 0, height - x.shape[1]) for x in maps]
    stacked = torch.stack([F.pad(x, amounts) for x, amounts in zip(maps, room, strict=True)])
    masks = torch.zeros(len(maps), 1, height, width, dtype=torch.bool, device=stacked.device)
    for k, x in enumerate(maps):
        masks[k, :, : x.shape[1], : x.shape[2]] = True
    return stacked, masks


def level_size(sides: tuple[int, int], level: int) -> tuple[int, int]:
    """Give the sides of a level's map: those of the picture over 2 ** level, rounded up."""
    height, width = (-(-side // 2**level) for side in sides)
    return height, width


def _by_level(layers: dict[int, nn.Module]) -> nn.ModuleDict:
    return nn.ModuleDict({str(level): layer for level, layer in layers.items()})


def _norm(config: PyramidConfig) -> nn.Module:
    if config.norm == "none":
        return nn.Identity()
    return nn.BatchNorm2d(config.channels, eps=config.bn_epsilon, momentum=config.bn_momentum)


def _enlarged(x: Tensor, finer: Tensor) -> Tensor:
    """Double the sides by repeating pixels; the finer map's odd sides end one pixel sooner."""
    x = F.interpolate(x, scale_factor=2.0, mode="nearest")
    return x[:, :, : finer.shape[2], : finer.shape[3]]


def _padded_to_halve(x: Tensor) -> Tensor:
    """Pad for a 3 x 3 convolution of stride 2 as TensorFlow does (SAME): even sides at the end."""
    height, width = x.shape[2:]
    return F.pad(x, (width % 2, 1, height % 2, 1))
