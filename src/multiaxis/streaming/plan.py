"""Which maps are alive at the worst moment, from the configuration alone."""

from __future__ import annotations

from multiaxis.models.maxim import MaximConfig

WORKSPACE = 160 << 20
"""Bytes for pieces and tiles, whatever the picture: measured (docs/results.md), rounded up."""


def live_units(config: MaximConfig) -> float:
    """Count the full-resolution maps of `features` channels that are alive at the peak.

    A map of level i has twice the channels and a quarter of the pixels of that above: ``2**-i``
    units. Four maps work in a cross gate of level 0 (both signals, the gates of both); beside them
    wait

    * where another stage follows: the bridges of all levels, and the gated bridges of the others;
    * in a later stage's input: the maps of the stage before, and the attended ones of the coarser
      scales;
    * in the last stage: the gated bridges of the other levels.
    """
    levels = sum(2.0**-i for i in range(config.depth))
    scales = sum(2.0**-i for i in range(1, config.num_supervision_scales))
    if config.num_stages == 1:
        return 4 + levels - 1
    return max(4 + levels + levels - 1, 4 + levels + scales)


def peak_memory(config: MaximConfig, pixels: int, item_size: int) -> int:
    """Estimate the bytes that a streamed pass takes beside the process and its weights.

    Parameters
    ----------
    config : MaximConfig
    pixels : int
        Of the picture, padded; batches are run picture by picture.
    item_size : int
        Bytes of one value.
    """
    pictures = 3 * config.in_channels  # the input, its copies at all scales, the output
    per_pixel = (live_units(config) * config.features + pictures) * item_size
    return int(pixels * per_pixel) + WORKSPACE
