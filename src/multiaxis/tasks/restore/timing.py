"""How long restoring takes on this machine: measured on every run, and by a trial before."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from multiaxis.errors import ConfigError
from multiaxis.tasks.restore.forecast import config_of
from multiaxis.tasks.restore.rates import Rates
from multiaxis.weights.cache import home
from multiaxis.weights.index import find_checkpoint

_UNITS = {"": 1, "s": 1, "m": 60, "min": 60, "h": 3600}
TRIAL = 256
"""Pixels of a side of what is tried: pieces are full, and it takes two seconds at most."""


def parse_seconds(amount: str) -> float:
    """Turn a time such as ``"60s"``, ``"2min"``, ``"1h"`` or a number of seconds into seconds.

    Raises
    ------
    ConfigError
        If it is none, or not positive.

    Examples
    --------
    >>> parse_seconds("60s"), parse_seconds("1.5 min"), parse_seconds("90")
    (60.0, 90.0, 90.0)
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(s|m|min|h|)\s*", amount.lower())
    seconds = float(match[1]) * _UNITS[match[2]] if match else 0.0
    if seconds <= 0:
        raise ConfigError(
            f"the time is {amount!r}: accepted is a positive time such as 60s or 2min"
        )
    return seconds


class Timing:
    """Seconds of published checkpoints on this machine.

    Parameters
    ----------
    arguments : mapping of str to value
        Of `Restorer`: device, precision and ensemble decide.
    """

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        self._device, self._dtype = str(arguments["device"]), str(arguments["dtype"])
        self._ensemble = bool(arguments["ensemble"])
        self._rates = Rates(home() / "rates.json")

    def seconds(self, names: Sequence[str], megapixels: float) -> float:
        """Estimate the seconds of some megapixels, after a trial where none were measured yet.

        Parameters
        ----------
        names : sequence of str
            Published checkpoints, in the order of their work.
        megapixels : float

        Raises
        ------
        ConfigError
            If a name, the device or the precision is unknown.
        """
        kind = self._kind(names)
        found = self._rates.seconds(kind, megapixels)
        if found is None:
            measured = sum(trial(name, self._device, self._dtype) for name in names)
            found = measured * (8 if self._ensemble else 1) / (TRIAL**2 / 1e6) * megapixels
        return found

    def add(self, names: Sequence[str], seconds: float, megapixels: float) -> None:
        """Remember what a run took, where this user has a cache."""
        with suppress(OSError):  # without a cache, or in one that takes no files, nothing is kept
            if home().is_dir():
                self._rates.add(self._kind(names), seconds, megapixels)

    def _kind(self, names: Sequence[str]) -> str:
        words = ["+".join(names), self._device, self._dtype, f"{os.cpu_count()} cores"]
        return " ".join([*words, "ensemble"] if self._ensemble else words)


def trial(name: str, device: str, dtype: str) -> float:
    """Measure a model with random weights on a small picture; the second pass counts."""
    import torch

    from multiaxis.devices import find_device, find_dtype
    from multiaxis.models.maxim.network import Maxim
    from multiaxis.models.maxim.streaming import streamed

    place = find_device(device)
    model = Maxim(config_of(find_checkpoint(name))).to(place).eval()
    run = streamed(model, dtype=find_dtype(dtype, place))
    picture = torch.rand(1, model.config.in_channels, TRIAL, TRIAL, device=place)
    seconds = 0.0
    for _ in range(2):
        start = time.monotonic()
        run(picture).cpu()
        seconds = time.monotonic() - start
    return seconds
