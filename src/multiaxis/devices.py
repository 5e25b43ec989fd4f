"""Where and how precisely to compute, by name."""

from __future__ import annotations

import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from multiaxis.errors import ConfigError, ImageError, unknown

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


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


def find_dtype(
    dtype: str | torch.dtype, device: torch.device, known: Sequence[str] = tuple(DTYPES)
) -> torch.dtype:
    """Turn a precision's name into the dtype; ``auto`` is bfloat16 where the device has units.

    Raises
    ------
    ConfigError
        If it is none of the known ones, nor ``auto``.
    """
    name = str(dtype).removeprefix("torch.")
    if name == "auto":
        return torch.bfloat16 if has_bfloat16(device) else torch.float32
    if name not in known:
        raise unknown("dtype", name, [*known, "auto"])
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


def has_units(dtype: torch.dtype, device: torch.device) -> bool:
    """Tell whether a device calculates in a dtype; elsewhere it only keeps maps in it."""
    if dtype == torch.bfloat16:
        return has_bfloat16(device)
    if dtype == torch.float16:
        # From Volta on. Processors with such units are few, and PyTorch's kernels for them too.
        return device.type == "cuda" and torch.cuda.get_device_capability(device) >= (7, 0)
    return True


class _Older:
    """A setting of PyTorch before 2.9, in the words of later versions."""

    def __init__(self, backend: Any) -> None:
        self.backend = backend

    @property
    def fp32_precision(self) -> str:
        return "tf32" if self.backend.allow_tf32 else "ieee"

    @fp32_precision.setter
    def fp32_precision(self, value: str) -> None:
        self.backend.allow_tf32 = value == "tf32"


def _float32_operations(backends: Any = torch.backends) -> list[Any]:
    """List what has a precision for float32: products of matrices, and convolutions."""
    if not hasattr(backends.cudnn, "conv"):
        return [_Older(backends.cudnn), _Older(backends.cuda.matmul)]
    cudnn, onednn = backends.cudnn, backends.mkldnn
    return [cudnn.conv, backends.cuda.matmul, onednn.conv, onednn.matmul]


class _Float32:
    """PyTorch's precision of float32, which belongs to the process, and who wants it whole."""

    def __init__(self) -> None:
        self._lock, self._users = threading.Lock(), 0
        self._found: list[tuple[Any, str]] = []
        self._word = ""

    def enter(self) -> None:
        with self._lock:
            self._users += 1
            if self._users > 1:
                return
            self._found = [(one, one.fp32_precision) for one in _float32_operations()]
            try:  # an older word for products, which PyTorch wants to agree
                self._word = torch.get_float32_matmul_precision()
            except RuntimeError:  # it does not
                self._word = "highest"
            if self._word != "highest":
                torch.set_float32_matmul_precision("highest")
            for one, value in self._found:
                if value not in ("none", "ieee"):
                    one.fp32_precision = "ieee"

    def leave(self) -> None:
        with self._lock:
            self._users -= 1
            if self._users:
                return
            if self._word != "highest":
                torch.set_float32_matmul_precision(self._word)
            for one, value in self._found:
                if one.fp32_precision != value:
                    one.fp32_precision = value


_FLOAT32 = _Float32()


@contextmanager
def full_precision() -> Generator[None]:
    """Calculate float32 as float32 inside: no TF32 on GPUs, no bfloat16 on processors.

    PyTorch rounds the factors of float32 convolutions to TF32 on a GPU by default, and those of
    matrix products if a program asks for it: 10 bits of 23. These settings are the process's. So
    they are changed only while our models run for a result, and put back behind the last of
    several threads.
    """
    _FLOAT32.enter()
    try:
        yield
    finally:
        _FLOAT32.leave()


def check_finite(found: Tensor, dtype: torch.dtype) -> Tensor:
    """Give what a model found, unless numbers were too large for its 16 bits.

    Raises
    ------
    ImageError
        If some are not finite.
    """
    if dtype != torch.float32 and not found.isfinite().all():
        name = str(dtype).removeprefix("torch.")
        raise ImageError(f"{name} was too coarse for this picture: use float32")
    return found


def share_gpus(index: int) -> None:
    """Let ``cuda`` mean another GPU in each of several processes, where there are several GPUs.

    Parameters
    ----------
    index : int
        Of this process, from 0.
    """
    if torch.cuda.is_available():
        torch.cuda.set_device(index % torch.cuda.device_count())
