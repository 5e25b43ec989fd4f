"""Files at addresses (s3://, https://, file:// ...): only this file knows fsspec."""

# pyright: reportMissingTypeStubs=false

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from multiaxis.errors import ConfigError, ImageError, MissingExtraError, MultiaxisError
from multiaxis.files.address import Remote, is_on_web, is_read_only

# What is put there appears whole or not at all; elsewhere a second name is needed.
_WHOLE_PUTS = {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "oss", "memory"}
_PIECE = 1 << 20
_STALE = 600  # seconds after which a part of a file is nobody's any more


def check_address(remote: Remote) -> None:
    """Refuse an address that cannot be used, before anything is asked of it.

    Raises
    ------
    ConfigError
        If it is a chain, or of a kind that fsspec does not know.
    MissingExtraError
        If the package for its kind is not installed.
    """
    _store(remote)


def identity(remote: Remote) -> str:
    """Give what is equal for two addresses of one file, and for a path to it."""
    store, path = _store(remote)
    if remote.scheme in ("file", "local"):
        return os.path.realpath(path)
    protocol = store.protocol if isinstance(store.protocol, str) else store.protocol[0]
    return f"{protocol}://{path}"


def find_kind(remote: Remote) -> str | None:
    """Tell ``"file"`` from ``"directory"``; None where nothing is.

    Raises
    ------
    ImageError
        If that cannot be found out.
    """
    if is_on_web(remote) and remote.url.endswith("/"):
        return "directory"  # fsspec would call every page one that holds links
    with _refusals("look up", remote):
        store, path = _store(remote)
        try:
            return str(store.info(path)["type"])
        except FileNotFoundError:
            return None


def list_folder(remote: Remote, *, recursive: bool = False) -> dict[PurePosixPath, str]:
    """List a folder: names (relative paths if `recursive`), and whether each is a file.

    A folder that is not there is empty: many stores know folders only by the files in them.

    Raises
    ------
    ImageError
        If it cannot be listed.
    """
    with _refusals("list", remote):
        store, path = _store(remote)
        store.invalidate_cache()
        try:
            found = (
                store.find(path, detail=True).values() if recursive else store.ls(path, detail=True)
            )
        except FileNotFoundError:
            return {}
        return {_below(path, entry["name"]): str(entry["type"]) for entry in found}


def is_pattern(remote: Remote) -> bool:
    """Tell whether an address stands for several; a web address keeps its query."""
    return any(sign in remote.url for sign in ("*[" if is_on_web(remote) else "*?["))


def match(remote: Remote) -> list[Remote]:
    """List the files that a pattern stands for, sorted.

    Raises
    ------
    ImageError
        If they cannot be listed.
    """
    literal = re.split(r"[*\[]" if is_on_web(remote) else r"[*?\[]", remote.url)[0]
    head = Remote(literal[: literal.rindex("/") + 1])
    with _refusals("list", remote):
        store, path = _store(remote)
        store.invalidate_cache()
        found: dict[str, Mapping[str, Any]] = store.glob(path, detail=True)
        _, base = _store(head)
        files = [name for name, entry in found.items() if entry["type"] == "file"]
        return sorted(head / _below(base, name) for name in files)


def _below(folder: str, name: str) -> PurePosixPath:
    return PurePosixPath(name.removeprefix(folder.rstrip("/")).lstrip("/"))


def fetch(remote: Remote, path: Path) -> None:
    """Bring a file here.

    Raises
    ------
    ImageError
        If it is not there, or does not come.
    """
    with _refusals("fetch", remote):
        store, there = _store(remote)
        store.get_file(there, str(path))


def read_all(folder: Remote, suffix: str) -> list[bytes]:
    """Give the contents of the small files of a folder whose names end so, at once.

    Raises
    ------
    ImageError
        If the folder cannot be listed, or one of them does not come.
    """
    names = [name for name in list_folder(folder) if name.suffix == suffix]
    if not names:
        return []
    with _refusals("read", folder):
        store, path = _store(folder)
        paths = [f"{path.rstrip('/')}/{name}" for name in names]
        found: dict[str, bytes] = store.cat(paths)
        return list(found.values())


def digest(remote: Remote) -> str:
    """SHA-256 of a file, hexadecimal, read piece by piece.

    Raises
    ------
    ImageError
        If it is not there, or does not come.
    """
    found = hashlib.sha256()
    with _refusals("read", remote):
        store, path = _store(remote)
        with store.open(path, "rb") as file:
            while piece := file.read(_PIECE):
                found.update(piece)
    return found.hexdigest()


def exists(remote: Remote) -> bool:
    """Tell whether something is there now, whatever was known of it before.

    Raises
    ------
    ImageError
        If that cannot be found out.
    """
    with _refusals("look up", remote):
        store, path = _store(remote)
        store.invalidate_cache()
        return bool(store.exists(path))


