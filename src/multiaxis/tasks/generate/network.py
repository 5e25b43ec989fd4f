"""A generator: from a random vector to a picture. Maps are (batch, height, width, channels)."""

from __future__ import annotations

from collections.abc import Iterator

import torch.nn.functional as F  # noqa: N812 (the name everyone uses)
from torch import Tensor, nn

from multiaxis.axis import BlockAttention, GridAttention
from multiaxis.axis.layers import attend, dense, gelu
from multiaxis.errors import ShapeError
from multiaxis.models.maxvit.blocks import MbConv, channels_first, channels_last
from multiaxis.models.maxvit.config import MaxViTConfig
from multiaxis.models.maxvit.start import start_weights
from multiaxis.tasks.generate.config import ORDERS, GeneratorConfig

_EPSILON = 1e-5  # of batch norms


class Norm(nn.BatchNorm1d):
    """A batch norm over all pixels; the paper has it in the place of every LayerNorm."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=_EPSILON)

    def forward(self, input: Tensor) -> Tensor:
        """Normalise (..., channels)."""
        return super().forward(input.flatten(0, -2)).view_as(input)


class Mlp(nn.Module):
    """Two layers on every pixel, behind a norm and around a shortcut."""

    def __init__(self, channels: int, expansion: int) -> None:
        super().__init__()
        self.norm = Norm(channels)
        self.expand = dense(channels, expansion * channels)
        self.project = dense(expansion * channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Change a map; the shape stays."""
        return x + self.project(gelu(self.expand(self.norm(x))))


class CrossAttention(nn.Module):
    """Every pixel asks the tokens of z, and an MLP follows, each around a shortcut.

    All heads share one set of keys and values. Source: HiT (2106.07631), whose cross-attention
    MaxViT's generator takes over; it has learnt places beside, where MaxViT has relative biases.

    Parameters
    ----------
    channels : int
        Of the map.
    token_width : int
        Channels of the tokens.
    config : GeneratorConfig
    """

    def __init__(self, channels: int, token_width: int, config: GeneratorConfig) -> None:
        super().__init__()
        head_dim = config.head_dim
        self.heads, self.head_dim = channels // head_dim, head_dim
        self.norm = Norm(channels)
        self.query = dense(channels, channels)
        self.key_value = dense(token_width, 2 * head_dim)
        self.out = dense(channels, channels)
        self.mlp = Mlp(channels, config.expansion)

    def forward(self, x: Tensor, tokens: Tensor) -> Tensor:
        """Add to a map (batch, height, width, channels) what tokens (batch, count, width) tell."""
        query = self.query(self.norm(x)).flatten(1, 2).unflatten(-1, (self.heads, self.head_dim))
        key, value = self.key_value(tokens)[:, None].chunk(2, dim=-1)
        shape = (-1, self.heads, -1, -1)
        found = attend(query.transpose(1, 2), key.expand(shape), value.expand(shape), None)
        return self.mlp(x + self.out(found.transpose(1, 2).flatten(2).view_as(x)))


class Attention(nn.Module):
    """Attention in blocks or across the grid, behind a norm and around a shortcut, and an MLP."""

    def __init__(
        self, attention: BlockAttention | GridAttention, channels: int, expansion: int
    ) -> None:
        super().__init__()
        self.norm = Norm(channels)
        self.attention = attention
        self.mlp = Mlp(channels, expansion)

    def forward(self, x: Tensor) -> Tensor:
        """Attend on a map; the shape stays."""
        return self.mlp(x + self.attention(self.norm(x)))


