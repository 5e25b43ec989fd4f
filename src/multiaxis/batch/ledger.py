"""What was finished, by content: how a batch that was stopped goes on where it was.

Beside its outputs a batch keeps a file of JSON lines, ``.multiaxis.jsonl``. A line is added before
an output gets its name: digests of input, settings and output. So, whenever a run was killed, an
output is finished if and only if its digest stands in a line with the right input and settings.

Beside outputs at an address it is a folder, ``.multiaxis``, with a small file for each line: most
stores cannot append, and so machines never wait for each other.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from multiaxis.errors import ImageError
from multiaxis.files import remote
from multiaxis.files.address import Remote, Where
from multiaxis.files.lines import append_line, check_lines, parse_lines, read_lines
from multiaxis.files.parts import clear_parts

NAME = ".multiaxis.jsonl"
FOLDER = ".multiaxis"
_PIECE = 1 << 20
_FIELDS = ("name", "input", "settings", "output")


@dataclass(frozen=True)
class Entry:
    """One line: an output's name, three digests (SHA-256, hexadecimal), and the record, if any.

    Where a record is the result, the name is `record_name`'s, and the output's digest is empty.
    """

    name: str
    input: str
    settings: str
    output: str
    record: Mapping[str, Any] | None = None

    def fields(self) -> dict[str, Any]:
        """Give what a line holds."""
        named = {name: getattr(self, name) for name in _FIELDS}
        return named if self.record is None else {**named, "record": self.record}


@dataclass(frozen=True)
class Note:
    """Where what is finished is noted: beside outputs, and for records beside the report."""

    report: Where | None = None


def record_name(report: Where, source: Where) -> str:
    """Name the line of an input whose record is the result."""
    return f"{report.name}: {source}"


def digest(data: bytes) -> str:
    """SHA-256 of some bytes, hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def settings_digest(settings: Mapping[str, Any]) -> str:
    """Digest of everything that decides what an output is, but for its input."""
    return digest(json.dumps(settings, sort_keys=True, default=str).encode())


def digest_file(where: Where) -> str:
    """SHA-256 of a file, hexadecimal.

    Raises
    ------
    OSError, ImageError
        If it cannot be read, here or at an address.
    """
    if isinstance(where, Remote):
        return remote.digest(where)
    found = hashlib.sha256()
    with where.open("rb") as stream:
        while piece := stream.read(_PIECE):
            found.update(piece)
    return found.hexdigest()


def add_entry(folder: Where, entry: Entry) -> None:
    """Append a line, so that several processes and machines may share the file.

    Raises
    ------
    OSError, ImageError
        If it did not get there whole.
    """
    if isinstance(folder, Remote):
        line = (json.dumps(entry.fields(), ensure_ascii=True) + "\n").encode()
        name = f"{digest(line)[:32]}.json"
        remote.publish(line, folder / FOLDER / name, overwrite=True)
        return
    append_line(folder / NAME, entry.fields())


def read_entries(folder: Where) -> dict[str, list[Entry]]:
    """Read a folder's lines by the output's name; what is damaged or cut short is left out.

    Raises
    ------
    ImageError
        If they are there and cannot be read.
    """
    found: dict[str, list[Entry]] = {}
    for record in _records(folder):
        named = {name: record.get(name) for name in _FIELDS}
        more = record.get("record")
        if all(isinstance(value, str) for value in named.values()) and (
            more is None or isinstance(more, dict)
        ):
            entry = Entry(**named, record=more)  # pyright: ignore[reportArgumentType]
            found.setdefault(entry.name, []).append(entry)
    return found


def check_ledger(folder: Where) -> None:
    """Find out before the work whether what is finished could be noted.

    Raises
    ------
    ImageError
        If not.
    """
    if isinstance(folder, Remote):
        return  # the store was tried
    try:
        check_lines(folder / NAME)
    except OSError as error:
        raise ImageError(_refusal("added to", folder / NAME, error)) from error


def _records(folder: Where) -> list[dict[str, Any]]:
    if isinstance(folder, Remote):
        return parse_lines(b"\n".join(remote.read_all(folder / FOLDER, ".json")))
    try:
        return read_lines(folder / NAME)
    except NotADirectoryError:
        return []
    except OSError as error:
        raise ImageError(_refusal("read", folder / NAME, error)) from error


def _refusal(what: str, path: Path, error: OSError) -> str:
    return (
        f"{path} notes what is finished and cannot be {what}: {error.strerror}; move the file, "
        "or choose another output"
    )


def find_state(entries: list[Entry], source: Where, target: Where, settings: str) -> str:
    """Tell what an output that exists is.

    Returns
    -------
    str
        ``"finished"``: of this input and these settings; ``"ours"``: of an earlier run with other
        ones, and unchanged since; ``"foreign"``: anything else.

    Raises
    ------
    ImageError
        If one of them lies at an address and does not come: what it is is not known then.
    """
    if not entries:
        return "foreign"
    try:
        held = digest_file(target)
        mine = [entry for entry in entries if entry.output == held]
        if not mine:
            return "foreign"
        wanted = digest_file(source)
    except OSError:
        return "foreign"
    done = any((entry.input, entry.settings) == (wanted, settings) for entry in mine)
    return "finished" if done else "ours"


def is_ours(target: Where) -> bool:
    """Tell whether a file that exists is as a run of ours wrote it, whatever from.

    Raises
    ------
    OSError, ImageError
        If that cannot be found out.
    """
    entries = read_entries(target.parent).get(target.name, [])
    return bool(entries) and digest_file(target) in {entry.output for entry in entries}


def is_finished(source: Where, target: Where, settings: str) -> bool:
    """Tell whether an output is there now, of this input and these settings.

    Raises
    ------
    OSError, ImageError
        If that cannot be found out.
    """
    entries = read_entries(target.parent).get(target.name, [])
    return find_state(entries, source, target, settings) == "finished"


def find_record(target: Where, settings: str) -> Mapping[str, Any]:
    """Give the record that was noted with a finished output; empty where there was none."""
    return pick_record(read_entries(target.parent).get(target.name, []), target, settings)


def pick_record(entries: list[Entry], target: Where, settings: str | None) -> Mapping[str, Any]:
    """Give the record of an output among the entries of its name."""
    noted = [e for e in entries if e.settings == settings and e.record is not None]
    if len(noted) > 1:  # of several inputs, one after the other
        held = digest_file(target)
        noted = [entry for entry in noted if entry.output == held]
    return (noted[-1].record or {}) if noted else {}


def clear_strays(folder: Where) -> None:
    """Remove what a killed run left of files that never got their names."""
    if isinstance(folder, Remote):
        remote.clear_parts(folder)
    else:
        clear_parts(folder)