def publish(data: bytes, remote: Remote, *, overwrite: bool) -> None:
    """Put a file there so that nobody ever sees a part of it.

    Where a store's puts are whole (S3 and its like), it is put under its name; elsewhere under a
    temporary one beside it, and moved.

    Raises
    ------
    ImageError
        If the name is taken and `overwrite` is false, or the store refuses.
    """
    if not overwrite and exists(remote):
        raise ImageError(
            f"cannot write {remote}: it exists; choose another name, or allow overwriting"
        )
    with _refusals("write", remote):
        store, path = _store(remote)
        folder = path.rpartition("/")[0]
        if remote.scheme in _WHOLE_PUTS:  # these have no folders, and a bucket is not ours to make
            store.pipe_file(path, data)
            return
        store.makedirs(folder, exist_ok=True)
        temporary = f"{folder}/.{secrets.token_hex(8)}.part"
        try:
            store.pipe_file(temporary, data)
            _move(store, temporary, path)
        except BaseException:
            with contextlib.suppress(Exception):
                store.rm_file(temporary)
            raise


def _move(store: Any, temporary: str, path: str) -> None:
    try:
        store.mv(temporary, path)
    except Exception:
        if not store.exists(path):
            raise
        # Some stores (SMB, for one) refuse to move onto a name that is taken: the file that has it
        # steps aside until the new one is there.
        aside = f"{path.rpartition('/')[0]}/.{secrets.token_hex(8)}.part"
        store.mv(path, aside)
        try:
            store.mv(temporary, path)
        except BaseException:
            store.mv(aside, path)
            raise
        store.rm_file(aside)


def try_folder(folder: Remote) -> None:
    """Put an empty file and remove it: what can be listed cannot always be written.

    Raises
    ------
    ImageError
        If the store refuses.
    """
    if is_read_only(folder):
        raise ImageError(
            f"{folder} cannot be written to: web addresses are read-only; choose a folder with -o"
        )
    with _refusals("write to", folder):
        store, path = _store(folder)
        if folder.scheme not in _WHOLE_PUTS:
            store.makedirs(path, exist_ok=True)
        temporary = f"{path.rstrip('/')}/.{secrets.token_hex(8)}.part"
        store.pipe_file(temporary, b"")
        store.rm_file(temporary)


def clear_parts(folder: Remote) -> None:
    """Remove what a killed run left of files that never got their names."""
    with contextlib.suppress(Exception):  # tidying up never stops the work
        store, path = _store(folder)
        for found in store.glob(f"{path.rstrip('/')}/.????????????????.part"):
            if time.time() - store.modified(found).timestamp() > _STALE:
                store.rm_file(found)


def _store(remote: Remote) -> tuple[Any, str]:
    """Give the file system of an address, and the path in it."""
    if "::" in remote.url.partition("://")[0]:
        raise ConfigError(f"{remote} is a chain of addresses: give only the last one")
    behind = remote.url.partition("://")[2]
    if remote.scheme != "memory" and not (behind if remote.scheme == "file" else behind.strip("/")):
        raise ConfigError(
            f"{remote} names nothing after ://: give an address such as "
            f"{remote.scheme}://{'/folder' if remote.scheme == 'file' else 'bucket/folder'}"
        )
    try:
        from fsspec.core import url_to_fs
        from fsspec.registry import known_implementations
    except ImportError as error:
        raise MissingExtraError(
            "addresses need the optional package fsspec: pip install 'multiaxis[ray]'"
        ) from error
    try:
        return url_to_fs(remote.url)
    except ImportError as error:
        raise MissingExtraError(
            f"{remote.scheme}:// needs another package on this machine: {error}"
        ) from error
    except ValueError as error:
        if remote.scheme in known_implementations:
            raise ConfigError(f"cannot use {remote}: {error}; check the address") from error
        usual = "s3, gs, abfs, https, sftp, hdfs, smb, file"
        raise ConfigError(
            f"cannot use {remote}: unknown kind of address {remote.scheme}://; fsspec knows "
            f"{usual} and more"
        ) from error


@contextmanager
def _refusals(what: str, remote: Remote) -> Generator[None]:
    """Turn whatever a store raises into one sentence; each has exceptions of its own."""
    try:
        yield
    except MultiaxisError:
        raise
    except FileNotFoundError as error:
        raise ImageError(f"cannot {what} {remote}: it does not exist; check the address") from error
    except PermissionError as error:
        raise ImageError(
            f"cannot {what} {remote}: permission denied; check the rights and credentials"
        ) from error
    except Exception as error:
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise ImageError(
            f"cannot {what} {remote}: {reason}; check the address, the network and credentials"
        ) from error