class Block(nn.Module):
    """The parts of a MaxViT block in the configured order.

    Source: MaxViT, section 4.4 and figure 7.
    """

    def __init__(self, channels: int, config: GeneratorConfig) -> None:
        super().__init__()
        window = (config.window, config.window)
        maxvit = MaxViTConfig(
            depths=(1,),
            widths=(channels,),
            head_dim=config.head_dim,
            expansion_rate=config.expansion,
            bn_epsilon=_EPSILON,
            bn_momentum=0.1,
        )
        self.order = ORDERS[config.order]
        grid, block = (
            kind(channels, config.head_dim, window) for kind in (GridAttention, BlockAttention)
        )
        self.grid = Attention(grid, channels, config.expansion)
        self.block = Attention(block, channels, config.expansion)
        self.conv = MbConv(channels, channels, maxvit, halve=False, drop_path=0.0)

    def forward(self, x: Tensor) -> Tensor:
        """Mix a map; the shape stays."""
        for part in self.order:
            x = self.get_submodule(part)(x)
        return x


class Stage(nn.Module):
    """Cross-attention to z, and blocks, all at one size.

    Parameters
    ----------
    before, channels : int
        Channels of what comes in, and of the stage.
    depth : int
        Blocks.
    config : GeneratorConfig
    """

    def __init__(self, before: int, channels: int, depth: int, config: GeneratorConfig) -> None:
        super().__init__()
        self.widen = dense(before, channels) if before != channels else None
        self.cross = CrossAttention(channels, config.widths[0], config)
        self.blocks = nn.ModuleList(Block(channels, config) for _ in range(depth))

    def forward(self, x: Tensor, tokens: Tensor) -> Tensor:
        """Turn (batch, side, side, before) into (batch, side, side, channels)."""
        x = self.cross(x if self.widen is None else self.widen(x), tokens)
        for block in self.blocks:
            x = block(x)
        return x


class GeneratorNet(nn.Module):
    """A MaxViT-GAN's generator.

    z becomes a map of 8 x 8 and tokens. Each stage lets pixels ask the tokens, then mixes them;
    pixel shuffle doubles the map between stages. There is a batch norm in the place of every layer
    norm, and neither noise nor growing. Source: MaxViT, section 4.4, appendix B.4 and figure 7.

    Parameters
    ----------
    config : GeneratorConfig

    Examples
    --------
    >>> import torch
    >>> small = GeneratorConfig(latent=8, widths=(32, 32), depths=(1, 1))
    >>> GeneratorNet(small).eval()(torch.zeros(1, 8)).shape
    torch.Size([1, 3, 16, 16])
    """

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.config = config
        first = config.widths[0]
        self.first = dense(config.latent, config.start**2 * first)
        self.tokens = dense(config.latent, config.tokens * first)
        self.token_norm = Norm(first)
        stages: list[Stage] = []
        before = first
        for width, depth in zip(config.widths, config.depths, strict=True):
            stages.append(Stage(before, width, depth, config))
            before = width // 4
        self.stages = nn.ModuleList(stages)
        self.norm = Norm(config.widths[-1])
        self.to_rgb = dense(config.widths[-1], 3)
        start_weights(self.stages, config.start_weights)

    def blocks(self) -> Iterator[nn.Module]:
        """Give the blocks, which a training compiles one by one."""
        for stage in self.stages:
            assert isinstance(stage, Stage)  # noqa: S101 (for the type)
            yield from stage.blocks

    def forward(self, latents: Tensor) -> Tensor:
        """Make pictures.

        Parameters
        ----------
        latents : Tensor, shape (batch, latent)
            Of the standard normal distribution.

        Returns
        -------
        Tensor, shape (batch, 3, size, size)
            sRGB, -1 to 1; what is beyond is to be clipped.

        Raises
        ------
        ShapeError
            If the latents have another shape.
        """
        config = self.config
        if latents.ndim != 2 or latents.shape[1] != config.latent:
            raise ShapeError(
                f"received latents of shape {tuple(latents.shape)}: accepted is (batch, "
                f"{config.latent})"
            )
        x = self.first(latents).unflatten(-1, (config.start, config.start, -1))
        tokens = self.token_norm(self.tokens(latents).unflatten(-1, (config.tokens, -1)))
        for k, stage in enumerate(self.stages):
            if k:
                x = channels_last(F.pixel_shuffle(channels_first(x), 2))
            x = stage(x, tokens)
        return channels_first(self.to_rgb(self.norm(x)))
