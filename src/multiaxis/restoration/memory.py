"""How much memory a whole frame takes, and how much there is."""

from __future__ import annotations

from pathlib import Path

from multiaxis.models.maxim import MaximConfig

BYTES_PER_PIXEL = 7_000
"""Peak of a plain float32 pass at 32 features: 6500 to 6860 measured (docs/results.md)."""

# Limit, use, and the cached files in that use that the kernel gives up first: version 2, then 1.
_CONTROL_GROUPS = (
    ("memory.max", "memory.current", "inactive_file"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "total_inactive_file"),
)


def needed_memory(config: MaximConfig, pixels: int, item_size: int) -> int:
    """Estimate the peak of one plain forward pass (streamed: `multiaxis.streaming.plan`).

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


def free_memory(root: Path = Path("/")) -> int | None:
    """Return the bytes that this process can still get, or None where that is unknown.

    Parameters
    ----------
    root : Path
        Where ``proc`` and ``sys`` lie.
    """
    meminfo = root / "proc/meminfo"
    if not meminfo.exists():
        return None
    rows = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
    free = int(rows["MemAvailable"].split()[0]) * 1024
    return min([free, *_free_in_groups(root / "sys/fs/cgroup")])


def _free_in_groups(folder: Path) -> list[int]:
    """Return what a container's limit leaves, where there is one."""
    found: list[int] = []
    for limit, used, idle in _CONTROL_GROUPS:
        files = folder / limit, folder / used, (folder / used).with_name("memory.stat")
        if not all(file.exists() for file in files):
            continue
        most, taken, stat = (file.read_text().strip() for file in files)
        if most.isdigit():
            cached = dict(line.split() for line in stat.splitlines()).get(idle, "0")
            found.append(int(most) - int(taken) + int(cached))
    return found
