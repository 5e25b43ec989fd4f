"""Where and how precisely to compute, by name."""

from __future__ import annotations

from pathlib import Path

import torch

from multiaxis.errors import ConfigError, unknown

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def find_device(device: str | torch.device) -> torch.device:
    """Turn a device's name into the device, once it is known to be there.

    Raises
    ------
    ConfigError
        If the name is unknown or the device absent.
    """
    counts = {
        "cuda": torch.cuda.device_count() if torch.cuda.is_available() else 0,
        "mps": int(torch.backends.mps.is_available()),
        "cpu": 1,
    }
    name = str(device)
    if name == "auto":
        name = next(kind for kind, count in counts.items() if count)
    kind, colon, number = name.partition(":")
    is_number = number.isascii() and number.isdigit()
    if kind not in counts or (colon and not is_number):
        raise unknown("device", name, ["auto", "cpu", "cuda", "cuda:N", "mps"])
    if int(number or 0) >= counts[kind]:
        here = ", ".join(f"{kind}:{k}" for kind, count in counts.items() for k in range(count))
        raise ConfigError(f"the device {name} is not available: this machine has {here}")
    return torch.device(name)


def find_dtype(dtype: str | torch.dtype, device: torch.device) -> torch.dtype:
    """Turn a precision's name into the dtype; ``auto`` is bfloat16 where the device has units.

    Raises
    ------
    ConfigError
        If it is another than float32, bfloat16 and auto.
    """
    name = str(dtype).removeprefix("torch.")
    if name == "auto":
        return torch.bfloat16 if has_bfloat16(device) else torch.float32
    if name not in DTYPES:
        raise unknown("dtype", name, [*DTYPES, "auto"])
    return DTYPES[name]


def has_bfloat16(device: torch.device) -> bool:
    """Tell whether a device multiplies bfloat16 with units of its own; elsewhere it is emulated."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    cpuinfo = Path("/proc/cpuinfo")
    if device.type != "cpu" or not cpuinfo.exists():
        return False
    flags = cpuinfo.read_text().split()
    return "amx_bf16" in flags or "avx512_bf16" in flags


def share_gpus(index: int) -> None:
    """Let ``cuda`` mean another GPU in each of several processes, where there are several GPUs.

    Parameters
    ----------
    index : int
        Of this process, from 0.
    """
    if torch.cuda.is_available():
        torch.cuda.set_device(index % torch.cuda.device_count())
