"""Convolutions, channel attention and resizes, band by band."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812 (the name everyone uses)
from torch import Tensor

from multiaxis.models.maxim.blocks import (
    LRELU_SLOPE,
    ChannelAttention,
    ConvAttention,
    DenseAttention,
    SupervisedAttention,
)
from multiaxis.models.maxim.streaming.dense import Dense, Norm
from multiaxis.models.maxim.streaming.pieces import size_of, with_halo
from multiaxis.models.maxim.streaming.workspace import Workspace


class Convolution:
    """A convolution with zeros around the map, its weights laid out for channels-last maps."""

    def __init__(
        self, weight: Tensor, bias: Tensor | None, dtype: torch.dtype, *, stride: int = 1
    ) -> None:
        laid_out = weight.detach().contiguous(memory_format=torch.channels_last)
        self.weight = laid_out.to(dtype)
        self.bias, self.stride = None if bias is None else bias.detach().to(dtype), stride
        self.padding = (weight.shape[-1] - 1) // 2

    def __call__(self, x: Tensor) -> Tensor:
        """Convolve (height, width, channels)."""
        y = F.conv2d(x[None].permute(0, 3, 1, 2), self.weight, self.bias, self.stride, self.padding)
        return y.permute(0, 2, 3, 1)[0]


def convolve(
    x: Tensor, convolution: Convolution, out: Tensor, work: Workspace, *, add: Tensor | None = None
) -> Tensor:
    """Convolve a map with a 3 x 3 kernel into `out`; `add` is added."""
    for rows in work.bands(max(x, out, key=lambda m: m.shape[2]), halo=1):
        near, inner = with_halo(rows, 1, x.shape[0])
        y = convolution(x[near].to(convolution.weight.dtype))[inner]
        if add is not None:
            y = y + add[rows]
        out[rows] = y
    return out


def halve(x: Tensor, convolution: Convolution, work: Workspace) -> Tensor:
    """Convolve a map with a 4 x 4 kernel of stride 2 into a new map."""
    height, width, _ = x.shape
    out = work.new(height // 2, width // 2, convolution.weight.shape[0])
    for rows in work.bands(x, multiple=2, halo=2):
        near, inner = with_halo(rows, 2, height)
        y = convolution(x[near].to(work.compute))
        out[rows.start // 2 : rows.stop // 2] = y[inner.start // 2 : inner.stop // 2]
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
            if x.dtype == self.compute:
                x[rows].addcmul_(refined[rows], gate)
            else:
                x[rows] = torch.addcmul(
                    x[rows].to(self.compute), refined[rows].to(self.compute), gate
                )


class ConvAttended:
    """A `ConvAttention`, evaluated in bands, in place."""

    def __init__(self, layer: ConvAttention, dtype: torch.dtype) -> None:
        self.norm = Norm(layer.norm, dtype, folded=False)
        self.gate = _ChannelGate(layer.attention, dtype)
        self.conv1 = Convolution(layer.conv1.weight, layer.conv1.bias, dtype)
        self.conv2 = Convolution(layer.conv2.weight, layer.conv2.bias, dtype)

    def __call__(self, x: Tensor, work: Workspace) -> None:
        """Refine (height, width, channels); the map is overwritten."""
        out, total = work.like(x), self.gate.no_total(x)
        for rows in work.bands(x, halo=2):
            # A convolution pads the band as if it were the map: wrong beside a cut, by one row each
            # time, and those are cut off; right at the border, where zeros follow the norm.
            near, inner = with_halo(rows, 2, x.shape[0])
            y = self.conv1(self.norm(x[near].to(work.compute)))
            y = self.conv2(F.leaky_relu_(y, LRELU_SLOPE))[inner]
            total += _sum(y, total.dtype)
            out[rows] = y
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
            y = self.dense2(self.dense1.activated(self.norm(x[rows].to(work.compute))))
            total += _sum(y, total.dtype)
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
        for rows in work.bands(x, halo=2):
            near, inner = with_halo(rows, 2, x.shape[0])
            both = self.both(x[near].to(work.compute))
            picture = both[:, :, self.width :]
            if self.adds_image:
                picture = picture + image[near].to(work.compute)
            mask = torch.sigmoid(self.mask(picture.contiguous())[inner])
            features = both[inner, :, : self.width]
            out[rows] = torch.addcmul(x[rows].to(work.compute), features, mask)
        return out


def _sum(x: Tensor, dtype: torch.dtype) -> Tensor:
    """Sum over all pixels. Cast first: a sum that casts on the way takes seven times as long."""
    return x.to(dtype).sum(dim=(0, 1))


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
        band = resized_band(x, rows, size_of(out), work.compute)
        out[rows] += band if project is None else project(band)


def resized_band(x: Tensor, rows: slice, size: tuple[int, int], dtype: torch.dtype) -> Tensor:
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
    if height < x.shape[0]:
        band = shrink(x[first:last].to(dtype), ratio)
    else:
        # Weights that are no halves and quarters: in 16 bits they would be rounded.
        source = x[None, first:last].to(torch.promote_types(dtype, torch.float32))
        band = F.interpolate(source.permute(0, 3, 1, 2), resized, mode="bilinear")
        band = band.permute(0, 2, 3, 1)[0].to(dtype)
    return band[cut : cut + bottom - top]


def shrink(x: Tensor, ratio: int) -> Tensor:
    """Shrink (height, width, channels) by a whole number, bilinearly with anti-aliasing.

    A triangle of twice the ratio's width, as one convolution of each channel: torch's resize takes
    five times as long, and has no 16-bit form. At the border the weights that remain sum to one.
    """
    channels = x.shape[2]
    taps = 1 - (torch.arange(2 * ratio, dtype=torch.float64) - ratio + 0.5).abs() / ratio
    taps /= taps.sum()
    kernel = torch.outer(taps, taps).to(x.device, x.dtype).expand(channels, 1, -1, -1)
    y = F.conv2d(
        x[None].permute(0, 3, 1, 2), kernel, stride=ratio, padding=ratio // 2, groups=channels
    )
    missing = float(taps[: ratio // 2].sum())
    for axis in (2, 3):
        last = y.shape[axis] - 1
        for i in {0, last}:
            y.select(axis, i).div_(1 - missing * ((i == 0) + (i == last)))
    return y.permute(0, 2, 3, 1)[0]


def apply(dense: Dense, x: Tensor, out: Tensor, work: Workspace) -> Tensor:
    """Apply a dense layer in bands; `out` may be `x`."""
    for rows in work.bands(x):
        out[rows] = dense(x[rows].to(work.compute))
    return out


def add_applied(dense: Dense, x: Tensor, out: Tensor, work: Workspace) -> None:
    """Add what a dense layer makes of a map to another, in bands."""
    for rows in work.bands(x):
        out[rows] += dense(x[rows].to(work.compute))
