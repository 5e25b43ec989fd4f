"""What lies where the outputs go: each folder is listed and its ledger read once."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from multiaxis.errors import ImageError, explain
from multiaxis.files import remote
from multiaxis.files.address import Remote, Where, is_read_only
from multiaxis.restoration.ledger import Entry, find_state, read_entries

_log = logging.getLogger(__name__)
_AT_ONCE = 16  # files that are compared at once where some come through a network


class Look:
    """What a plan has seen so far."""

    def __init__(self) -> None:
        self._entries: dict[Where, dict[str, list[Entry]] | ImageError] = {}
        self._kinds: dict[Remote, dict[str, str]] = {}

    def states(
        self, targets: Mapping[Where, Where], settings: str | None
    ) -> dict[Where, str | ImageError]:
        """Tell of each input's output what `ledger.find_state` tells; ``""`` of a new one.

        Where an address does not answer, the state is the error.

        Parameters
        ----------
        targets : mapping of Path or Remote to Path or Remote
            From inputs to outputs.
        settings : str or None
            Their digest; None where nothing earlier counts.
        """
        found: dict[Where, str | ImageError] = {path: "" for path in targets}  # noqa: C420 (typed)
        if settings is None:
            return found
        held = {path: target for path, target in targets.items() if self._is_file(target)}
        entries = [self._entries_of(target) for target in held.values()]
        distant = any(isinstance(where, Remote) for pair in held.items() for where in pair)
        with ThreadPoolExecutor(_AT_ONCE if distant else 1) as pool:
            told = pool.map(partial(_state, settings), entries, held, held.values())
            found.update(zip(held, told, strict=True))
        return found

    def check_free(self, target: Remote, *, overwrite: bool) -> None:
        """Refuse an output that exists, or that cannot be written.

        Raises
        ------
        ImageError
            Says which it is.
        """
        if is_read_only(target):
            raise ImageError(
                f"cannot write {target}: the web is only read; choose a folder with -o"
            )
        kind = self._kind(target)
        if kind == "directory":
            raise ImageError(
                f"the output {target} is a folder: name a file, or end it with a slash"
            )
        if kind and not overwrite:
            raise ImageError(say_taken(target))

    def _is_file(self, target: Where) -> bool:
        if isinstance(target, Remote):
            return not is_read_only(target) and self._kind(target) == "file"
        return os.path.isfile(target)  # noqa: PTH113 (impossible names are no error here)

    def _kind(self, target: Remote) -> str | None:
        folder = target.parent
        if folder not in self._kinds:
            listed = remote.list_folder(folder)
            self._kinds[folder] = {name.name: kind for name, kind in listed.items()}
        return self._kinds[folder].get(target.name)

    def _entries_of(self, target: Where) -> list[Entry] | ImageError:
        folder = target.parent
        if folder not in self._entries:
            try:
                self._entries[folder] = read_entries(folder)
            except ImageError as error:
                self._entries[folder] = error
        entries = self._entries[folder]
        return entries if isinstance(entries, ImageError) else entries.get(target.name, [])


def _state(
    settings: str, entries: list[Entry] | ImageError, source: Where, target: Where
) -> str | ImageError:
    if isinstance(entries, ImageError):
        return entries
    try:
        return find_state(entries, source, target, settings)
    except ImageError as error:
        return error
    except Exception as error:  # noqa: BLE001 (whatever it is, it costs this file alone)
        _log.debug("%s cannot be compared", source, exc_info=True)
        return ImageError(f"{source}: {explain(error)}")


def say_taken(target: Where) -> str:
    """Say what to do about an output that exists."""
    return (
        f"the output {target} exists: pass --overwrite to replace it, --resume to go on with a "
        "batch, or choose another with -o"
    )
