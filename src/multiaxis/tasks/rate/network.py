"""A backbone with a head that rates pictures, or compares them with their original."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 (the name everyone uses)
from torch import Tensor, nn

from multiaxis.models.maxvit.backbone import Backbone
from multiaxis.tasks.rate.config import HeadConfig, RaterConfig, pooled_levels
from multiaxis.tasks.rate.statistics import STATISTICS
from multiaxis.zoo import create_model

_LEAST = 1e-10  # keeps square roots of nothing differentiable


class RatingNet(nn.Module):
    """Rates pictures: pool, dropout, one layer (MaxViT paper, appendices A.3 and B.3).

    Parameters
    ----------
    config : RaterConfig

    Attributes
    ----------
    config : RaterConfig
    backbone : Backbone
    head : nn.Linear

    Examples
    --------
    >>> model = build_network("maxvit_pico", HeadConfig()).eval()
    >>> model(torch.zeros(2, 3, 64, 50)).shape
    torch.Size([2, 10])
    """

    def __init__(self, config: RaterConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = Backbone(config.backbone)
        self.dropout = nn.Dropout(config.head.dropout)
        self.head = nn.Linear(self.width, config.head.outputs)
        nn.init.normal_(self.head.weight, std=0.01)
        nn.init.zeros_(self.head.bias)

    @property
    def width(self) -> int:
        """How many numbers describe a picture, all views together."""
        return sum(self.widths)

    @property
    def widths(self) -> list[int]:
        """How many numbers each view gives."""
        channels = sum(self.backbone.feature_info.channels())
        each = channels * (2 if self.config.head.pool == "levels" else 1)
        views = self.config.head.views
        return [len(STATISTICS) if view == "statistics" else each for view in views]

    def features(self, x: Tensor) -> Tensor:
        """Pool the maps of pictures.

        Parameters
        ----------
        x : Tensor, shape (batch, channels, height, width)
            Normalised.

        Returns
        -------
        Tensor, shape (batch, channels of the pooled maps)
        """
        maps = self.backbone(x)
        if self.config.head.pool == "last":
            return maps[-1].mean(dim=(2, 3))
        return torch.cat([part for one in maps for part in _moments(one)], dim=1)

    def answer(self, features: Tensor) -> Tensor:
        """Turn what describes pictures into logits of votes, (batch, values), or scores, (batch,).

        Parameters
        ----------
        features : Tensor, shape (batch, width)
            Of all views, side by side.
        """
        found = self.head(self.dropout(features))
        return found if self.config.head.kind == "votes" else found[:, 0]

    def forward(self, x: Tensor) -> Tensor:
        """Rate pictures that are looked at whole; as `answer`."""
        return self.answer(self.features(x))

    def blocks(self) -> list[nn.Module]:
        """List the blocks that are worth compiling by themselves."""
        return self.backbone.blocks()

    def set_grad_checkpointing(self, enable: bool = True) -> None:  # noqa: FBT001, FBT002 (timm's)
        """Recompute each block of the backbone in the backward pass."""
        self.backbone.set_grad_checkpointing(enable)


class ClosenessNet(nn.Module):
    """Tells how far pictures are from their originals, on differences of a pyramid of features.

    Positions of every map are brought to unit length, and squared differences averaged over the
    map (Zhang et al., LPIPS, 2018); the pictures themselves are the finest level. Each channel has
    a weight that cannot be negative, so that equal pictures are at distance 0 and nothing is
    nearer.

    Parameters
    ----------
    config : RaterConfig

    Examples
    --------
    >>> model = build_network("maxvit_pico", HeadConfig(kind="closeness")).eval()
    >>> x = torch.rand(1, 3, 64, 64)
    >>> model(x, x).item() < model(x, -x).item()
    True
    """

    def __init__(self, config: RaterConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = Backbone(config.backbone)
        count = config.backbone.in_channels + sum(self.backbone.feature_info.channels())
        self.weight = nn.Parameter(torch.zeros(count))
        self.gain = nn.Parameter(torch.zeros(()))

    def features(self, reference: Tensor, picture: Tensor) -> Tensor:
        """Give mean squared differences: (batch, channels of all levels).

        Parameters
        ----------
        reference, picture : Tensor, shape (batch, channels, height, width)
            Normalised, of one size.
        """
        maps = zip(self.backbone(reference), self.backbone(picture), strict=True)
        found = [(reference - picture).square().mean(dim=(2, 3))]
        found += [(_unit(one) - _unit(other)).square().mean(dim=(2, 3)) for one, other in maps]
        return torch.cat(found, dim=1)

    def answer(self, features: Tensor) -> Tensor:
        """Turn differences into distances, (batch,)."""
        total = (features * F.softplus(self.weight)).sum(dim=1)
        return self.gain.exp() * (total + _LEAST).sqrt()

    def forward(self, reference: Tensor, picture: Tensor) -> Tensor:
        """Tell distances, (batch,), 0 or a little more for equal pictures; as `features`."""
        return self.answer(self.features(reference, picture))

    def blocks(self) -> list[nn.Module]:
        """List the blocks that are worth compiling by themselves."""
        return self.backbone.blocks()

    def set_grad_checkpointing(self, enable: bool = True) -> None:  # noqa: FBT001, FBT002 (timm's)
        """Recompute each block of the backbone in the backward pass."""
        self.backbone.set_grad_checkpointing(enable)


def _moments(x: Tensor) -> tuple[Tensor, Tensor]:
    return x.mean(dim=(2, 3)), (x.var(dim=(2, 3), correction=0) + _LEAST).sqrt()


def _unit(x: Tensor) -> Tensor:
    return x * (x.square().sum(dim=1, keepdim=True) + _LEAST).rsqrt()


def new_network(config: RaterConfig) -> RatingNet | ClosenessNet:
    """Build what a configuration says, with random parameters."""
    return ClosenessNet(config) if config.head.kind == "closeness" else RatingNet(config)


def build_network(
    name: str,
    head: HeadConfig,
    *,
    weights: str | Path | None = None,
    config: Mapping[str, Any] | None = None,
) -> RatingNet | ClosenessNet:
    """Build a rater around a MaxViT.

    Parameters
    ----------
    name : str
        Of the MaxViT, as `multiaxis.create_model` takes it.
    head : HeadConfig
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
    about = RaterConfig(backbone=pooled_levels(backbone.config, head), head=head)
    network = new_network(about)
    network.backbone.load_state_dict(
        {n: x for n, x in backbone.state_dict().items() if n in network.backbone.state_dict()}
    )
    return network
