"""Causal attention along a sequence: block and grid that together miss nothing of the past."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812 (the name everyone uses)
from torch import Tensor, nn

from multiaxis.axis.layers import dense, normal
from multiaxis.axis.padding import pad_to_multiple
from multiaxis.errors import ConfigError, ShapeError


@dataclass(frozen=True)
class CausalState:
    """What `CausalAttention.step` remembers of the past.

    Attributes
    ----------
    keys, values : Tensor, shape (batch, heads, remembered, head_dim)
        Of the last tokens, ``(reach - 1) * stride`` at most, however long the sequence grows.
    """

    keys: Tensor
    values: Tensor


class CausalAttention(nn.Module):
    """Self-attention in which a token sees itself and earlier tokens, `stride` apart.

    Token n sees the tokens n, n - stride, ..., n - (reach - 1) * stride. With stride 1 this is a
    block that slides with the token; with the block's size as stride it is a grid, one token of
    each of the last `reach` blocks. One after the other, ``CausalAttention(c, d, P)`` and
    ``CausalAttention(c, d, G, stride=P)`` reach the last ``P * G`` tokens, all of them: an earlier
    token lies ``a * P + b`` back with b < P, a steps of the grid and b in the block. Choose
    ``P * G`` at least as long as the sequence, and the whole past is reached.

    Cost: at most ``2 * reach`` products for each token, linear in the sequence for fixed sizes;
    ``P = G = sqrt(length)`` is the cheapest pair that reaches everything.

    Parameters
    ----------
    channels : int
        Channels in and out; a multiple of `head_dim`.
    head_dim : int
        Channels of a head; logits are scaled by its inverse square root.
    reach : int
        Tokens that a token sees, itself included.
    stride : int
        Tokens from one to the next of these.
    relative_bias : bool
        Whether a learnt bias is added to logits, for each head and distance.

    Raises
    ------
    ConfigError
        If `head_dim` does not divide `channels`, or a size is below 1.

    Notes
    -----
    Fixed causal windows with a fixed strided grid, the plain transfer of MaxViT, are blind: the
    first token of a window never hears of the token before it, at any depth. A block that moves
    with the token mends that without a third kind of attention. Source of the sliding, strided
    pair: Sparse Transformer (arXiv 1904.10509), "strided".

    Examples
    --------
    >>> block, grid = CausalAttention(8, 4, reach=16), CausalAttention(8, 4, reach=16, stride=16)
    >>> grid(block(torch.zeros(1, 200, 8))).shape
    torch.Size([1, 200, 8])
    """

    def __init__(
        self,
        channels: int,
        head_dim: int,
        reach: int,
        *,
        stride: int = 1,
        relative_bias: bool = True,
    ) -> None:
        super().__init__()
        if head_dim < 1 or channels % head_dim:
            raise ConfigError(
                f"received {channels} channels and heads of {head_dim}: the channels must be a "
                "multiple of the head's"
            )
        if reach < 1 or stride < 1:
            raise ConfigError(f"received the reach {reach} and the stride {stride}: both from 1 on")
        self.heads, self.head_dim = channels // head_dim, head_dim
        self.reach, self.stride = reach, stride
        self.qkv = dense(channels, 3 * channels)
        self.bias = nn.Parameter(torch.empty(self.heads, reach)) if relative_bias else None
        if self.bias is not None:
            normal(self.bias.data, 0)
        self.out = dense(channels, channels)

    def extra_repr(self) -> str:
        """Tell the sizes."""
        return f"reach={self.reach}, stride={self.stride}, heads={self.heads}"

    def forward(self, x: Tensor) -> Tensor:
        """Attend along a whole sequence (batch, length, channels) of any length."""
        self._check(x)
        batch, length, _ = x.shape
        # Tokens of one residue modulo the stride form a sequence of their own. Padding comes last,
        # so that no token sees it.
        padded = pad_to_multiple(self.qkv(x), (self.stride,))
        classes = padded.unflatten(1, (-1, self.stride)).transpose(1, 2).flatten(0, 1)
        mixed = self._banded(classes).unflatten(0, (batch, self.stride))
        return self.out(mixed.transpose(1, 2).flatten(1, 2)[:, :length])

    def step(self, x: Tensor, state: CausalState | None = None) -> tuple[Tensor, CausalState]:
        """Attend from the next tokens of a sequence.

        Parameters
        ----------
        x : Tensor, shape (batch, tokens, channels)
            One token or several.
        state : CausalState, optional
            What the step before returned; None at the start of the sequence.

        Returns
        -------
        y : Tensor, shape (batch, tokens, channels)
            What `forward` gives for these tokens at the end of the whole sequence.
        state : CausalState
        """
        self._check(x)
        q, keys, values = self._heads(self.qkv(x)).unbind(2)  # (batch, tokens, heads, head_dim)
        q, keys, values = (part.transpose(1, 2) for part in (q, keys, values))
        if state is not None:
            keys = torch.cat([state.keys, keys], dim=2)
            values = torch.cat([state.values, values], dim=2)
        total, tokens = keys.shape[2], x.shape[1]
        steps = torch.arange(self.reach, device=x.device)
        places = torch.arange(total - tokens, total, device=x.device)[:, None] - steps * self.stride
        seen = places.clamp(min=0)
        logits = (q[:, :, :, None] * keys[:, :, seen]).sum(-1) * self.head_dim**-0.5
        if self.bias is not None:
            logits = logits + self.bias[:, None]
        logits = logits.masked_fill(places < 0, -math.inf)
        precise = torch.promote_types(q.dtype, torch.float32)
        weights = logits.softmax(-1, dtype=precise).to(q.dtype)
        mixed = (weights[..., None] * values[:, :, seen]).sum(3)
        kept = max(total - (self.reach - 1) * self.stride, 0)
        return (
            self.out(mixed.transpose(1, 2).flatten(2)),
            CausalState(keys[:, :, kept:], values[:, :, kept:]),
        )

    def _heads(self, qkv: Tensor) -> Tensor:
        return qkv.unflatten(-1, (3, self.heads, self.head_dim))

    def _banded(self, qkv: Tensor) -> Tensor:
        """Let each token of (sequences, length, 3 * channels) see the last `reach` tokens.

        Sequences are cut into windows of `reach` tokens: what a token sees lies in its own window
        and the one before.
        """
        length = qkv.shape[1]
        reach = min(self.reach, length)
        windows = pad_to_multiple(qkv, (reach,)).unflatten(1, (-1, reach))
        q, k, v = self._heads(windows).movedim(3, 0).transpose(3, 4)  # (n, w, heads, reach, d)
        own = self._mask(reach, 0, q)
        first = self._attend(q[:, :1], k[:, :1], v[:, :1], own)
        if q.shape[1] == 1:
            return first[:, :length]
        pairs = [torch.cat([x[:, :-1], x[:, 1:]], dim=3) for x in (k, v)]
        both = torch.cat([self._mask(reach, reach, q), own], dim=2)
        rest = self._attend(q[:, 1:], pairs[0], pairs[1], both)
        return torch.cat([first, rest], dim=1)[:, :length]

    def _mask(self, reach: int, back: int, like: Tensor) -> Tensor:
        """Bias of a window's queries on the keys that lie `back` further back; -inf if unseen."""
        tokens = torch.arange(reach, device=like.device)
        distance = tokens[:, None] - tokens + back
        is_seen = (distance >= 0) & (distance < self.reach)
        shape = (self.heads, reach, reach)
        if self.bias is None:
            bias = torch.zeros(shape, dtype=like.dtype, device=like.device)
        else:
            bias = self.bias.to(like.dtype)[:, distance.clamp(0, self.reach - 1)]
        return bias.masked_fill(~is_seen, -math.inf)

    def _attend(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
        """Attend inside windows (n, w, heads, tokens, d); gives (n, w * tokens, channels)."""
        parts = (part.flatten(0, 1) for part in (q, k, v))
        mixed = F.scaled_dot_product_attention(*parts, attn_mask=mask, scale=self.head_dim**-0.5)
        mixed = mixed.transpose(1, 2).flatten(2)  # (n * w, tokens, channels)
        return mixed.unflatten(0, q.shape[:2]).flatten(1, 2)

    def _check(self, x: Tensor) -> None:
        channels = self.heads * self.head_dim
        if x.ndim != 3 or x.shape[2] != channels or 0 in x.shape:
            raise ShapeError(
                f"received a tensor of shape {tuple(x.shape)}: accepted is (batch, length, "
                f"{channels}), not empty"
            )
