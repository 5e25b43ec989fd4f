"""Pad a map so that windows divide it, and tell or set aside what is padding."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812 (the name everyone uses)
from torch import Tensor
from torch.compiler import is_compiling

from multiaxis.axis.partition import sizes
from multiaxis.errors import ShapeError


def pad_to_multiple(x: Tensor, multiple: Sequence[int]) -> Tensor:
    """Append zeros at the end of each spatial axis until `multiple` divides it.

    Parameters
    ----------
    x : Tensor, shape (batch, *spatial, channels)
    multiple : sequence of int, one per spatial axis

    Returns
    -------
    Tensor, shape (batch, *padded, channels)
        `x` itself where nothing is to be padded.

    Raises
    ------
    ShapeError
        If the ranks differ.
    ConfigError
        If `multiple` is no sequence of whole numbers from 1 on.
    """
    spatial, multiple = x.shape[1:-1], sizes(multiple, "multiple")
    if len(spatial) != len(multiple):
        raise ShapeError(
            f"received {len(spatial)} spatial axes {tuple(spatial)} and {len(multiple)} multiples "
            f"{tuple(multiple)}: give one for each spatial axis of a channels-last map"
        )
    missing = missing_pixels(spatial, multiple)
    if is_nothing(missing):
        return x
    amounts = [0, 0]  # the channels; torch counts from the last axis
    for amount in reversed(missing):
        amounts += [0, amount]
    return F.pad(x, amounts)


def missing_pixels(spatial: Sequence[int], multiple: Sequence[int]) -> list[int]:
    """Give what each spatial axis lacks of a multiple."""
    # Where sizes are symbols, a compiler sees that a size and this make a multiple.
    return [(n + m - 1) // m * m - n for n, m in zip(spatial, multiple, strict=True)]


def is_nothing(amounts: Sequence[int]) -> bool:
    """Whether nothing is to be padded or cropped.

    While compiling for many sizes, only if that holds for each of them: one program serves all.
    """
    if not is_compiling():
        return not any(amounts)
    from torch.fx.experimental.symbolic_shapes import statically_known_true  # slow to import

    return all(statically_known_true(amount == 0) for amount in amounts)


def real_pixels(x: Tensor, multiple: Sequence[int]) -> Tensor | None:
    """Mark the pixels of a map that `pad_to_multiple` did not add.

    Returns
    -------
    Tensor of bool, shape (1, *padded, 1), or None
        None where nothing is padded.
    """
    if is_nothing(missing_pixels(x.shape[1:-1], multiple)):
        return None
    ones = torch.ones(1, *x.shape[1:-1], 1, dtype=torch.bool, device=x.device)
    return pad_to_multiple(ones, multiple)


def crop(x: Tensor, spatial: Sequence[int]) -> Tensor:
    """Undo `pad_to_multiple`: keep the first pixels of each spatial axis.

    Parameters
    ----------
    x : Tensor, shape (batch, *padded, channels)
    spatial : sequence of int
        The shape to go back to.
    """
    if is_nothing([n - kept for n, kept in zip(x.shape[1:-1], spatial, strict=True)]):
        return x
    return x[(slice(None), *(slice(n) for n in spatial))]


def pack(x: Tensor, padding: Tensor) -> Tensor:
    """Move the padding of sequences before their real tokens, which keep their order.

    Parameters
    ----------
    x : Tensor, shape (batch, length, channels)
    padding : Tensor of bool, shape (batch, length)
        True where a token is padding.

    Returns
    -------
    Tensor, shape (batch, length, channels)
        Zero at padding, whatever it held, NaN even.
    """
    return _take(x.masked_fill(padding[..., None], 0), _padding_first(padding))


def unpack(x: Tensor, padding: Tensor) -> Tensor:
    """Undo `pack`: each real token goes back to its place, and padding is zero."""
    order = _padding_first(padding).argsort(dim=1)
    return _take(x, order).masked_fill(padding[..., None], 0)


def _padding_first(padding: Tensor) -> Tensor:
    return padding.long().argsort(dim=1, descending=True, stable=True)


def _take(x: Tensor, order: Tensor) -> Tensor:
    return x.gather(1, order[..., None].expand_as(x))
