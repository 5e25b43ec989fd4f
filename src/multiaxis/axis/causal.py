"""Causal multi-axis attention for sequences: the own window, and the ends of earlier windows."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812 (the name everyone uses)
from torch import Tensor, nn

from multiaxis.axis.layers import dense, normal
from multiaxis.errors import ConfigError, ShapeError


@dataclass(frozen=True)
class CausalState:
    """What a `CausalAttention` remembers of the tokens it has seen; its size is bounded.

    Attributes
    ----------
    position : int
        Tokens seen: the absolute index of the next one.
    current : Tensor, shape (2, batch, heads, position % window, head_dim)
        Keys and values of the window that is not full yet.
    earlier : Tensor, shape (2, batch, heads, at most cells, head_dim)
        Keys and values of the last tokens of full windows, oldest first.
    """

    position: int
    current: Tensor
    earlier: Tensor


class CausalAttention(nn.Module):
    """Self-attention on a sequence in which no token sees a later one.

    A token sees the tokens of its own window up to itself and, with `cells` above 0, the last token
    of each of that many earlier windows. Two layers make a pair: a local one (``cells=0``), then a
    strided one. The last token of a window has then seen its window, so the pair reaches the whole
    past while ``window * (cells + 1) >= length``.

    Parameters
    ----------
    channels : int
        Channels in and out; a multiple of `head_dim`.
    head_dim : int
        Channels of a head; logits are scaled by its inverse square root.
    window : int
        Tokens of a window; windows start at multiples of it.
    cells : int
        Earlier windows that a token sees by their last token.
    relative_bias : str or None
        ``"per_head"``, ``"shared"`` (one table for all heads), or None for no bias. The table has
        an entry for each distance inside the window and for each number of windows back.

    Raises
    ------
    ConfigError
        If `head_dim` does not divide `channels`, a size is too small, or `relative_bias` is none of
        these.

    Notes
    -----
    Block and grid attention with causal masks would not do: cells are multiples of windows, so the
    first token of a window would see only first tokens, at any depth. Source of this form: Sparse
    Transformer (arXiv 1904.10509), section 4.3, the "fixed" pattern with both parts in one head.
    Against a sliding window with "strided" attention, it

    * costs no more: a pair computes ``2 * window + cells`` logits per token, linear in the tokens
      for fixed sizes (reaching all of a growing past takes ``cells`` of length / window);
    * remembers less: `CausalState` holds below ``window + cells`` tokens, not their product;
    * suits data without a period: the paper reports that the strided pattern fails on text.

    Its price: what lies before the window passes through one token per window.

    Examples
    --------
    >>> local, strided = CausalAttention(8, 4, 16), CausalAttention(8, 4, 16, cells=15)
    >>> strided(local(torch.zeros(1, 250, 8))).shape
    torch.Size([1, 250, 8])
    """

    def __init__(
        self,
        channels: int,
        head_dim: int,
        window: int,
        *,
        cells: int = 0,
        relative_bias: str | None = "per_head",
    ) -> None:
        super().__init__()
        if head_dim < 1 or channels < 1 or channels % head_dim:
            raise ConfigError(
                f"received {channels} channels and heads of {head_dim}: the channels must be a "
                "multiple of the head's"
            )
        if window < 1 or cells < 0:
            raise ConfigError(
                f"received a window of {window} tokens and {cells} cells: give at least 1 token, "
                "and 0 cells or more"
            )
        if relative_bias not in ("per_head", "shared", None):
            raise ConfigError(
                f"relative_bias is {relative_bias!r}: accepted are 'per_head', 'shared' and None"
            )
        self.window, self.cells = window, cells
        self.heads, self.head_dim = channels // head_dim, head_dim
        self.qkv = dense(channels, 3 * channels)
        self.out = dense(channels, channels)
        self.table: nn.Parameter | None = None
        if relative_bias is not None:
            tables = self.heads if relative_bias == "per_head" else 1
            # Windows back, farthest first, then tokens back inside the window, nearest first.
            self.table = nn.Parameter(torch.empty(tables, cells + window))
            normal(self.table.data, 0)

    def extra_repr(self) -> str:
        """Tell the sizes and the heads."""
        sizes = f"window={self.window}, cells={self.cells}"
        return f"{sizes}, heads={self.heads}, head_dim={self.head_dim}"

    def forward(self, x: Tensor) -> Tensor:
        """Attend on whole sequences (batch, length, channels) of any length; the shape stays."""
        return self.step(x)[0]

    def step(self, x: Tensor, state: CausalState | None = None) -> tuple[Tensor, CausalState]:
        """Attend on the next tokens of sequences whose past is in the state.

        Parameters
        ----------
        x : Tensor, shape (batch, tokens, channels)
            One token or more; any way of cutting a sequence gives what `forward` gives for all.
        state : CausalState, optional
            As the call before returned it; None at the start of the sequences.

        Returns
        -------
        Tensor, shape (batch, tokens, channels)
        CausalState
            For the tokens after these; the given state stays valid.

        Raises
        ------
        ShapeError
            If `x` is no sequence of these channels, or the state is of another batch or layer.
        """
        state = self._check(x, state)
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, self.head_dim)).permute(2, 0, 3, 1, 4)
        kv = torch.cat([state.current.to(k), torch.stack([k, v])], dim=-2)
        ends = kv[..., self.window - 1 :: self.window, :]
        earlier = torch.cat([state.earlier.to(k), ends], dim=-2)
        mixed = self._mix(q, kv, earlier, known=state.earlier.shape[-2])
        full = kv.shape[-2] // self.window * self.window
        new = CausalState(
            position=state.position + x.shape[1],
            # Copies, for a slice would keep the whole sequence in memory.
            current=kv[..., full:, :].clone(),
            earlier=earlier[..., max(0, earlier.shape[-2] - self.cells) :, :].clone(),
        )
        return self.out(mixed.transpose(1, 2).flatten(2)), new

    def _check(self, x: Tensor, state: CausalState | None) -> CausalState:
        """Refuse what does not fit; give the state to go on from."""
        channels = self.heads * self.head_dim
        if x.ndim != 3 or x.shape[-1] != channels:
            raise ShapeError(
                f"received the shape {tuple(x.shape)}: give sequences as (batch, length, {channels})"
            )
        none = x.new_zeros(2, x.shape[0], self.heads, 0, self.head_dim)
        if state is None:
            return CausalState(0, none, none)
        past, full = state.position % self.window, state.position // self.window
        lengths = {"current": past, "earlier": min(full, self.cells)}
        for name, length in lengths.items():
            wanted = (2, x.shape[0], self.heads, length, self.head_dim)
            received = tuple(getattr(state, name).shape)
            if received != wanted:
                raise ShapeError(
                    f"received a state at token {state.position} with {name} {received}: this "
                    f"layer and batch need {wanted}; go on with the state that this layer's last "
                    "step returned for this batch"
                )
        return state

    def _mix(self, q: Tensor, kv: Tensor, earlier: Tensor, known: int) -> Tensor:
        """Attend window by window, all at once where as many earlier windows as wanted exist.

        Parameters
        ----------
        q : Tensor, shape (batch, heads, tokens, head_dim)
        kv : Tensor, shape (2, batch, heads, past + tokens, head_dim)
            From the start of the first token's window.
        earlier : Tensor, shape (2, batch, heads, known + full windows in kv, head_dim)
        known : int
            How many of `earlier` come before `kv`.
        """
        size, length = self.window, kv.shape[-2]
        past = length - q.shape[-2]
        offsets = range(past, length) if length <= size else range(size)
        mask = self._mask(offsets, q)

        def one(index: int) -> Tensor:
            start, stop = max(index * size, past), min((index + 1) * size, length)
            far = earlier[..., max(0, known + index - self.cells) : known + index, :]
            keys = torch.cat([far, kv[..., index * size : stop, :]], dim=-2)
            row = start - index * size - offsets.start
            skipped = self.cells - far.shape[-2]
            bias = mask[:, row : row + stop - start, skipped : skipped + keys.shape[-2]]
            return self._attend(q[..., start - past : stop - past, :], keys, bias)

        count = -(-length // size)
        first = min(count, max(int(past > 0), self.cells - known))
        last = max(first, length // size)
        pieces = [one(index) for index in range(first)]
        if last > first:
            queries = q[..., first * size - past : last * size - past, :]
            far = earlier[..., known + first - self.cells : known + last - 1, :]
            own = kv[..., first * size : last * size, :]
            pieces.append(self._many(queries, own, far, mask))
        pieces += [one(index) for index in range(last, count)]
        return torch.cat(pieces, dim=-2) if pieces else q

    def _many(self, q: Tensor, own: Tensor, far: Tensor, mask: Tensor) -> Tensor:
        """Attend in whole windows at once; `far` slides by one end from window to window."""
        sizes = (-1, self.window)
        slid = far.unfold(-2, self.cells, 1).transpose(
            -1, -2
        )  # (2, batch, heads, windows, cells, d)
        keys = torch.cat([slid, own.unflatten(-2, sizes)], dim=-2)
        queries = q.unflatten(-2, sizes).transpose(1, 2).flatten(0, 1)  # windows join the batch
        mixed = self._attend(queries, keys.transpose(2, 3).flatten(1, 2), mask)
        return mixed.unflatten(0, (q.shape[0], -1)).transpose(1, 2).flatten(2, 3)

    def _attend(self, q: Tensor, kv: Tensor, mask: Tensor) -> Tensor:
        k, v = kv
        scale = self.head_dim**-0.5
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask[None], scale=scale)

    def _mask(self, offsets: range, like: Tensor) -> Tensor:
        """Lay out the bias, minus infinity for later tokens: (heads or 1, offsets, cells + window).

        Rows are queries by their place in the window; columns are keys as in `one` of `_mix`.
        """
        here = torch.arange(offsets.start, offsets.stop, device=like.device)
        back = here[:, None] - torch.arange(self.window, device=like.device)
        far = torch.arange(self.cells, device=like.device).expand(len(offsets), -1)
        index = torch.cat([far, self.cells + back.clamp(min=0)], dim=1)
        later = F.pad(back < 0, (self.cells, 0))
        if self.table is None:
            return torch.zeros_like(later, dtype=like.dtype).masked_fill(later, -torch.inf)[None]
        return self.table.to(like.dtype)[:, index].masked_fill(later, -torch.inf)
