"""The kinds of places that checkpoints come from."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import re
import shutil
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from http.client import HTTPException
from pathlib import Path
from typing import Any

from multiaxis.progress import OnProgress, Progress
from multiaxis.weights.index import HubSource, NpmSource, UrlSource

TIMEOUT = 20.0  # seconds without an answer before a source counts as silent
NPM_TIMEOUT = 900.0  # seconds for a whole package; the client retries by itself
_CHUNK = 1 << 20


class SourceError(Exception):
    """A source did not give the file; the next one is tried. Never leaves this room."""


def download(source: UrlSource, folder: Path, on_progress: OnProgress | None) -> Path:
    """Fetch a file into a folder, under its own name.

    Raises
    ------
    SourceError
        If the server does not answer, the file is cut short, or its checksum differs.
    """
    target = folder / source.url.rsplit("/", 1)[-1]
    found, _ = _fetch(source.url, target, on_progress)
    _check_sha256(found, source.sha256)
    return target


def download_from_hub(source: HubSource, folder: Path, on_progress: OnProgress | None) -> Path:
    """Fetch a hub's file and compare it with the checksum that the hub states.

    Raises
    ------
    SourceError
        As `download`.
    """
    target = folder / source.file
    found, stated = _fetch(source.url, target, on_progress)
    _check_sha256(found, stated)
    return target


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirections, and keeps the checksum that a hub sends with its first answer."""

    stated: str | None = None

    def redirect_request(
        self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        self.stated = self.stated or _sha256_in(headers)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _sha256_in(headers: Any) -> str | None:
    """Read a hub's checksum; for small files that header holds another kind of hash."""
    value = (headers.get("X-Linked-ETag") or "").strip('"')
    return value if re.fullmatch(r"[0-9a-f]{64}", value) else None


def _check_sha256(found: str, stated: str | None) -> None:
    if stated and not found.startswith(stated):
        raise SourceError(f"the file's sha256 is {found}, not {stated}")


def _fetch(url: str, target: Path, on_progress: OnProgress | None) -> tuple[str, str | None]:
    """Fetch a file; returns its sha256, and the one that the server stated."""
    total_hash, redirects = hashlib.sha256(), _Redirects()
    opener = urllib.request.build_opener(redirects)
    try:
        with opener.open(url, timeout=TIMEOUT) as answer, target.open("wb") as file:
            length = answer.headers.get("Content-Length")
            stated = redirects.stated or _sha256_in(answer.headers)
            total, done = (int(length) if length else None), 0
            while chunk := answer.read(_CHUNK):
                file.write(chunk)
                total_hash.update(chunk)
                done += len(chunk)
                if on_progress:
                    on_progress(Progress(f"downloading {target.name}", done, total, "bytes"))
    except urllib.error.HTTPError as error:
        raise SourceError(f"the server answered {error.code} {error.reason}") from error
    except urllib.error.URLError as error:
        raise SourceError(f"not reachable ({_reason(error)})") from error
    except (TimeoutError, ConnectionError, ssl.SSLError, HTTPException, ValueError) as error:
        raise SourceError(f"the connection broke ({error})") from error
    if total is not None and done != total:
        raise SourceError(f"the file was cut short at {done} of {total} bytes")
    return total_hash.hexdigest(), stated


def npm_pack(source: NpmSource, folder: Path, on_progress: OnProgress | None) -> Path:
    """Fetch a package's tarball through the user's npm client, hence from its configured registry.

    Raises
    ------
    SourceError
        If there is no client, it fails or stays silent, or the tarball's integrity hash differs.
    """
    client = shutil.which("npm")
    if client is None:
        raise SourceError("the npm client is not installed")
    command = [client, "pack", "--silent", "--ignore-scripts", f"--pack-destination={folder}"]
    with subprocess.Popen(  # noqa: S603 (the user's own client; the name is the index's)
        [*command, f"{source.package}@{source.version}"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        complaint = _wait(process, source, folder, on_progress)
    if process.returncode:
        last = complaint.strip().splitlines()[-1:] or ["no message"]
        raise SourceError(f"npm pack failed with code {process.returncode}: {last[0]}")
    tarballs = list(folder.glob("*.tgz"))
    if len(tarballs) != 1:
        raise SourceError(f"npm pack left {len(tarballs)} tarballs")
    with tarballs[0].open("rb") as file:
        found = base64.b64encode(hashlib.file_digest(file, "sha512").digest()).decode()
    if f"sha512-{found}" != source.integrity:
        raise SourceError(f"the package's integrity is sha512-{found}, not {source.integrity}")
    return tarballs[0]


def _wait(
    process: subprocess.Popen[str], source: NpmSource, folder: Path, on_progress: OnProgress | None
) -> str:
    deadline = time.monotonic() + NPM_TIMEOUT
    while True:
        try:
            return process.communicate(timeout=0.2)[1]
        except subprocess.TimeoutExpired:
            if on_progress:
                # The client shows a file only towards its end; until then the bar just waits.
                done = _size(folder)
                label = f"npm pack {source.package}"
                on_progress(Progress(label, done, source.bytes, "bytes"))
            if time.monotonic() > deadline:
                process.kill()
                raise SourceError(f"npm gave nothing in {NPM_TIMEOUT:.0f} s") from None


def _size(folder: Path) -> int:
    total = 0
    for path in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):  # the client renames and removes meanwhile
            total += path.stat().st_size
    return total


def _reason(error: urllib.error.URLError) -> str:
    reason = error.reason
    return (reason.strerror or str(reason)) if isinstance(reason, OSError) else str(reason)
