"""A backbone with a decoder that tells a class for every pixel."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 (the name everyone uses)
from torch import Tensor, nn

from multiaxis.axis.layers import lecun_normal
from multiaxis.errors import ConfigError
from multiaxis.models.fpn import Backbone, FeaturePyramid
from multiaxis.models.pyramid import PyramidConfig
from multiaxis.tasks.segment.config import DecoderConfig, SegmenterConfig
from multiaxis.zoo import create_model


class FpnDecoder(nn.Module):
    """A feature pyramid, and convolutions on its finest level.

    Source: TensorFlow model garden, ``SegmentationHead`` without fusion, as the authors use it.

    Parameters
    ----------
    channels : mapping of int to int
        Of the backbone's maps by level.
    classes : int
    config : DecoderConfig
    """

    def __init__(self, channels: Mapping[int, int], classes: int, config: DecoderConfig) -> None:
        super().__init__()
        self.levels = range(config.level, max(channels) + 1)
        pyramid = PyramidConfig(
            levels=(config.level, max(channels)),
            channels=config.channels,
            fusion=config.fusion,
            bn_epsilon=config.bn_epsilon,
            bn_momentum=config.bn_momentum,
        )
        self.level = config.level
        self.neck = FeaturePyramid(channels, pyramid, only=(config.level,))
        self.convs = nn.Sequential(
            *(_conv(config.channels, config.channels, config) for _ in range(config.convs))
        )
        self.logits = nn.Conv2d(config.channels, classes, 1)
        for layer in (*self.convs.modules(), self.logits):
            if isinstance(layer, nn.Conv2d):
                nn.init.normal_(layer.weight, std=0.01)
        _zero_biases(self)

    def forward(self, maps: Mapping[int, Tensor]) -> Tensor:
        """Give logits at the decoder's level: (batch, classes, height, width)."""
        return self.logits(self.convs(self.neck(maps)[self.level]))

    def needed_values(self, sides: tuple[int, int]) -> float:
        """Estimate how many values a picture of (height, width) takes at once."""
        pixels = (sides[0] / 2**self.level) * (sides[1] / 2**self.level)
        wide = len(self.levels) if self.neck.config.fusion == "concat" else 1
        return pixels * self.neck.config.channels * (4 / 3 + wide + 3)


class UnetDecoder(nn.Module):
    """From the coarsest map up: enlarge, put the finer map beside, convolve twice.

    Source: Ronneberger et al., U-Net (2015), with batch norms, as its users know it.

    Parameters
    ----------
    channels, classes, config
        As of `FpnDecoder`.
    """

    def __init__(self, channels: Mapping[int, int], classes: int, config: DecoderConfig) -> None:
        super().__init__()
        top = max(channels)
        steps = range(top - 1, config.level - 1, -1)
        if len(config.widths) < len(steps):
            raise ConfigError(
                f"a segmenter's widths are {config.widths}: accepted are {len(steps)}, one for "
                f"each level from {top - 1} to {config.level}"
            )
        self.level, self.levels = config.level, range(max(config.level, min(channels)), top + 1)
        blocks: dict[str, nn.Module] = {}
        before = channels[top]
        for level, width in zip(steps, config.widths, strict=False):
            joined = before + channels.get(level, 0)
            blocks[str(level)] = nn.Sequential(
                _conv(joined, width, config), _conv(width, width, config)
            )
            before = width
        self.blocks = nn.ModuleDict(blocks)
        self.logits = nn.Conv2d(before, classes, 3, padding=1)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                lecun_normal(layer.weight.data, layer.weight[0].numel())
        _zero_biases(self)

    def forward(self, maps: Mapping[int, Tensor]) -> Tensor:
        """Give logits at the decoder's level: (batch, classes, height, width).

        Level 0 is that of the picture, rounded up to whole pixels of the finest map.
        """
        x = maps[max(maps)]
        for name, block in self.blocks.items():
            x = F.interpolate(x, scale_factor=2.0, mode="nearest")
            if int(name) in maps:
                beside = maps[int(name)]
                x = torch.cat([x[:, :, : beside.shape[2], : beside.shape[3]], beside], dim=1)
            x = block(x)
        return self.logits(x)

    def needed_values(self, sides: tuple[int, int]) -> float:
        """Estimate how many values a picture of (height, width) takes at once, in the last step."""
        pixels = (sides[0] / 2**self.level) * (sides[1] / 2**self.level)
        last = [self.logits, *[*self.blocks.values()][-1:]]
        convs = [x for part in last for x in part.modules() if isinstance(x, nn.Conv2d)]
        return pixels * 2 * max(conv.in_channels + conv.out_channels for conv in convs)


