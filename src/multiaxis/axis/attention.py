"""Multi-head self-attention inside blocks and across the grid, for any number of spatial axes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from multiaxis.axis.layers import attend, check_channels, dense
from multiaxis.axis.padding import crop, pad_to_multiple, real_pixels
from multiaxis.axis.partition import block, grid, sizes, unblock, ungrid
from multiaxis.axis.relative import RelativeBias, Window
from multiaxis.errors import ConfigError

Split = Callable[[Tensor, Sequence[int]], Tensor]
Merge = Callable[[Tensor, Sequence[int], Sequence[int]], Tensor]


class WindowAttention(nn.Module):
    """Self-attention among the tokens of each window; subclasses say what a window is.

    Parameters
    ----------
    channels : int
        Channels in and out; a multiple of `head_dim`.
    head_dim : int
        Channels of a head; logits are scaled by its inverse square root.
    window : sequence of int, one per spatial axis
        Tokens along each axis of a window: the block's size, or the number of grid cells.
    table_window : sequence of int, optional
        Window that the bias table is stored for, where it is another than `window`.
    relative_bias : str or None
        ``"per_head"``, ``"shared"`` (one table for all heads), or None for no bias.

    Raises
    ------
    ConfigError
        If `head_dim` does not divide `channels`, `relative_bias` is none of these, or a window is
        no sequence of whole numbers from 1 on.
    """

    def __init__(
        self,
        channels: int,
        head_dim: int,
        window: Sequence[int],
        *,
        table_window: Sequence[int] | None = None,
        relative_bias: str | None = "per_head",
    ) -> None:
        super().__init__()
        if head_dim < 1 or channels % head_dim:
            raise ConfigError(
                f"received {channels} channels and heads of {head_dim}: the channels must be a "
                "multiple of the head's"
            )
        if relative_bias not in ("per_head", "shared", None):
            raise ConfigError(
                f"relative_bias is {relative_bias!r}: accepted are 'per_head', 'shared' and None"
            )
        self.window: Window = sizes(window, "window")
        stored = self.window if table_window is None else sizes(table_window, "table_window")
        if len(stored) != len(self.window):
            raise ConfigError(
                f"received the window {self.window} and the table_window {stored}: both need one "
                "size for each spatial axis"
            )
        self.heads, self.head_dim = channels // head_dim, head_dim
        self.qkv = dense(channels, 3 * channels)
        tables = self.heads if relative_bias == "per_head" else 1
        self.bias = RelativeBias(tables, stored) if relative_bias else None
        self.out = dense(channels, channels)

    def extra_repr(self) -> str:
        """Tell the window and the heads."""
        return f"window={self.window}, heads={self.heads}, head_dim={self.head_dim}"

    def _attend(
        self, x: Tensor, window: Sequence[int] | None, split: Split, merge: Merge
    ) -> Tensor:
        """Attend on a map of any size: what does not divide is padded, and masked as keys."""
        window = self.window if window is None else sizes(window, "window")
        check_channels(x, self.heads * self.head_dim)
        padded = pad_to_multiple(x, window)
        real = real_pixels(x, window)
        windows = split(padded, window)
        keys = None if real is None else split(real, window)[0, :, :, 0]
        mixed = merge(self._mix(self.qkv(windows), window, keys), window, padded.shape[1:-1])
        # Merged before it is projected: windows and heads take one copy together.
        return crop(self.out(mixed.flatten(-2)), x.shape[1:-1])

    def _mix(self, qkv: Tensor, window: Window, keys: Tensor | None) -> Tensor:
        """Turn (batch, windows, tokens, 3 * channels) into (..., tokens, heads, head_dim)."""
        batch, count, tokens, _ = qkv.shape
        heads = (3, self.heads, self.head_dim)
        q, k, v = qkv.unflatten(-1, heads).permute(3, 0, 1, 4, 2, 5)  # (b, windows, heads, t, d)
        mask = None if self.bias is None else self.bias(window)[None].to(q.dtype)
        if keys is None:
            q, k, v = (part.flatten(0, 1) for part in (q, k, v))
        else:
            # Windows count as heads, so that one mask serves the whole batch.
            q, k, v = (part.flatten(1, 2) for part in (q, k, v))
            mask = _mask_keys(keys, mask, self.heads, q.dtype)
        mixed = attend(q, k, v, mask).reshape(batch, count, self.heads, tokens, self.head_dim)
        return mixed.transpose(2, 3)


def _mask_keys(keys: Tensor, bias: Tensor | None, heads: int, dtype: torch.dtype) -> Tensor:
    """Add minus infinity to the logits of padded keys.

    Parameters
    ----------
    keys : Tensor of bool, shape (windows, tokens)
    bias : Tensor, shape (1, heads or 1, tokens, tokens), or None

    Returns
    -------
    Tensor, shape (1, windows * heads, tokens, tokens)
    """
    # A window of padding alone is cropped away: left unmasked, it stays free of NaN.
    hidden = ~keys & keys.any(dim=1, keepdim=True)
    windows, tokens = keys.shape
    zeros = torch.zeros(windows, 1, 1, tokens, dtype=dtype, device=keys.device)
    logits = zeros.masked_fill(hidden[:, None, None], -math.inf)
    logits = logits if bias is None else logits + bias
    return logits.expand(windows, heads, tokens, tokens).reshape(1, -1, tokens, tokens)


class BlockAttention(WindowAttention):
    """Self-attention inside blocks of neighbouring pixels: local, at a cost linear in the pixels.

    Built like `WindowAttention`; `window` is the block's size in pixels. Source: MaxViT, section
    3.2, block attention.

    Examples
    --------
    >>> BlockAttention(8, 4, (7, 7))(torch.zeros(1, 30, 20, 8)).shape
    torch.Size([1, 30, 20, 8])
    """

    def forward(self, x: Tensor, window: Sequence[int] | None = None) -> Tensor:
        """Attend on a map (batch, *spatial, channels) of any size; the shape stays.

        `window` replaces the block size for this call; the bias table is stretched to it.
        """
        return self._attend(x, window, block, unblock)


class GridAttention(WindowAttention):
    """Self-attention among one pixel of every grid cell: global, at a cost linear in the pixels.

    Built like `WindowAttention`; `window` is the number of cells along each axis. Source: MaxViT,
    section 3.2, grid attention.

    Examples
    --------
    >>> GridAttention(8, 4, (7, 7))(torch.zeros(1, 30, 20, 8)).shape
    torch.Size([1, 30, 20, 8])
    """

    def forward(self, x: Tensor, window: Sequence[int] | None = None) -> Tensor:
        """Attend on a map (batch, *spatial, channels) of any size; the shape stays.

        `window` replaces the number of cells for this call; the bias table is stretched to it.
        """
        return self._attend(x, window, grid, ungrid)
