"""How far each stage sees. No tensors here."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from multiaxis.errors import ShapeError
from multiaxis.models.maxvit.config import STRIDE, MaxViTConfig, Size

Shares = tuple[float, float]
_HALF = 0.5


@dataclass(frozen=True)
class Reach:
    """What the attention of a stage connects, along the rows and along the columns of its map.

    Attributes
    ----------
    sides : (int, int)
        Of the stage's map.
    block_size, grid_size : (int, int)
    pair : (float, float)
        Share of the map's height, and of its width, that a pixel sees after block attention and
        grid attention, once each; the mean over the pixels. The share of the area is the product.
    stage : (float, float)
        The same after all blocks of the stage, from the stage's own input on.

    Notes
    -----
    Convolutions see one pixel further in each block, and squeeze-and-excitation the mean of the
    map; neither is counted.
    """

    sides: Size
    block_size: Size
    grid_size: Size
    pair: Shares
    stage: Shares


def reach(config: MaxViTConfig, size: int | tuple[int, int]) -> tuple[Reach, ...]:
    """Tell how much of a picture each stage sees.

    Parameters
    ----------
    config : MaxViTConfig
    size : int or (int, int)
        Height and width of the picture, pixels.

    Returns
    -------
    tuple of Reach
        One for each stage.

    Raises
    ------
    ShapeError
        If a side is below 1.

    Notes
    -----
    On a map whose sides windows divide, a pair sees min(1, block * grid / side) along an axis.

    Examples
    --------
    >>> [round(stage.pair[0], 3) for stage in reach(MaxViTConfig(image_size=224), 224)]
    [0.875, 1.0, 1.0, 1.0]
    >>> [round(stage.pair[0], 3) for stage in reach(MaxViTConfig(image_size=224), 896)]
    [0.219, 0.438, 0.875, 1.0]
    """
    sides = (size, size) if isinstance(size, int) else size
    if len(sides) != 2 or min(sides) < 1:
        raise ShapeError(f"received a picture of {size}: accepted are sides from 1 pixel on")
    windows = config.windows
    if config.window_policy == "fit":
        fitting = (-(-sides[0] // STRIDE), -(-sides[1] // STRIDE))
        windows = (fitting, fitting)
    found: list[Reach] = []
    for level, depth in enumerate(config.depths):
        height, width = (-(-side // 2 ** (level + 2)) for side in sides)
        rows, columns = (
            _along(side, windows[0][axis], windows[1][axis], depth)
            for axis, side in enumerate((height, width))
        )
        pair, stage = (rows[0], columns[0]), (rows[1], columns[1])
        found.append(Reach((height, width), *windows, pair, stage))
    return tuple(found)


def short_reach(config: MaxViTConfig, size: tuple[int, int]) -> str | None:
    """Say so where a picture is so large that the first stage sees far less than it was made for.

    Returns
    -------
    str or None
        None where a pair of the first stage sees at least half of the share that it sees at the
        configuration's image size.
    """
    if config.window_policy == "fit":
        return None
    block_size = config.windows[0]
    meant = min(reach(config, config.image_size)[0].pair)
    seen = min(reach(config, size)[0].pair)
    if seen >= _HALF * meant:
        return None
    return (
        f"windows of {block_size[0]} x {block_size[1]} see {100 * seen:.0f} % of a side of "
        f"{size[1]} x {size[0]} pixels in the first stage, and {100 * meant:.0f} % where the model "
        "was made for"
    )


def _along(side: int, block: int, grid: int, depth: int) -> tuple[float, float]:
    """Give the shares of an axis that are seen after one pair and after `depth` of them."""
    seen = np.eye(side, dtype=bool)
    shares: list[float] = []
    for _ in range(depth):
        seen = _mix_grid(_mix_blocks(seen, block), grid)
        shares.append(float(seen.mean()))
    return shares[0], shares[-1]


def _mix_blocks(seen: NDArray[np.bool_], block: int) -> NDArray[np.bool_]:
    """Let each pixel see what its block sees."""
    side = len(seen)
    blocks = _padded(seen, block).reshape(-1, block, side)
    return blocks.any(axis=1).repeat(block, axis=0)[:side]


def _mix_grid(seen: NDArray[np.bool_], grid: int) -> NDArray[np.bool_]:
    """Let each pixel see what the pixels at its place in all cells see."""
    side = len(seen)
    cells = _padded(seen, grid).reshape(grid, -1, side)
    return np.tile(cells.any(axis=0), (grid, 1))[:side]


def _padded(seen: NDArray[np.bool_], multiple: int) -> NDArray[np.bool_]:
    return np.pad(seen, ((0, -len(seen) % multiple), (0, 0)))
