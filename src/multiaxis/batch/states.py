"""What lies where the outputs go: each folder is listed and its ledger read once."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from multiaxis.batch.ledger import (
    Entry,
    digest_file,
    find_state,
    pick_record,
    read_entries,
    record_name,
)
from multiaxis.errors import ImageError, explain
from multiaxis.files import remote
from multiaxis.files.address import Remote, Where, is_read_only

_log = logging.getLogger(__name__)
_AT_ONCE = 16  # files that are compared at once where some come through a network


@dataclass(frozen=True)
class State:
    """What is known of an output.

    Attributes
    ----------
    name : str
        ``"new"``, or what `ledger.find_state` tells: ``"finished"``, ``"ours"``, ``"foreign"``.
    record : mapping of str to value
        Of what is finished.
    """

    name: str = "new"
    record: Mapping[str, Any] = field(default_factory=dict[str, Any])


class States:
    """What a plan has seen so far."""

    def __init__(self) -> None:
        self._entries: dict[Where, dict[str, list[Entry]] | ImageError] = {}
        self._kinds: dict[Remote, dict[str, str]] = {}

    def find(
        self,
        targets: Mapping[Where, Where | None],
        settings: Mapping[Where, str] | None,
        report: Where | None = None,
    ) -> dict[Where, State | ImageError]:
        """Tell what each input's output is; where an address does not answer, the error.

        Parameters
        ----------
        targets : mapping of Path or Remote to Path, Remote or None
            From inputs to outputs; None where the record is the result.
        settings : mapping of Path or Remote to str, or None
            Their digest for each input; None where nothing earlier counts.
        report : Path or Remote, optional
            Beside which finished records are noted.
        """
        found: dict[Where, State | ImageError] = dict.fromkeys(targets, State())
        if settings is None:
            return found
        asked: dict[Where, tuple[Where | None, list[Entry] | ImageError]] = {}
        for path, target in targets.items():
            if target is None and report is not None:
                entries = self._entries_of(report.parent, record_name(report, path))
                asked[path] = (None, entries)
            elif target is not None and self._is_file(target):
                asked[path] = (target, self._entries_of(target.parent, target.name))
        places = [*asked, *(target for target, _ in asked.values())]
        distant = any(isinstance(place, Remote) for place in places)
        with ThreadPoolExecutor(_AT_ONCE if distant else 1) as pool:
            told = pool.map(_state, map(settings.get, asked), asked, asked.values())
            found.update(zip(asked, told, strict=True))
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
                f"cannot write {target}: web addresses are read-only; choose a folder with -o"
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

    def _entries_of(self, folder: Where, name: str) -> list[Entry] | ImageError:
        if folder not in self._entries:
            try:
                self._entries[folder] = read_entries(folder)
            except ImageError as error:
                self._entries[folder] = error
        entries = self._entries[folder]
        return entries if isinstance(entries, ImageError) else entries.get(name, [])


def _state(
    settings: str | None, source: Where, asked: tuple[Where | None, list[Entry] | ImageError]
) -> State | ImageError:
    target, entries = asked
    try:
        if isinstance(entries, ImageError):
            raise entries
        if target is None:
            return _record_state(entries, source, settings)
        name = find_state(entries, source, target, settings or "")
        record = pick_record(entries, target, settings) if name == "finished" else {}
        return State(name, record)
    except ImageError as error:
        return error
    except OSError:
        return State()
    except Exception as error:  # noqa: BLE001 (whatever it is, it costs this file alone)
        _log.debug("%s cannot be compared", source, exc_info=True)
        return ImageError(f"{source}: {explain(error)}")


def _record_state(entries: list[Entry], source: Where, settings: str | None) -> State:
    """Tell whether a record is known of an input that is still the same."""
    held = digest_file(source) if entries else ""
    same = [entry for entry in entries if (entry.input, entry.settings) == (held, settings)]
    return State("finished", same[-1].record or {}) if same else State()


def say_taken(target: Where) -> str:
    """Say what to do about an output that exists."""
    return (
        f"the output {target} exists: pass --overwrite to replace it, --resume to continue a "
        "batch, or choose another with -o"
    )
