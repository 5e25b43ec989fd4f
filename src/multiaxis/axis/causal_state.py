"""What causal attention remembers of the past, in a ring: bounded, and not copied for a token."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812 (the name everyone uses)
from torch import Tensor

from multiaxis.axis.layers import is_recorded
from multiaxis.errors import ConfigError


@dataclass
class CausalState:
    """The past of sequences as `CausalAttention.step` returns it; its size never grows.

    A step of one token writes into the memory of the state that it gets, and hands this memory on
    in the state that it returns. To go on from one state twice, `clone` it before. A step that
    records gradients copies the memory instead.

    Attributes
    ----------
    ring : Tensor, shape (batch, reach, stride, 2 * channels)
        Keys and values of the last ``reach * stride`` tokens, in the dtype of the layer.
    position : Tensor of int64, shape ()
        Where in the ring the next token goes, counted over `reach` and `stride` together.
    lengths : Tensor of int64, shape (batch,)
        Tokens of each sequence so far, padding not counted.
    is_spent : bool
        Whether a step has written into the memory since. This state is of no use then.
    """

    ring: Tensor
    position: Tensor
    lengths: Tensor
    is_spent: bool = False

    def clone(self) -> CausalState:
        """Copy the state, to go on from it more than once."""
        return self._map(torch.clone)

    def detach(self) -> CausalState:
        """Copy the state without its history of gradients, to train on a long text in pieces."""
        return self._map(lambda part: part.detach().clone())

    def select(self, rows: Tensor) -> CausalState:
        """Copy sequences out of the batch, as a beam search does.

        Parameters
        ----------
        rows : Tensor of int64, shape (sequences,)
            Their numbers in this batch, in any order; one may come several times.
        """
        return self._map(lambda part: part.index_select(0, rows))

    def _map(self, change: Callable[[Tensor], Tensor]) -> CausalState:
        check_unspent(self)
        return CausalState(change(self.ring), self.position, change(self.lengths))


def check_unspent(state: CausalState) -> None:
    """Refuse a state whose memory a later step has overwritten.

    Raises
    ------
    ConfigError
        If a step has written into it.
    """
    if state.is_spent:
        raise ConfigError(
            "received a state that a step has already gone on from: accepted is the state that "
            "this step returned; to go on from one state twice, take state.clone() before"
        )


def remember(kv: Tensor, lengths: Tensor, reach: int, stride: int) -> CausalState:
    """Keep the last tokens of (batch, tokens, 2 * channels) in a new ring.

    Parameters
    ----------
    kv : Tensor, shape (batch, tokens, 2 * channels)
        Keys and values, the last token of each sequence at the end.
    lengths : Tensor of int64, shape (batch,)
        How many of these are real, or were before.
    """
    kept = kv[:, max(kv.shape[1] - reach * stride, 0) :]
    # Padding and contiguous memory both copy: the whole prompt is not kept alive by its end.
    ring = F.pad(kept, (0, 0, reach * stride - kept.shape[1], 0)).clone()
    # A tensor: a compiler would make a graph for each number.
    position = torch.zeros((), dtype=torch.int64, device=kv.device)
    return CausalState(ring.unflatten(1, (reach, stride)), position, lengths)


def recall(state: CausalState) -> tuple[Tensor, Tensor]:
    """Give the tokens that a next one can see, the oldest first.

    Returns
    -------
    kv : Tensor, shape (batch, (reach - 1) * stride, 2 * channels)
    missing : Tensor of bool, shape (batch, (reach - 1) * stride)
        True for tokens before the start of the sequence.
    """
    _, reach, stride, _ = state.ring.shape
    places = torch.arange(stride, reach * stride, device=state.ring.device) + state.position
    kv = state.ring.flatten(1, 2).index_select(1, places % (reach * stride))
    age = torch.arange(kv.shape[1], 0, -1, device=kv.device)
    return kv, age > state.lengths[:, None]


def write(state: CausalState, kv: Tensor) -> tuple[CausalState, Tensor, Tensor]:
    """Add one token to each sequence, in place unless gradients forbid it.

    Parameters
    ----------
    kv : Tensor, shape (batch, 2 * channels)

    Returns
    -------
    state : CausalState
        That of the next token.
    seen : Tensor, shape (batch, reach, 2 * channels)
        What this token sees, itself included: one column of the ring.
    steps : Tensor of int64, shape (reach,)
        How many strides back from the token each of these lies. They go around the ring.
    """
    _, reach, stride, _ = state.ring.shape
    ring = state.ring
    if _must_not_change(ring, kv):
        ring = ring.clone()
    else:
        state.is_spent = True
    ring.view(-1, reach * stride, kv.shape[1]).index_copy_(
        1, state.position[None], kv[:, None].to(ring.dtype)
    )
    seen = ring.index_select(2, state.position[None] % stride)[:, :, 0]
    steps = (state.position // stride - torch.arange(reach, device=kv.device)) % reach
    position = (state.position + 1) % (reach * stride)
    return CausalState(ring, position, state.lengths + 1), seen, steps


def _must_not_change(ring: Tensor, kv: Tensor) -> bool:
    needs_gradient = torch.is_grad_enabled() and (ring.requires_grad or kv.requires_grad)
    if needs_gradient or is_recorded():  # a compiler cannot ask about inference mode
        return needs_gradient
    # A tensor of inference mode can be written into there only.
    return ring.is_inference() and not torch.is_inference_mode_enabled()
