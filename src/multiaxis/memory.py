"""How much memory there is, how much of it is this process's, and amounts in words."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from multiaxis.errors import ConfigError, ImageError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_BINARY_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}

# Limit, use, and the cached files in that use that the kernel gives up first: version 2, then 1.
_CONTROL_GROUPS = (
    ("memory.max", "memory.current", "inactive_file"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "total_inactive_file"),
)


def parse_bytes(amount: str | int) -> int:
    """Turn an amount such as ``"4GB"``, ``"500 MiB"`` or a number of bytes into bytes.

    Raises
    ------
    ConfigError
        If it is none, or not positive.

    Examples
    --------
    >>> parse_bytes("4GB"), parse_bytes("1.5 GiB"), parse_bytes(2_000_000)
    (4000000000, 1610612736, 2000000)
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?\s*", str(amount).lower())
    found = 0
    if match:
        number, unit, binary = match.groups()
        found = int(float(number) * (_BINARY_UNITS if binary else _UNITS)[unit])
    if found <= 0:
        raise ConfigError(
            f"the memory is {str(amount)!r}: accepted is a positive amount such as 4GB or 512MiB"
        )
    return found


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


def free_device_memory(device: torch.device) -> int | None:
    """Return the bytes that a device can still give, or None where that is unknown."""
    if device.type == "cpu":
        return free_memory()
    if device.type == "cuda":
        import torch

        free, _ = torch.cuda.mem_get_info(device)
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return free + kept
    return None


def process_memory(process: int | None = None) -> int | None:
    """Return the bytes of memory that this process holds, or None where that is unknown.

    Parameters
    ----------
    process : int, optional
        The number of another one.
    """
    statm = Path(f"/proc/{process or 'self'}/statm")
    try:
        return int(statm.read_text().split()[1]) * 4096
    except (OSError, IndexError):  # another system, or the process has ended
        return None


def peak_memory_of_process() -> int:
    """Return the most bytes that this process has held so far; 0 where that is unknown."""
    status = Path("/proc/self/status")
    rows = status.read_text().splitlines() if status.exists() else []
    return next((int(r.split()[1]) * 1024 for r in rows if r.startswith("VmHWM")), 0)


def level2_cache(root: Path = Path("/")) -> int | None:
    """Return the bytes of one core's level-2 cache, or None where that is unknown."""
    size = root / "sys/devices/system/cpu/cpu0/cache/index2/size"
    try:
        return parse_bytes(f"{size.read_text().strip()}iB")
    except (OSError, ConfigError):
        return None


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether memory is what failed: PyTorch has no exception of its own for it on CPUs."""
    import torch

    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError)
        and ("can't allocate memory" in str(error) or "not enough memory" in str(error))
    )


@contextmanager
def refusing(device: torch.device, what: str) -> Generator[None]:
    """Turn a lack of memory into a refusal.

    Parameters
    ----------
    device : torch.device
    what : str
        What did not fit, and what to do: ``"a picture of 9 x 9 pixels: make it smaller"``.

    Raises
    ------
    ImageError
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise ImageError(f"{device} ran out of memory at {what}") from error


def run_in_parts(run: Callable[[Tensor], Tensor], batch: Tensor, what: str) -> Tensor:
    """Run a batch; where memory does not do, its halves, down to single samples.

    Parameters
    ----------
    run : callable
        From a batch to something of as many rows.
    batch : Tensor, shape (samples, ...)
    what : str
        What one sample is, and what to do if it does not fit.

    Raises
    ------
    ImageError
        If a single sample does not fit.
    """
    import torch

    if len(batch) < 2:
        with refusing(batch.device, what):
            return run(batch)
    try:
        return run(batch)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
    give_back(batch.device)  # behind the error, which holds what the pass had made
    return torch.cat([run_in_parts(run, half, what) for half in batch.tensor_split(2)])


def give_back(device: torch.device) -> None:
    """Give a GPU's memory that is kept for later back, so that larger pieces can be had."""
    if device.type == "cuda":
        import torch

        torch.cuda.empty_cache()


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
