"""Restorers that stay loaded from one picture to the next, as many as there is room for."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from multiaxis.progress import OnProgress
from multiaxis.tasks.restore.restorer import Restorer

_LATER = ("strength", "ensemble")  # what may differ from one picture to the next on one model


class LoadedRestorers:
    """Gives restorers for arguments; the least recently used ones make room.

    Parameters
    ----------
    most : int
        Models that are held at once. A chain of tasks counts each of its own; one that is longer
        is held alone.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._held: OrderedDict[tuple[tuple[str, str], ...], Restorer] = OrderedDict()

    @property
    def tasks(self) -> list[str]:
        """The tasks that are loaded, the most recently used one last."""
        return [restorer.task for restorer in self._held.values()]

    def get(self, arguments: Mapping[str, Any], on_progress: OnProgress | None = None) -> Restorer:
        """Give the restorer of some arguments, loaded now or before.

        Parameters
        ----------
        arguments : mapping of str to value
            Of `Restorer`.
        on_progress : callable, optional
            Receives `Progress` while weights are fetched.

        Raises
        ------
        ConfigError, WeightsError
            As `Restorer`.
        """
        fixed = {name: value for name, value in arguments.items() if name not in _LATER}
        key = tuple(sorted((name, str(value)) for name, value in fixed.items()))
        found = self._held.pop(key, None)
        if found is None:
            self._make_room(len(str(arguments["task"]).split(",")))
            found = Restorer(**fixed, on_progress=on_progress)
        self._held[key] = found
        # The copy shares the models; what it changes is read for each picture.
        restorer = copy.copy(found)
        restorer.strength = arguments.get("strength", 1.0)
        restorer.ensemble = arguments.get("ensemble", False)
        return restorer

    def _make_room(self, models: int) -> None:
        while self._held and self._count() + models > self.most:
            self._held.popitem(last=False)

    def _count(self) -> int:
        return sum(len(restorer.models) for restorer in self._held.values())
