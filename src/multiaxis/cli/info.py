"""``multiaxis info``: what a fault report needs."""

from __future__ import annotations

import json
import os
import platform
import re
from importlib import metadata
from typing import Annotated, Any

from cyclopts import Parameter

from multiaxis.cli import console
from multiaxis.cli.options import Flag
from multiaxis.errors import WeightsError

_CORE = ("torch", "numpy", "safetensors", "pillow", "pyvips", "cyclopts")
_VARIABLES = ("MULTIAXIS_HOME", "MULTIAXIS_OFFLINE", "OMP_NUM_THREADS", "RAY_ADDRESS", "TMPDIR")


def info(*, as_json: Annotated[Flag, Parameter(name="--json")] = False) -> None:
    """Print what a fault report needs: versions, extras, machine, devices, formats, cache.

    Parameters
    ----------
    as_json
        Print one JSON object.
    """
    facts = _collect()
    if as_json:
        console.say(*json.dumps(facts, indent=2, ensure_ascii=False).splitlines())
        return
    for title, value in facts.items():
        rows = value if isinstance(value, dict) else {"": value}
        for name, content in rows.items():
            console.say(f"{title:12}  {name:14}  {_in_words(content)}")
            title = ""  # noqa: PLW2901 (a title stands once)


def _collect() -> dict[str, Any]:
    from multiaxis.memory import free_memory, level2_cache

    return {
        "versions": {
            "multiaxis": _version("multiaxis"),
            "python": platform.python_version(),
            **{name: _version(name) for name in _CORE},
            "libvips": _libvips(),
        },
        "extras": _extras(),
        "machine": {
            "system": platform.platform(),
            "processor": f"{_processor()}, {os.cpu_count()} cores",
            "level-2 cache": _amount(level2_cache()),
            "free memory": _amount(free_memory()),
        },
        "devices": _devices(),
        "formats": _formats(),
        "cache": _cache(),
        "environment": {name: os.environ[name] for name in _VARIABLES if name in os.environ},
    }


def _extras() -> dict[str, dict[str, str | None]]:
    """Give the version of each extra's packages, as the installed package states them."""
    extras: dict[str, dict[str, str | None]] = {}
    for requirement in metadata.requires("multiaxis") or ():
        name, _, condition = requirement.partition(";")
        extra = re.search(r"extra == ['\"](\w+)", condition)
        package = re.match(r"[\w.-]+", name)
        if extra and package and extra[1] != "dev":
            extras.setdefault(extra[1], {})[package[0]] = _version(package[0])
    return extras


def _cache() -> str:
    from multiaxis.weights.cache import home

    try:
        return str(home())
    except WeightsError as error:
        return f"none: {error}"


def _in_words(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_in_words(content)}" for name, content in value.items())  # pyright: ignore[reportUnknownVariableType]
    return "not installed" if value is None else str(value)


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _libvips() -> str:
    import pyvips  # pyright: ignore[reportMissingTypeStubs]

    return ".".join(str(pyvips.version(part)) for part in range(3))  # pyright: ignore[reportUnknownMemberType]


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:  # noqa: PTH123 (no file of a user's)
            names = (line.partition(":")[2].strip() for line in file if "model name" in line)
            return next(names, platform.machine())
    except OSError:
        return platform.processor() or platform.machine()


def _amount(size: int | None) -> str:
    return "unknown" if size is None else f"{size / 2**20:,.0f} MiB"


def _devices() -> dict[str, str]:
    import torch

    from multiaxis.devices import has_bfloat16

    devices = {"cpu": "processor"}
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            devices[f"cuda:{index}"] = torch.cuda.get_device_name(index)
    if torch.backends.mps.is_available():
        devices["mps"] = "Apple GPU"
    return {
        name: f"{what}, bfloat16 {'native' if has_bfloat16(torch.device(name)) else 'emulated'}"
        for name, what in devices.items()
    }


def _formats() -> dict[str, str]:
    from multiaxis.images.formats import FORMATS

    return {
        row.name: f"read and written, {', '.join(row.depths)}"
        if row.depths
        else f"read, written as {row.written_as}"
        for row in FORMATS
    }
