"""A MaxViT's maps of one large picture, made in strips: the same numbers in less memory.

Whole, the first blocks take a multiple of what their maps take: four times the channels inside
MBConv and the MLPs. Here only maps are whole; what lies between two is made a strip at a time.

- Windows of block attention are rows of blocks: a strip of them knows nothing of the others.
- Windows of grid attention are places within a cell: a strip takes some rows of every cell.
- Convolutions see a few rows beyond their strip; squeeze-and-excitation needs means over the whole
  map, so MBConv's wide map is made twice.

For evaluation only, without gradients.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from multiaxis.errors import ConfigError
from multiaxis.models.maxvit.config import STRIDE, MaxViTConfig, Size
from multiaxis.progress import OnFraction

STRIP = 1 << 16
"""Pixels of a map that are worked on at once."""
_HALO = 2  # rows of the output beyond a strip that its convolutions look at, and one for the pool


@torch.inference_mode()
def pyramid_in_strips(
    model: Any,
    x: Tensor,
    levels: Sequence[int],
    *,
    strip: int = STRIP,
    on_progress: OnFraction | None = None,
) -> list[Tensor]:
    """Give the maps that ``forward_pyramid`` gives, of a picture that may be large.

    Parameters
    ----------
    model : MaxViT or Backbone
        In evaluation.
    x : Tensor, shape (batch, channels, height, width)
    levels : sequence of int
        0 is the stem, 1 to 4 are the stages.
    strip : int
        Pixels of a map that are worked on at once.
    on_progress : callable, optional
        Receives the finished fraction.

    Raises
    ------
    ConfigError
        If the model is in training.
    ShapeError
        If the channels or the sides are others.
    """
    if model.training:
        raise ConfigError("the model is in training: call eval() before it works in strips")
    x, windows = model.entering(x)
    kept: dict[int, Tensor] = {}
    blocks = [(k, block) for k, stage in enumerate(model.stages, 1) for block in stage]
    blocks = [(k, block) for k, block in blocks if k <= max(levels)]
    x = _run_stem(model.stem, x.permute(0, 2, 3, 1).contiguous(), strip)
    for done, (level, block) in enumerate(blocks):
        if (before := level - 1) in levels and before not in kept:
            kept[before] = x  # a stage's last map: what follows makes another
        x = _run_block(block, x, windows, strip)
        if on_progress:
            on_progress((done + 1) / len(blocks))
    kept[max(levels)] = x
    return [kept[level].permute(0, 3, 1, 2) for level in levels]


def strip_memory(config: MaxViTConfig, sides: tuple[int, int], *, in_strips: bool = True) -> float:
    """Estimate how many values a picture of (height, width) takes inside a backbone at its peak.

    In strips, those are the stem's map and the first stage's, and the strip; whole, the first
    stage's wide maps.
    """
    stem = (sides[0] / 2) * (sides[1] / 2)
    first, width = stem / 4, config.widths[0]
    windows = _attention_values(config, sides)
    if in_strips:
        return stem * config.stem_widths[-1] + 3 * first * width + 12 * STRIP * width + windows
    return 3 * stem * config.expansion_rate * width + windows


def _attention_values(config: MaxViTConfig, sides: tuple[int, int]) -> float:
    """Count the logits of one window of the first stage, where windows grow with the picture."""
    if config.window_policy != "fit":
        return 0.0
    tokens = (sides[0] / STRIDE) * (sides[1] / STRIDE)
    return 2 * tokens**2 * (config.widths[0] // config.head_dim)


def _run_block(block: Any, x: Tensor, windows: tuple[Size, Size] | None, strip: int) -> Tensor:
    x = _run_mbconv(block.mbconv, x, strip)
    block_size, grid_size = windows or (None, None)
    _block_attention(block.block, x, block_size, strip)
    _grid_attention(block.grid, x, grid_size, strip)
    return x


def _run_mbconv(mbconv: Any, x: Tensor, strip: int) -> Tensor:
    halves = mbconv.pool_shortcut is not None
    height, width = _sides(x, halves=halves)
    parts = _parts(height, width, strip)
    channels = mbconv.squeeze_excite.excite.out_features
    total = torch.zeros(x.shape[0], 1, 1, channels, dtype=torch.float64, device=x.device)
    for top, bottom in parts:
        wide, _ = _slab(mbconv.widen, x, top, bottom, halves=halves)
        total += wide.sum(dim=(1, 2), keepdim=True, dtype=torch.float64)
    gate = mbconv.squeeze_excite.gate((total / (height * width)).to(x.dtype))
    result = x.new_empty(x.shape[0], height, width, mbconv.project.out_features)
    for top, bottom in parts:
        wide, seen = _slab(mbconv.widen, x, top, bottom, halves=halves)
        first = min(top, _HALO)
        shortcut = mbconv.shortcut(seen)[:, first : first + bottom - top]
        result[:, top:bottom] = shortcut + mbconv.project(wide * gate)
    return result


def _run_stem(stem: Any, x: Tensor, strip: int) -> Tensor:
    height, width = _sides(x, halves=True)
    result = x.new_empty(x.shape[0], height, width, stem.conv2.out_channels)
    for top, bottom in _parts(height, width, strip):
        result[:, top:bottom], _ = _slab(stem, x, top, bottom, halves=True)
    return result


def _sides(x: Tensor, *, halves: bool) -> tuple[int, int]:
    height, width = x.shape[1:3]
    return (-(-height // 2), -(-width // 2)) if halves else (height, width)


def _parts(height: int, width: int, strip: int) -> list[tuple[int, int]]:
    """Divide rows into strips: the first row of each, and the one after its last."""
    rows = max(1, strip // width)
    return [(top, min(top + rows, height)) for top in range(0, height, rows)]


def _slab(
    layer: Callable[[Tensor], Tensor], x: Tensor, top: int, bottom: int, *, halves: bool
) -> tuple[Tensor, Tensor]:
    """Give rows `top` to `bottom` of a layer's output, and the rows of its input that made them.

    Strides count from an even row. TensorFlow pads an odd side at both ends and an even one at the
    end, so a part has to be odd where the whole is.
    """
    stride = 2 if halves else 1
    start = max(0, top - _HALO) * stride
    end = min((bottom + _HALO) * stride, x.shape[1])
    if halves and (end - start) % 2 != x.shape[1] % 2:
        end += 1 if end < x.shape[1] else 0
    seen = x[:, start:end]
    made = layer(seen)
    first = min(top, _HALO)
    return made[:, first : first + bottom - top], seen


def _block_attention(layer: Any, x: Tensor, window: Size | None, strip: int) -> None:
    """Attend inside blocks, in place."""
    side = (window or layer.attention.window)[0]
    rows = max(1, strip // (side * x.shape[2])) * side
    for top in range(0, x.shape[1], rows):
        x[:, top : top + rows] = layer(x[:, top : top + rows], window)


def _grid_attention(layer: Any, x: Tensor, window: Size | None, strip: int) -> None:
    """Attend across the grid, in place: some rows of every cell at a time.

    A map that cells do not divide is padded at its end. Places whose last cells are padded go
    together, few enough that their rows are padded to the same number of cells.
    """
    cells, height = (window or layer.attention.window)[0], x.shape[1]
    tall = -(-height // cells)  # rows of a cell
    most = max(1, strip // (cells * x.shape[2]))
    place = 0
    while place < tall:
        real = -(-(height - place) // tall)  # cells in which this place is a real row
        last = min(height - (real - 1) * tall, tall)  # the first place with fewer
        count = min(last - place, most)
        if real < cells:
            count = max(1, min(count, (cells - 1) // (cells - real)))
        rows = [cell * tall + place + k for cell in range(real) for k in range(count)]
        index = torch.tensor(rows, device=x.device)
        x[:, index] = layer(x[:, index], window)
        place += count
