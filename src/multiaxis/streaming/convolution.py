"""Convolutions and channel attention tile by tile, resizes band by band."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F  # noqa: N812 (the name everyone uses)
from torch import Tensor

from multiaxis.axis.layers import gelu
from multiaxis.models.maxim.blocks import (
    LRELU_SLOPE,
    ChannelAttention,
    ConvAttention,
    DenseAttention,
    SupervisedAttention,
)
from multiaxis.streaming.pieces import (
    PIECE_BYTES,
    TILE_BYTES,
    around,
    beyond,
    clear_beyond,
    size_of,
    tiles,
)


class Convolution:
    """A convolution without padding of its own, its weights laid out for channels-last maps."""

    def __init__(self, weight: Tensor, bias: Tensor | None, *, stride: int = 1) -> None:
        self.weight = weight.detach().contiguous(memory_format=torch.channels_last)
        self.bias, self.stride = bias, stride

    def __call__(self, x: Tensor) -> Tensor:
        """Convolve (height, width, channels)."""
        y = F.conv2d(x[None].permute(0, 3, 1, 2), self.weight, self.bias, self.stride)
        return y.permute(0, 2, 3, 1)[0]


def tile_pixels(x: Tensor) -> int:
    """Count the pixels of a tile that fills `TILE_BYTES`."""
    return TILE_BYTES // (x.shape[2] * x.element_size())


def row_bands(x: Tensor) -> Sequence[slice]:
    """Cut a map into bands of rows of about `PIECE_BYTES`."""
    height, width, channels = x.shape
    rows = max(PIECE_BYTES // (width * channels * x.element_size()), 1)
    return [slice(top, min(top + rows, height)) for top in range(0, height, rows)]


def convolve(x: Tensor, convolution: Convolution, out: Tensor, add: Tensor | None = None) -> None:
    """Convolve a map with a 3 x 3 kernel and zeros around it, into `out`; `add` is added."""
    for tile in tiles(size_of(x), tile_pixels(out)):
        y = convolution(around(x, tile, 1))
        if add is not None:
            y = y + add[tile.top : tile.bottom, tile.left : tile.right]
        tile.write(out, y)


def halve(x: Tensor, convolution: Convolution) -> Tensor:
    """Convolve a map with the 4 x 4 kernel of stride 2, one zero around it, into a new map."""
    height, width, _ = x.shape
    channels = convolution.weight.shape[0]
    out = x.new_empty(height // 2, width // 2, channels)
    for tile in tiles(size_of(x), tile_pixels(x), multiple=2):
        y = convolution(around(x, tile, 1))
        out[tile.top // 2 : tile.bottom // 2, tile.left // 2 : tile.right // 2] = y
    return out


def _no_total(x: Tensor) -> Tensor:
    """Start a sum over pixels, which is never kept in 16 bits."""
    dtype = torch.promote_types(x.dtype, torch.float32)
    return torch.zeros(x.shape[2], dtype=dtype, device=x.device)


def _gate(layer: ChannelAttention, total: Tensor, pixels: int, dtype: torch.dtype) -> Tensor:
    means = (total / pixels).to(dtype)
    return torch.sigmoid(layer.excite(F.relu(layer.squeeze(means))))


class ConvAttended:
    """A `ConvAttention`, evaluated tile by tile, in place."""

    def __init__(self, layer: ConvAttention) -> None:
        self.norm, self.attention = layer.norm, layer.attention
        self.conv1 = Convolution(layer.conv1.weight, layer.conv1.bias)
        self.conv2 = Convolution(layer.conv2.weight, layer.conv2.bias)

    def __call__(self, x: Tensor) -> None:
        """Refine (height, width, channels); the map is overwritten."""
        out = torch.empty_like(x)
        total = _no_total(x)
        for tile in tiles(size_of(x), tile_pixels(x)):
            missing = beyond(size_of(x), tile, 2)
            normed = self.norm(around(x, tile, 2))
            # Zero outside, not the norm of zero; and again behind the first convolution.
            y = self.conv1(clear_beyond(normed, missing))
            above, below, left, right = (max(m - 1, 0) for m in missing)
            y = clear_beyond(F.leaky_relu_(y, LRELU_SLOPE), (above, below, left, right))
            y = self.conv2(y)
            total += y.sum(dim=(0, 1), dtype=total.dtype)
            tile.write(out, y)
        gate = _gate(self.attention, total, x.shape[0] * x.shape[1], x.dtype)
        for rows in row_bands(x):
            x[rows].addcmul_(out[rows], gate)


class DenseAttended:
    """A `DenseAttention`, evaluated in bands, in place."""

    def __init__(self, layer: DenseAttention) -> None:
        self.layer = layer

    def __call__(self, x: Tensor) -> None:
        """Refine (height, width, channels); the map is overwritten."""
        layer, out = self.layer, torch.empty_like(x)
        total = _no_total(x)
        for rows in row_bands(x):
            out[rows] = layer.dense2(gelu(layer.dense1(layer.norm(x[rows]))))
            total += out[rows].sum(dim=(0, 1), dtype=total.dtype)
        gate = _gate(layer.attention, total, x.shape[0] * x.shape[1], x.dtype)
        for rows in row_bands(x):
            x[rows].addcmul_(out[rows], gate)


class Supervised:
    """A `SupervisedAttention` without the picture, which only training looks at."""

    def __init__(self, layer: SupervisedAttention) -> None:
        self.adds_image = layer.adds_image
        self.width = layer.features.weight.shape[0]
        biases = [layer.features.bias, layer.picture.bias]
        self.both = Convolution(  # they read the same map
            torch.cat([layer.features.weight, layer.picture.weight]),
            None if biases[0] is None else torch.cat([b for b in biases if b is not None]),
        )
        self.mask = Convolution(layer.mask.weight, layer.mask.bias)

    def __call__(self, x: Tensor, image: Tensor) -> Tensor:
        """Attend (height, width, channels) into a new map."""
        out = torch.empty_like(x)
        for tile in tiles(size_of(x), tile_pixels(x)):
            both = self.both(around(x, tile, 2))  # one pixel around the tile
            picture = both[:, :, self.width :]
            if self.adds_image:
                picture = picture + around(image, tile, 1)
            missing = beyond(size_of(x), tile, 1)
            mask = torch.sigmoid(self.mask(clear_beyond(picture.contiguous(), missing)))
            inner = slice(tile.top, tile.bottom), slice(tile.left, tile.right)
            out[inner] = torch.addcmul(x[inner], both[1:-1, 1:-1, : self.width], mask)
        return out


def add_resized(x: Tensor, out: Tensor, project: Callable[[Tensor], Tensor] | None = None) -> None:
    """Resize a map bilinearly to the size of another, project it, and add it there.

    Parameters
    ----------
    x : Tensor, shape (height, width, channels)
    out : Tensor, shape (height * ratio, width * ratio, channels)
        ratio: a power of two, or one over it. Shrinking is anti-aliased.
    project : callable, optional
        Applied to each resized band. (Where a map is enlarged, project it before instead.)
    """
    ratio = out.shape[0] / x.shape[0]
    step = max(int(ratio), 1)  # output rows for one input row, where enlarged
    rows = max(PIECE_BYTES // (out.shape[1] * out.shape[2] * out.element_size()) // step, 1) * step
    for top in range(0, out.shape[0], rows):
        bottom = min(top + rows, out.shape[0])
        band = _resized_band(x, top, bottom, out.shape[0], out.shape[1])
        out[top:bottom] += band if project is None else project(band)


def _resized_band(x: Tensor, top: int, bottom: int, height: int, width: int) -> Tensor:
    """Resize the rows that give output rows `top` to `bottom`: with a halo, which is cut again.

    At the border of the map there is no halo: the resize clamps there, as on the whole map.
    """
    if height >= x.shape[0]:
        ratio, halo = height // x.shape[0], 1
        first, last = max(top // ratio - halo, 0), min(bottom // ratio + halo, x.shape[0])
        size, cut = ((last - first) * ratio, width), top - first * ratio
    else:
        ratio = x.shape[0] // height
        start, end = max(top - 1, 0), min(bottom + 1, height)
        first, last = start * ratio, end * ratio
        size, cut = (end - start, width), top - start
    source = x[None, first:last].permute(0, 3, 1, 2)
    shrinks = height < x.shape[0]
    if shrinks and x.dtype.itemsize == 2:  # torch has no such kernel on CPUs
        source = source.float()
    band = F.interpolate(source, size, mode="bilinear", antialias=shrinks)
    return band.permute(0, 2, 3, 1)[0, cut : cut + bottom - top].to(x.dtype)
