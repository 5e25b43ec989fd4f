"""Convolutions and channel attention tile by tile, resizes band by band."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812 (the name everyone uses)
from torch import Tensor, nn

from multiaxis.axis.layers import gelu
from multiaxis.models.maxim.blocks import (
    LRELU_SLOPE,
    ChannelAttention,
    ConvAttention,
    DenseAttention,
    SupervisedAttention,
)
from multiaxis.streaming.mixing import Dense, Norm
from multiaxis.streaming.pieces import around, beyond, clear_beyond, size_of
from multiaxis.streaming.workspace import Workspace


class Convolution:
    """A convolution without padding of its own, its weights laid out for channels-last maps."""

    def __init__(
        self, weight: Tensor, bias: Tensor | None, dtype: torch.dtype, *, stride: int = 1
    ) -> None:
        laid_out = weight.detach().contiguous(memory_format=torch.channels_last)
        self.weight = laid_out.to(dtype)
        self.bias, self.stride = None if bias is None else bias.detach().to(dtype), stride

    def __call__(self, x: Tensor) -> Tensor:
        """Convolve (height, width, channels)."""
        y = F.conv2d(x[None].permute(0, 3, 1, 2), self.weight, self.bias, self.stride)
        return y.permute(0, 2, 3, 1)[0]


def convolve(
    x: Tensor, convolution: Convolution, out: Tensor, work: Workspace, *, add: Tensor | None = None
) -> Tensor:
    """Convolve a map with a 3 x 3 kernel and zeros around it, into `out`; `add` is added."""
    for tile in work.tiles(max(x, out, key=lambda m: m.shape[2])):
        y = convolution(around(x, tile, 1, work.compute))
        if add is not None:
            y = y + add[tile.top : tile.bottom, tile.left : tile.right]
        tile.write(out, y)
    return out


def halve(x: Tensor, convolution: Convolution, work: Workspace) -> Tensor:
    """Convolve a map with the 4 x 4 kernel of stride 2, one zero around it, into a new map."""
    height, width, _ = x.shape
    out = work.new(height // 2, width // 2, convolution.weight.shape[0])
    for tile in work.tiles(x, multiple=2):
        y = convolution(around(x, tile, 1, work.compute))
        out[tile.top // 2 : tile.bottom // 2, tile.left // 2 : tile.right // 2] = y
    return out


class _ChannelGate:
    """A `ChannelAttention`: from the sum over all pixels to one factor for each channel."""

    def __init__(self, layer: ChannelAttention, dtype: torch.dtype) -> None:
        self.compute, self.exact = dtype, torch.promote_types(dtype, torch.float32)
        self.squeeze, self.excite = (
            Dense(dense.weight, dense.bias, self.exact) for dense in (layer.squeeze, layer.excite)
        )

    def no_total(self, x: Tensor) -> Tensor:
        """Start a sum over pixels, which is never kept in 16 bits."""
        return torch.zeros(x.shape[2], dtype=self.exact, device=x.device)

    def apply(self, x: Tensor, refined: Tensor, total: Tensor, work: Workspace) -> None:
        """Add the refined map, gated, to `x`."""
        means = total / (x.shape[0] * x.shape[1])
        gate = torch.sigmoid(self.excite(F.relu(self.squeeze(means)))).to(self.compute)
        for rows in work.bands(x):
            band = x[rows].to(self.compute)
            x[rows] = band.addcmul_(refined[rows].to(self.compute), gate)


class ConvAttended:
    """A `ConvAttention`, evaluated tile by tile, in place."""

    def __init__(self, layer: ConvAttention, dtype: torch.dtype) -> None:
        self.norm = Norm(layer.norm, dtype, folded=False)
        self.gate = _ChannelGate(layer.attention, dtype)
        self.conv1 = Convolution(layer.conv1.weight, layer.conv1.bias, dtype)
        self.conv2 = Convolution(layer.conv2.weight, layer.conv2.bias, dtype)

    def __call__(self, x: Tensor, work: Workspace) -> None:
        """Refine (height, width, channels); the map is overwritten."""
        out, total = work.like(x), self.gate.no_total(x)
        for tile in work.tiles(x):
            missing = beyond(size_of(x), tile, 2)
            normed = self.norm(around(x, tile, 2, work.compute))
            # Zero outside, not the norm of zero; and again behind the first convolution.
            y = self.conv1(clear_beyond(normed, missing))
            above, below, left, right = (max(m - 1, 0) for m in missing)
            y = clear_beyond(F.leaky_relu_(y, LRELU_SLOPE), (above, below, left, right))
            y = self.conv2(y)
            total += y.sum(dim=(0, 1), dtype=total.dtype)
            tile.write(out, y)
        self.gate.apply(x, out, total, work)


class DenseAttended:
    """A `DenseAttention`, evaluated in bands, in place."""

    def __init__(self, layer: DenseAttention, dtype: torch.dtype) -> None:
        self.norm = Norm(layer.norm, dtype, folded=False)
        self.gate = _ChannelGate(layer.attention, dtype)
        self.dense1, self.dense2 = (
            Dense(dense.weight, dense.bias, dtype) for dense in (layer.dense1, layer.dense2)
        )

    def __call__(self, x: Tensor, work: Workspace) -> None:
        """Refine (height, width, channels); the map is overwritten."""
        out, total = work.like(x), self.gate.no_total(x)
        for rows in work.bands(x):
            y = self.dense2(gelu(self.dense1(self.norm(x[rows].to(work.compute)))))
            total += y.sum(dim=(0, 1), dtype=total.dtype)
            out[rows] = y
        self.gate.apply(x, out, total, work)


class Supervised:
    """A `SupervisedAttention` without the picture, which only training looks at."""

    def __init__(self, layer: SupervisedAttention, dtype: torch.dtype) -> None:
        self.adds_image = layer.adds_image
        self.width = layer.features.weight.shape[0]
        biases = [layer.features.bias, layer.picture.bias]
        self.both = Convolution(  # they read the same map
            torch.cat([layer.features.weight, layer.picture.weight]),
            None if biases[0] is None else torch.cat([b for b in biases if b is not None]),
            dtype,
        )
        self.mask = Convolution(layer.mask.weight, layer.mask.bias, dtype)

    def __call__(self, x: Tensor, image: Tensor, work: Workspace) -> Tensor:
        """Attend (height, width, channels) into a new map."""
        out = work.like(x)
        for tile in work.tiles(x):
            both = self.both(around(x, tile, 2, work.compute))  # one pixel around the tile
            picture = both[:, :, self.width :]
            if self.adds_image:
                picture = picture + around(image, tile, 1, work.compute)
            missing = beyond(size_of(x), tile, 1)
            mask = torch.sigmoid(self.mask(clear_beyond(picture.contiguous(), missing)))
            inner = slice(tile.top, tile.bottom), slice(tile.left, tile.right)
            features = both[1:-1, 1:-1, : self.width]
            out[inner] = torch.addcmul(x[inner].to(work.compute), features, mask)
        return out


def add_resized(
    x: Tensor, out: Tensor, work: Workspace, project: Callable[[Tensor], Tensor] | None = None
) -> None:
    """Resize a map bilinearly to the size of another, project it, and add it there.

    Parameters
    ----------
    x : Tensor, shape (height, width, channels)
    out : Tensor, shape (height * ratio, width * ratio, channels)
        ratio: a power of two, or one over it. Shrinking is anti-aliased.
    work : Workspace
    project : callable, optional
        Applied to each resized band. (Where a map is enlarged, project it before instead.)
    """
    ratio = out.shape[0] / x.shape[0]
    for rows in work.bands(out, multiple=max(int(ratio), 1)):
        band = _resized_band(x, rows, size_of(out), work.compute)
        out[rows] += band if project is None else project(band)


def _resized_band(x: Tensor, rows: slice, size: tuple[int, int], dtype: torch.dtype) -> Tensor:
    """Resize what gives some output rows: with a halo, which is cut again.

    At the border of the map there is no halo: the resize clamps there, as on the whole map.
    """
    (height, width), (top, bottom) = size, (rows.start, rows.stop)
    if height >= x.shape[0]:
        ratio, halo = height // x.shape[0], 1
        first, last = max(top // ratio - halo, 0), min(bottom // ratio + halo, x.shape[0])
        resized, cut = ((last - first) * ratio, width), top - first * ratio
    else:
        ratio = x.shape[0] // height
        start, end = max(top - 1, 0), min(bottom + 1, height)
        first, last = start * ratio, end * ratio
        resized, cut = (end - start, width), top - start
    # torch shrinks 16-bit maps on no CPU.
    source = x[None, first:last].to(torch.promote_types(dtype, torch.float32)).permute(0, 3, 1, 2)
    band = F.interpolate(source, resized, mode="bilinear", antialias=height < x.shape[0])
    return band.permute(0, 2, 3, 1)[0, cut : cut + bottom - top].to(dtype)


def apply(dense: Dense, x: Tensor, out: Tensor, work: Workspace) -> Tensor:
    """Apply a dense layer in bands; `out` may be `x`."""
    for rows in work.bands(x):
        out[rows] = dense(x[rows].to(work.compute))
    return out


def add_applied(dense: Dense, x: Tensor, out: Tensor, work: Workspace) -> None:
    """Add what a dense layer makes of a map to another, in bands."""
    for rows in work.bands(x):
        out[rows] += dense(x[rows].to(work.compute))


def columns(
    layer: nn.Linear, first: int, count: int, dtype: torch.dtype, *, bias: bool = False
) -> Dense:
    """Take the part of a dense layer that reads some of the concatenated channels."""
    weight = layer.weight[:, first : first + count]
    return Dense(weight, layer.bias if bias else None, dtype)
