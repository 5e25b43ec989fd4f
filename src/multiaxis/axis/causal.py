"""Causal attention along a sequence: block and grid that together miss nothing of the past."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F  # noqa: N812 (the name everyone uses)
from torch import Tensor, nn

from multiaxis.axis.causal_state import CausalState, check_unspent, recall, remember, write
from multiaxis.axis.layers import dense, normal
from multiaxis.axis.padding import pack, pad_to_multiple, unpack
from multiaxis.errors import ConfigError, ShapeError

QUERIES = 64
"""Tokens that share keys: fewer copy more, more make more products for nothing."""
TOKENS = 4096
"""Tokens that attend in one call: bounds the memory."""


class CausalAttention(nn.Module):
    """Self-attention in which a token sees itself and earlier tokens, `stride` apart.

    Token n sees the tokens n, n - stride, ..., n - (reach - 1) * stride. With stride 1 this is a
    block that slides with the token; with the block's size as stride it is a grid, one token of
    each of the last `reach` blocks. One after the other, ``CausalAttention(c, d, P)`` and
    ``CausalAttention(c, d, G, stride=P)`` reach the last ``P * G`` tokens, all of them: an earlier
    token lies ``a * P + b`` back with b < P, a steps of the grid and b in the block. Choose
    ``P * G`` at least as long as the sequence, and the whole past is reached.

    Cost: fewer than ``reach + 64`` products for each token, linear in the sequence for fixed
    sizes. ``P = G = sqrt(length)`` is the cheapest pair that reaches everything.

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
    dropout : float
        Rate of the dropout on attention weights while training, from 0 to below 1.

    Raises
    ------
    ConfigError
        If `head_dim` does not divide `channels`, a size is below 1, or `dropout` is no such rate.

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
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if head_dim < 1 or channels % head_dim:
            raise ConfigError(
                f"received {channels} channels and heads of {head_dim}: the channels must be a "
                "multiple of the head's"
            )
        if reach < 1 or stride < 1:
            raise ConfigError(f"received the reach {reach} and the stride {stride}: both from 1 on")
        if not 0 <= dropout < 1:
            raise ConfigError(
                f"received the dropout {dropout}: accepted are rates from 0 to below 1"
            )
        self.heads, self.head_dim = channels // head_dim, head_dim
        self.reach, self.stride, self.dropout = reach, stride, dropout
        self.qkv = dense(channels, 3 * channels)
        self.bias = nn.Parameter(torch.empty(self.heads, reach)) if relative_bias else None
        if self.bias is not None:
            normal(self.bias.data, 0)
        self.out = dense(channels, channels)

    def extra_repr(self) -> str:
        """Tell the sizes."""
        sizes = f"reach={self.reach}, stride={self.stride}, heads={self.heads}"
        return f"{sizes}, dropout={self.dropout}" if self.dropout else sizes

    def forward(self, x: Tensor, key_padding_mask: Tensor | None = None) -> Tensor:
        """Attend along whole sequences.

        Parameters
        ----------
        x : Tensor, shape (batch, length, channels)
            Sequences of any length.
        key_padding_mask : Tensor of bool, shape (batch, length), optional
            True where a token is padding, as `torch.nn.MultiheadAttention` has it. Padding on the
            left, on the right or between takes no place in its sequence: each sequence's result
            is that of its real tokens alone.

        Returns
        -------
        Tensor, shape (batch, length, channels)
            Zero at padding.

        Raises
        ------
        ShapeError
            If a tensor has another shape, or the mask another dtype.
        """
        self._check(x, key_padding_mask)
        return self._continue(x, None, key_padding_mask)[0]

    def step(
        self,
        x: Tensor,
        state: CausalState | None = None,
        key_padding_mask: Tensor | None = None,
    ) -> tuple[Tensor, CausalState]:
        """Attend from the next tokens of sequences: a whole prompt, a piece of it, or one token.

        Parameters
        ----------
        x : Tensor, shape (batch, tokens, channels)
            Several tokens cost what they cost in `forward`. One token without a mask is written
            into the state's memory; nothing else is copied.
        state : CausalState, optional
            What the step before returned; None at the start of the sequences.
        key_padding_mask : Tensor of bool, shape (batch, tokens), optional
            As in `forward`. A sequence goes on after its last real token, so prompts of different
            lengths share a batch, and a sequence without a real token waits.

        Returns
        -------
        y : Tensor, shape (batch, tokens, channels)
            What `forward` gives for these tokens at the end of the whole sequences.
        state : CausalState
            For the next step; the one that was given may be spent.

        Raises
        ------
        ShapeError
            As in `forward`, or if the state is that of another layer or batch.
        ConfigError
            If a step has already gone on from the state, in place.
        """
        self._check(x, key_padding_mask)
        if state is not None:
            self._check_state(state, x.shape[0])
            if x.shape[1] == 1 and key_padding_mask is None:
                return self._continue_by_one(x, state)
        y, kv = self._continue(x, state, key_padding_mask)
        added = x.shape[1] if key_padding_mask is None else (~key_padding_mask).sum(1)
        lengths = (
            torch.zeros_like(x[:, 0, 0], dtype=torch.int64) if state is None else state.lengths
        )
        return y, remember(kv, lengths + added, self.reach, self.stride)

    def _continue_by_one(self, x: Tensor, state: CausalState) -> tuple[Tensor, CausalState]:
        q, kv = self._project(x)
        state, seen, steps = write(state, kv[:, 0])
        is_missing = steps * self.stride >= state.lengths[:, None]
        mask = _hide(self._bias(steps[None], x), is_missing[:, None])
        return self.out(self._attend(q, seen, mask)), state

    def _continue(
        self, x: Tensor, state: CausalState | None, padding: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Give the outputs; and keys and values from those of the state on, padding first."""
        q, kv = self._project(x if padding is None else pack(x, padding))
        hidden = None if padding is None else padding.sort(dim=1, descending=True)[0]
        if state is not None:
            past, missing = recall(state)
            kv = torch.cat([past.to(kv.dtype), kv], dim=1)
            new = hidden if hidden is not None else missing.new_zeros(x.shape[:2])
            hidden = torch.cat([missing, new], dim=1)
            if padding is not None:  # stands between the past and the new tokens
                kv, hidden = pack(kv, hidden), hidden.sort(dim=1, descending=True)[0]
        y = self.out(self._strided(q, kv, hidden))
        return (y if padding is None else unpack(y, padding)), kv

    def _project(self, x: Tensor) -> tuple[Tensor, Tensor]:
        channels = x.shape[2]
        q, kv = self.qkv(x).split([channels, 2 * channels], dim=2)
        return q, kv

    def _strided(self, q: Tensor, kv: Tensor, hidden: Tensor | None) -> Tensor:
        """Attend; tokens of one residue modulo the stride form a sequence of their own."""
        if self.stride == 1:
            return self._banded(q, kv, hidden)
        batch, length, _ = q.shape
        # Padding comes last here, so that no token sees it.
        parts = [self._residues(part) for part in (q, kv)]
        keys = None if hidden is None else self._residues(hidden[..., None])[..., 0]
        mixed = self._banded(parts[0], parts[1], keys).unflatten(0, (batch, self.stride))
        return mixed.transpose(1, 2).flatten(1, 2)[:, :length]

    def _residues(self, x: Tensor) -> Tensor:
        padded = pad_to_multiple(x, (self.stride,))
        return padded.unflatten(1, (-1, self.stride)).transpose(1, 2).flatten(0, 1)

    def _banded(self, q: Tensor, kv: Tensor, hidden: Tensor | None) -> Tensor:
        """Let each token see the last `reach` ones, a few queries at a time.

        Parameters
        ----------
        q : Tensor, shape (sequences, tokens, channels)
        kv : Tensor, shape (sequences, past + tokens, 2 * channels)
        hidden : Tensor of bool, shape (sequences, past + tokens), optional
            Keys that only padding itself may see.
        """
        past = kv.shape[1] - q.shape[1]
        before, width = min(self.reach, kv.shape[1]) - 1, min(QUERIES, q.shape[1])
        place = torch.arange(before + width, device=q.device)
        bias = self._bias(place[before:, None] - place, q)
        pieces = list(_pieces(q.shape, past, before, width))
        sizes = [windows * size for windows, size in pieces]
        keys, stop = kv[:, :past], past
        mixed: list[Tensor] = []
        # Split, not sliced: the gradient of each slice would be as large as the whole.
        parts = zip(pieces, q.split(sizes, 1), kv[:, past:].split(sizes, 1), strict=True)
        for (windows, size), queries, new in parts:
            keys = torch.cat([keys[:, max(keys.shape[1] - before, 0) :], new], dim=1)
            stop += windows * size
            seen = keys.shape[1] - (windows - 1) * size  # by a window
            mask = bias[..., :size, before + size - seen : before + size]
            if hidden is not None:
                unseen = hidden[:, stop - keys.shape[1] : stop].unfold(1, seen, size).flatten(0, 1)
                mask = _hide(mask, unseen[:, None] & ~unseen[:, -size:, None])
            part = self._attend(
                queries.unflatten(1, (windows, size)).flatten(0, 1),
                keys.unfold(1, seen, size).transpose(2, 3).flatten(0, 1),
                mask.contiguous(),  # kernels of some devices want it aligned
            )
            mixed.append(part.unflatten(0, (-1, windows)).flatten(1, 2))
        return torch.cat(mixed, dim=1)

    def _bias(self, steps: Tensor, like: Tensor) -> Tensor:
        """Lay out what is added to logits: (1, heads or 1, *steps.shape), -inf where unseen.

        `steps` (queries, keys) counts the strides from the query back to the key.
        """
        if self.bias is None:
            bias = torch.zeros(1, *steps.shape, device=like.device)
        else:
            bias = self.bias[:, steps.clamp(0, self.reach - 1)]
        unseen = (steps < 0) | (steps >= self.reach)
        return bias.masked_fill(unseen, -math.inf).to(like.dtype)[None]

    def _attend(self, q: Tensor, kv: Tensor, mask: Tensor) -> Tensor:
        """Attend from (n, queries, channels) to (n, keys, 2 * channels), by heads."""
        heads = (self.heads, self.head_dim)
        k, v = kv.to(q.dtype).unflatten(2, (2, *heads)).unbind(2)
        q, k, v = (part.transpose(1, 2) for part in (q.unflatten(2, heads), k, v))
        rate = self.dropout if self.training else 0.0
        mixed = F.scaled_dot_product_attention(
            q, k, v, attn_mask=mask, dropout_p=rate, scale=self.head_dim**-0.5
        )
        return mixed.transpose(1, 2).flatten(2)

    def _check(self, x: Tensor, key_padding_mask: Tensor | None) -> None:
        channels = self.heads * self.head_dim
        if x.ndim != 3 or x.shape[2] != channels or 0 in x.shape:
            raise ShapeError(
                f"received a tensor of shape {tuple(x.shape)}: accepted is (batch, length, "
                f"{channels}), not empty"
            )
        mask = key_padding_mask
        if mask is not None and (mask.dtype != torch.bool or mask.shape != x.shape[:2]):
            raise ShapeError(
                f"received a key_padding_mask of {mask.dtype} and shape {tuple(mask.shape)}: "
                f"accepted is torch.bool of shape {tuple(x.shape[:2])}, True at padding; from an "
                "attention_mask of ones and zeros, take attention_mask == 0"
            )

    def _check_state(self, state: CausalState, batch: int) -> None:
        check_unspent(state)
        wanted = (batch, self.reach, self.stride, 2 * self.heads * self.head_dim)
        if state.ring.shape != wanted:
            raise ShapeError(
                f"received a state whose ring has the shape {tuple(state.ring.shape)}: this layer "
                f"and batch go on from {wanted}; keep one state for each layer, and select() its "
                "sequences where the batch changes"
            )


def _pieces(
    shape: tuple[int, ...], past: int, before: int, width: int
) -> Iterator[tuple[int, int]]:
    """Cut (sequences, tokens, ...) into pieces of (windows, tokens of each) that attend at once.

    The windows of a piece have equal pasts: `before` tokens, except one by one at the start.
    """
    sequences, tokens = shape[:2]
    at_once = max(TOKENS // (sequences * width), 1)
    done = 0
    while done < tokens:
        size = min(width, tokens - done)
        windows = min((tokens - done) // size, at_once) if past + done >= before else 1
        yield windows, size
        done += windows * size


def _hide(mask: Tensor, hidden: Tensor) -> Tensor:
    """Add -inf to a mask (1, heads or 1, queries, keys) where (n, queries, keys) is hidden."""
    return torch.where(hidden[:, None], -math.inf, mask)
