"""A plain U-Net that tells the noise in residuals, as the paper of predict and refine has it."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F  # noqa: N812 (the name everyone uses)
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from multiaxis.tasks.restore.refine.config import COLOURS, DenoiserConfig

_WAVES = 32  # pairs of sine and cosine that tell the level, of 1 to 100 radians
_HIGHEST = 100.0


class Residual(nn.Module):
    """Two convolutions beside a shortcut, which know the level; they may halve or double the map.

    Source: the residual blocks of BigGAN (1809.11096) in the form of SR3 (2104.07636), without
    norms. Each block starts as its shortcut.

    Parameters
    ----------
    before, channels : int
        Channels of what comes in, and of what goes out.
    told : int
        Length of what tells the level.
    resize : float
        0.5 to halve the map, 2 to double it, 1 to leave it.
    joins : bool
        Whether the map of the same size from the way down is joined to what comes in.
    """

    def __init__(
        self, before: int, channels: int, told: int, *, resize: float = 1, joins: bool = False
    ) -> None:
        super().__init__()
        self.resize, self.joins = resize, joins
        self.first = _conv(before, channels, 3, gain=2)
        self.level = nn.Linear(told, channels)
        self.second = _conv(channels, channels, 3, gain=0)
        self.shortcut = nn.Identity() if before == channels else _conv(before, channels, 1)

    def forward(self, x: Tensor, told: Tensor) -> Tensor:
        """Change a map (batch, before, height, width), knowing (batch, told)."""
        y = self.first(_resized(F.silu(x), self.resize)) + self.level(told)[:, :, None, None]
        return self.shortcut(_resized(x, self.resize)) + self.second(F.silu(y))


class Unet(nn.Module):
    """Residual blocks down to small maps and up again, joined at each size.

    No attention, positions or norms, so that it works at any size. Source: Whang et al.
    (2112.02475), section 4. That z is added to the answer, so that training starts by taking all
    of it for noise, is ours.

    Parameters
    ----------
    config : DenoiserConfig
        Of kind ``unet``: `features` times 1, 2, 3 and so on in `depth` levels of `groups` blocks.

    Examples
    --------
    >>> small = DenoiserConfig(kind="unet", features=4, depth=2)
    >>> Unet(small)(torch.zeros(1, 7, 8, 8)).shape
    torch.Size([1, 3, 8, 8])
    """

    def __init__(self, config: DenoiserConfig) -> None:
        super().__init__()
        self.config, self.recomputes = config, False
        widths = [config.features * (level + 1) for level in range(config.depth)]
        told = 4 * config.features
        self.tell = nn.Sequential(nn.Linear(2 * _WAVES, told), nn.SiLU(), nn.Linear(told, told))
        now, kept = widths[0], [widths[0]]
        self.first = _conv(config.colours, now, 3)
        down, up = list[Residual](), list[Residual]()
        for level, width in enumerate(widths):
            if level:
                down.append(Residual(now, now, told, resize=0.5))
                kept.append(now)
            for _ in range(config.groups):
                down.append(Residual(now, width, told))
                now = width
                kept.append(now)
        self.middle = nn.ModuleList(Residual(now, now, told) for _ in range(2))
        for level, width in reversed(list(enumerate(widths))):
            for _ in range(config.groups + 1):
                up.append(Residual(now + kept.pop(), width, told, joins=True))
                now = width
            if level:
                up.append(Residual(now, now, told, resize=2))
        self.down, self.up = nn.ModuleList(down), nn.ModuleList(up)
        self.last = _conv(now, COLOURS, 3, gain=0)

    def forward(self, x: Tensor) -> Tensor:
        """Tell the noise.

        Parameters
        ----------
        x : Tensor, shape (batch, config.colours + 1, height, width)
            What `network.see` gives: the last plane is the level's. Sides are multiples of
            ``config.size_multiple``.

        Returns
        -------
        Tensor, shape (batch, 3, height, width)
        """
        z, level = x[:, :COLOURS], x[:, -1, 0, 0].float()
        waves = torch.logspace(0, math.log10(_HIGHEST), _WAVES, device=x.device)
        angles = level[:, None] * waves
        told = F.silu(self.tell(torch.cat([angles.sin(), angles.cos()], dim=1).to(x.dtype)))
        y = self.first(x[:, :-1])
        kept = [y]
        for block in self.down:
            y = self._run(block, y, told)
            kept.append(y)
        for block in self.middle:
            y = self._run(block, y, told)
        for block in self.up:
            y = self._run(block, torch.cat([y, kept.pop()], dim=1) if block.joins else y, told)
        return z + self.last(F.silu(y))

    def blocks(self) -> list[nn.Module]:
        """List the blocks, which a training compiles one by one."""
        return [*self.down, *self.middle, *self.up]

    def set_grad_checkpointing(self, enable: bool = True) -> None:  # noqa: FBT001, FBT002 (timm's)
        """Recompute each block in the backward pass instead of keeping its maps."""
        self.recomputes = enable

    def _run(self, block: nn.Module, x: Tensor, told: Tensor) -> Tensor:
        if self.recomputes and torch.is_grad_enabled():
            return checkpoint(block, x, told, use_reentrant=False)
        return block(x, told)


def _conv(before: int, channels: int, kernel: int, *, gain: float = 1) -> nn.Conv2d:
    """Make a convolution that multiplies the mean square by `gain`, whose bias is zero."""
    conv = nn.Conv2d(before, channels, kernel, padding=kernel // 2)
    bound = math.sqrt(3 * gain / (before * kernel**2))
    nn.init.uniform_(conv.weight, -bound, bound)  # normal_ loads compilers for meta tensors
    nn.init.zeros_(conv.bias)  # pyright: ignore[reportArgumentType]
    return conv


def _resized(x: Tensor, factor: float) -> Tensor:
    if factor < 1:
        return F.avg_pool2d(x, 2)
    return F.interpolate(x, scale_factor=2, mode="nearest") if factor > 1 else x