class SegmentationNet(nn.Module):
    """Tells the class of every pixel of pictures of any size.

    Parameters
    ----------
    backbone : multiaxis.models.maxvit.backbone.Backbone
    config : SegmenterConfig
        `config.backbone` is the backbone's.

    Attributes
    ----------
    config : SegmenterConfig
    indices : list of int
        Of the backbone's maps that the decoder takes.

    Examples
    --------
    >>> decoder = DecoderConfig(level=2, channels=8)
    >>> model = build_network("maxvit_pico", decoder, 5).eval()
    >>> model(torch.zeros(1, 3, 50, 31)).shape
    torch.Size([1, 5, 50, 31])
    """

    def __init__(self, backbone: nn.Module, config: SegmenterConfig) -> None:
        super().__init__()
        about: Backbone = backbone  # pyright: ignore[reportAssignmentType]
        indices = {stride.bit_length() - 1: k for k, stride in enumerate(about.pyramid_strides)}
        channels = {level: about.pyramid_channels[k] for level, k in indices.items()}
        decoder = config.decoder
        if decoder.level > max(channels):
            raise ConfigError(
                f"a segmenter's level is {decoder.level}: accepted is up to {max(channels)}, the "
                "backbone's last"
            )
        kinds = {"fpn": FpnDecoder, "unet": UnetDecoder}
        self.config, self.backbone = config, backbone
        self.decoder = kinds[decoder.kind](channels, config.num_classes, decoder)
        self.indices = [indices[level] for level in self.decoder.levels]

    def forward(self, x: Tensor) -> Tensor:
        """Tell classes.

        Parameters
        ----------
        x : Tensor, shape (batch, channels, height, width)
            Values in [-1, 1].

        Returns
        -------
        Tensor, shape (batch, num_classes, height, width)
            Logits.
        """
        return enlarge(self.coarse(x), self.decoder.level, (x.shape[2], x.shape[3]))

    def coarse(self, x: Tensor) -> Tensor:
        """Give the logits at the decoder's level; `enlarge` makes the picture's pixels of them."""
        about: Backbone = self.backbone  # pyright: ignore[reportAssignmentType]
        maps = about.forward_pyramid(x, self.indices)
        return self.decode(dict(zip(self.decoder.levels, maps, strict=True)))

    def decode(self, maps: Mapping[int, Tensor]) -> Tensor:
        """Give the logits at the decoder's level out of the backbone's maps by level."""
        return self.decoder(maps)

    def blocks(self) -> list[nn.Module]:
        """List the blocks that are worth compiling by themselves."""
        backbone: Any = self.backbone
        return backbone.blocks()

    def set_grad_checkpointing(self, enable: bool = True) -> None:  # noqa: FBT001, FBT002 (timm's)
        """Recompute each block of the backbone in the backward pass."""
        backbone: Any = self.backbone
        backbone.set_grad_checkpointing(enable)


def enlarge(logits: Tensor, level: int, sides: tuple[int, int]) -> Tensor:
    """Make a picture's pixels of a level's.

    Bilinear, by exactly 2 ** level; what goes beyond the picture is cut off.

    Parameters
    ----------
    logits : Tensor, shape (batch, classes, height, width)
    level : int
    sides : (int, int)
        Of the picture.
    """
    if level:
        logits = F.interpolate(
            logits, scale_factor=float(2**level), mode="bilinear", align_corners=False
        )
    return logits[:, :, : sides[0], : sides[1]]


def _conv(before: int, width: int, config: DecoderConfig) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, width, 3, padding=1, bias=False),
        nn.BatchNorm2d(width, eps=config.bn_epsilon, momentum=config.bn_momentum),
        nn.ReLU(),
    )


def _zero_biases(part: nn.Module) -> None:
    for layer in part.modules():
        if isinstance(layer, nn.Conv2d) and layer.bias is not None:
            nn.init.zeros_(layer.bias)


def build_network(
    name: str,
    decoder: DecoderConfig,
    classes: int,
    *,
    weights: str | Path | None = None,
    config: Mapping[str, Any] | None = None,
) -> SegmentationNet:
    """Build a segmenter around a MaxViT.

    Parameters
    ----------
    name : str
        Of the MaxViT, as `multiaxis.create_model` takes it.
    decoder : DecoderConfig
    classes : int
    weights : str or Path, optional
        Of the MaxViT: a published checkpoint's name, or a file; by default parameters are random.
    config : mapping, optional
        Fields of `MaxViTConfig` that replace the variant's.

    Raises
    ------
    ConfigError
        If the model is no MaxViT, or something cannot be built.
    WeightsError
        If the weights cannot be fetched or do not fit.
    """
    arguments: dict[str, Any] = {"name": name, "weights": weights, **(config or {})}
    backbone = create_model(features_only=True, **arguments)
    about = SegmenterConfig(num_classes=classes, backbone=backbone.config, decoder=decoder)
    return SegmentationNet(backbone, about)
