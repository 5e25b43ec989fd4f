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
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from multiaxis.restoration import remote
from multiaxis.restoration.address import Remote, Where

NAME = ".multiaxis.jsonl"
FOLDER = ".multiaxis"
_STALE = 600  # seconds after which a part of a file is nobody's any more


@dataclass(frozen=True)
class Entry:
    """One line: an output's name, and three digests (SHA-256, hexadecimal)."""

    name: str
    input: str
    settings: str
    output: str


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
    return digest(where.read_bytes()) if isinstance(where, Path) else remote.digest(where)


def add_entry(folder: Where, entry: Entry) -> None:
    """Append a line; in one write, so that several processes and machines may share the file."""
    line = (json.dumps(entry.__dict__, ensure_ascii=True) + "\n").encode()
    if isinstance(folder, Remote):
        name = f"{digest(line)[:32]}.json"
        remote.publish(line, folder / FOLDER / name, overwrite=True)
        return
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    with os.fdopen(os.open(folder / NAME, flags, 0o666), "ab", buffering=0) as file:
        file.write(line)
        os.fsync(file.fileno())


def read_entries(folder: Where) -> dict[str, list[Entry]]:
    """Read a folder's lines by the output's name; what is damaged or cut short is left out.

    Raises
    ------
    ImageError
        If they lie at an address and do not come.
    """
    found: dict[str, list[Entry]] = {}
    for line in _lines(folder):
        try:
            entry = Entry(**json.loads(line))
        except (ValueError, TypeError):
            continue
        found.setdefault(entry.name, []).append(entry)
    return found


def _lines(folder: Where) -> list[str]:
    if isinstance(folder, Remote):
        parts = remote.read_all(folder / FOLDER, ".json")
        return [part.decode("utf-8", errors="replace") for part in parts]
    try:
        return (folder / NAME).read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return []


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


def clear_parts(folder: Where) -> None:
    """Remove what a killed run left of files that never got their names."""
    if isinstance(folder, Remote):
        remote.clear_parts(folder)
        return
    for path in folder.glob(".????????????????.part"):
        try:
            if time.time() - path.stat().st_mtime > _STALE:
                path.unlink()
        except OSError:
            continue
