"""Which maps are alive at the worst moment, from the configuration alone."""

from __future__ import annotations

from multiaxis.memory import level2_cache
from multiaxis.models.maxim.config import MaximConfig

LEAST_PIECE = 1 << 20  # below 256 KiB the calls cost more than the work; flat from there to 2 MiB
TEMPORARIES = 96  # pieces that a pass holds at once or has not given back: 80 measured
_LARGEST_PIECE = 16 << 20

PLAIN_BYTES_PER_PIXEL = 7_000
"""Peak of a plain float32 pass at 32 features: 6500 to 6860 measured (docs/results/time.md)."""


def live_units(config: MaximConfig) -> float:
    """Count the full-resolution maps of `features` channels that are alive at the peak.

    Full resolution is the U-Net's. A map of level i has twice the channels and a quarter of the
    pixels of that above: ``2**-i`` units. Three maps work at level 0 (in a cross gate: both signals
    and the result; in a mixing group: the shortcut, a map and the next one); beside them wait

    * where another stage follows: the bridges of all levels, and the gated bridges of the others;
    * in a later stage's encoder: the maps of the stage before, and the attended ones of the coarser
      scales;
    * in the last stage: the gated bridges of the other levels;
    * while bridges are gated: the bottleneck's map, ``2 ** -(depth + 1)`` units.
    """
    levels = sum(2.0**-i for i in range(config.depth))
    scales = sum(2.0**-i for i in range(1, config.num_supervision_scales))
    if config.num_stages == 1:
        return 3 + levels - 1 + 2.0 ** -(config.depth + 1)
    return 3 + levels + max(levels - 1 + 2.0 ** -(config.depth + 1), scales)


def pictures_memory(config: MaximConfig, pixels: int) -> int:
    """Count the bytes of the padded picture, its smaller scales and the output, in float32."""
    copies = 3.4 if config.shuffle == 1 else 4.4  # the picture, and the same with stacked pixels
    return int(pixels * 4 * (copies * config.in_channels))


def maps_memory(config: MaximConfig, pixels: int, item_size: int) -> int:
    """Count the bytes of the maps that are alive at the peak."""
    return int(pixels * live_units(config) * config.features * item_size / config.shuffle**2)


def peak_memory(config: MaximConfig, pixels: int, item_size: int, workspace: int) -> int:
    """Estimate the bytes that a streamed pass takes beside the process and its weights.

    Parameters
    ----------
    config : MaximConfig
    pixels : int
        Of the picture, padded; batches are run picture by picture.
    item_size : int
        Bytes of one stored value.
    workspace : int
        Bytes for pieces and bands, whatever the picture: `Sizes.workspace`.
    """
    maps = maps_memory(config, pixels, item_size)
    return maps + pictures_memory(config, pixels) + workspace


def plain_memory(config: MaximConfig, pixels: int, item_size: int) -> int:
    """Estimate the bytes that a plain pass takes beside the process and its weights.

    Parameters
    ----------
    config : MaximConfig
    pixels : int
        Of all padded pictures of the batch together.
    item_size : int
        Bytes of one value.
    """
    bytes_per_pixel = PLAIN_BYTES_PER_PIXEL * config.features / 32 / config.shuffle**2
    return int(pixels * bytes_per_pixel * item_size / 4)


def largest_map(config: MaximConfig, pixels: int) -> int:
    """Count the values of a plain pass's largest map: the deepest bridge at full resolution."""
    return pixels * config.features * 2 ** (config.depth - 1) // config.shuffle**2


def piece_size(threads: int) -> int:
    """Choose the bytes of a piece on a processor: half of the level 2 of all threads together."""
    cache = threads * (level2_cache() or 0)
    return min(max(cache // 2, LEAST_PIECE), _LARGEST_PIECE)
