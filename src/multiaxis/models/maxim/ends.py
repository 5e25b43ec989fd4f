"""What stands around the U-Nets: smaller scales, pixel shuffles, and colours by coefficients.

Maps are (batch, height, width, channels).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 (the name everyone uses)
from torch import Tensor

from multiaxis.models.maxim.config import MaximConfig


def pyramid(image: Tensor, scales: int) -> list[Tensor]:
    """Shrink an image to half, quarter and so on by taking the nearest pixel to each centre.

    Parameters
    ----------
    image : Tensor, shape (batch, height, width, channels)
    scales : int
        How many, the image itself included.

    Returns
    -------
    list of Tensor
        Fine to coarse. Scale i holds the pixels ``o * 2**i + 2**(i - 1)``: JAX' nearest resize.
    """
    coarse = [image[:, 2**i // 2 :: 2**i, 2**i // 2 :: 2**i] for i in range(1, scales)]
    return [image, *coarse]


def unshuffle(x: Tensor, side: int) -> Tensor:
    """Stack squares of `side` pixels into channels: (row, column, channel) of the square."""
    if side == 1:
        return x
    batch, height, width, channels = x.shape
    squares = x.reshape(batch, height // side, side, width // side, side, channels)
    return squares.permute(0, 1, 3, 2, 4, 5).flatten(3)


def shuffle(x: Tensor, side: int) -> Tensor:
    """Undo `unshuffle`."""
    if side == 1:
        return x
    batch, rows, columns, stacked = x.shape
    squares = x.reshape(batch, rows, columns, side, side, stacked // side**2)
    return squares.transpose(2, 3).reshape(batch, rows * side, columns * side, -1)


def finish(made: Tensor, picture: Tensor, config: MaximConfig) -> Tensor:
    """Turn what the head gives into a picture of full size.

    Parameters
    ----------
    made : Tensor, shape (batch, rows, columns, config.channels_made)
    picture : Tensor, shape (batch, height, width, config.in_channels)
        The input; only `config.affine` reads it.
    config : MaximConfig
    """
    if not config.affine:
        return shuffle(made, config.shuffle)
    size = list(picture.shape[1:3])
    # Weights that are no halves and quarters: in 16 bits they would be rounded.
    maps = smooth(made).permute(0, 3, 1, 2)
    enlarged = F.interpolate(maps, size, mode="bilinear").permute(0, 2, 3, 1)
    return recolour(picture, enlarged)


def smooth(coefficients: Tensor) -> Tensor:
    """Take weighted means of 3 x 3 neighbours, 1 2 1 each way; at borders of those that are there.

    What changes from one square to the next and back, as the U-Net's resizes leave it, is gone: on
    even areas it would show as stripes.

    Parameters
    ----------
    coefficients : Tensor, shape (batch, rows, columns, values)

    Returns
    -------
    Tensor
        In float32, or in float64 if it was.
    """
    x = coefficients.to(torch.promote_types(coefficients.dtype, torch.float32))
    for axis in (1, 2):
        first, last = x.narrow(axis, 0, 1), x.narrow(axis, x.shape[axis] - 1, 1)
        rest = x.shape[axis] - 1
        before = torch.cat([first, x.narrow(axis, 0, rest)], dim=axis)
        behind = torch.cat([x.narrow(axis, 1, rest), last], dim=axis)
        x = before.lerp(behind, 0.5).lerp(x, 0.5)
    return x


def recolour(picture: Tensor, coefficients: Tensor) -> Tensor:
    """Add to each pixel what its own matrix and offset make of its colour.

    Parameters
    ----------
    picture : Tensor, shape (..., in_channels)
    coefficients : Tensor, shape (..., num_outputs * (in_channels + 1))
        For each output the weights of the channels, then the offset.
    """
    rows = coefficients.unflatten(-1, (-1, picture.shape[-1] + 1))
    return picture + (rows[..., :-1] * picture[..., None, :]).sum(-1) + rows[..., -1]
