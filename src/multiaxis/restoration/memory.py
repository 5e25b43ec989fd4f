"""How much memory a whole frame takes, and how much there is."""

from __future__ import annotations

from pathlib import Path

from multiaxis.models.maxim import MaximConfig

BYTES_PER_PIXEL = 6_000
"""Peak of a float32 forward pass at 32 features, measured at 512 x 512 (docs/results.md)."""


def needed_memory(config: MaximConfig, pixels: int, item_size: int) -> int:
    """Estimate the peak of one forward pass.

    Parameters
    ----------
    config : MaximConfig
    pixels : int
        Of the padded frame.
    item_size : int
        Bytes of one value.

    Returns
    -------
    int
        Bytes beside the process itself.
    """
    return pixels * BYTES_PER_PIXEL * config.features // 32 * item_size // 4


def free_memory() -> int | None:
    """Return the bytes that this process can still get, or None where that is unknown."""
    meminfo = Path("/proc/meminfo")
    if not meminfo.exists():
        return None
    rows = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
    free = int(rows["MemAvailable"].split()[0]) * 1024
    limit, used = Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")
    if limit.exists() and used.exists() and (most := limit.read_text().strip()).isdigit():
        free = min(free, int(most) - int(used.read_text()))
    return free
