"""Maps of one level brought to another: resized or doubled, with the dense layers around folded."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from multiaxis.models.maxim.blocks import Rescale, Upsample
from multiaxis.models.maxim.ends import recolour
from multiaxis.models.maxim.streaming.convolution import (
    add_applied,
    add_resized,
    apply,
    resized_band,
)
from multiaxis.models.maxim.streaming.dense import Dense, precise
from multiaxis.models.maxim.streaming.pieces import size_of
from multiaxis.models.maxim.streaming.workspace import Workspace


def _double(bias: Tensor | None) -> Tensor | None:
    return None if bias is None else precise(bias)


class Rescaled:
    """Maps of all levels, each brought to one level and projected, then projected together.

    Parameters
    ----------
    rescales : ModuleList of Rescale
        One for each level.
    project : Linear
        Reads the concatenation of what they give.
    firsts : list of int
        Where each level's channels begin in that concatenation.
    dtype : torch.dtype
        Of the folded weights.
    """

    def __init__(
        self, rescales: nn.ModuleList, project: nn.Linear, firsts: list[int], dtype: torch.dtype
    ) -> None:
        self.width = project.weight.shape[0]
        self.ratios: list[float] = []
        self.parts: list[Dense] = []
        bias = _double(project.bias)
        for first, module in zip(firsts, rescales, strict=True):
            rescale = cast(Rescale, module)
            inner = rescale.project
            outer = project.weight[:, first : first + inner.weight.shape[0]].double()
            self.parts.append(Dense(outer @ precise(inner.weight), None, dtype))
            self.ratios.append(rescale.ratio)
            if (own := _double(inner.bias)) is not None:
                # Weights of a resize sum to one: a bias passes through it.
                bias = (0 if bias is None else bias) + outer @ own
        self.bias = None if bias is None else bias.to(torch.promote_types(dtype, torch.float32))

    def add(self, maps: list[Tensor], out: Tensor, work: Workspace) -> None:
        """Add all maps to `out`, which holds the bias already; or is the first map: overwritten."""
        for x, ratio, part in zip(maps, self.ratios, self.parts, strict=True):
            if x is out:
                apply(part, x, out, work)
            elif ratio > 1:
                height, width, _ = x.shape
                small = apply(part, x, work.new(height, width, self.width), work)
                add_resized(small, out, work)
            elif ratio < 1:
                add_resized(x, out, work, part)
            else:
                add_applied(part, x, out, work)

    def fill(self, out: Tensor) -> Tensor:
        """Put the bias everywhere."""
        return out.zero_() if self.bias is None else out.copy_(self.bias.expand_as(out))


class Doubled:
    """A 2 x 2 transposed convolution and the dense layer behind it: one dense layer, shuffled.

    Parameters
    ----------
    up : Upsample
    project : Dense
        The dense layer, without its bias.
    dtype : torch.dtype
        Of the folded weights.
    bias : Tensor, optional
        Added at the end.
    """

    def __init__(
        self, up: Upsample, project: Dense, dtype: torch.dtype, *, bias: Tensor | None
    ) -> None:
        outer = precise(project.weight)
        self.width = outer.shape[0]
        corners = precise(up.weight).permute(2, 3, 1, 0)  # (2, 2, out, in)
        self.dense = Dense((outer @ corners).flatten(0, 2), None, dtype)
        total = _double(bias)
        if up.bias is not None:
            total = (0 if total is None else total) + outer @ precise(up.bias)
        self.bias = None if total is None else total.to(dtype)

    def __call__(self, maps: list[Tensor], work: Workspace, add: Tensor | None = None) -> Tensor:
        """Double the last map of a list, which is taken from it, into a new map or onto `add`."""
        x = maps.pop()
        height, width, _ = x.shape
        out = work.new(height * 2, width * 2, self.width) if add is None else add
        corners = out.view(height, 2, width, 2, self.width)
        for rows in work.bands(x):
            y = self.dense(x[rows].to(work.compute)).view(-1, width, 2, 2, self.width)
            if self.bias is not None:
                y += self.bias
            if add is None:
                corners[rows] = y.transpose(1, 2)
            else:
                corners[rows] += y.transpose(1, 2)
        return out


def recoloured(picture: Tensor, coefficients: Tensor, work: Workspace) -> Tensor:
    """Apply coarse coefficients to a picture, band by band, as `ends.finish` does."""
    out = torch.empty_like(picture)
    for rows in work.bands(picture, multiple=picture.shape[0] // coefficients.shape[0]):
        band = resized_band(coefficients, rows, size_of(picture), picture.dtype)
        out[rows] = recolour(picture[rows], band)
    return out
