"""The two kinds of places that checkpoints come from."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import shutil
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from http.client import HTTPException
from pathlib import Path

from multiaxis.progress import OnProgress, Progress
from multiaxis.weights.index import AuthorsSource, NpmSource

TIMEOUT = 20.0  # seconds without an answer before a source counts as silent
NPM_TIMEOUT = 900.0  # seconds for a whole package; the client retries by itself
_CHUNK = 1 << 20


class SourceError(Exception):
    """A source did not give the file; the next one is tried. Never leaves this room."""


def download(source: AuthorsSource, folder: Path, on_progress: OnProgress | None) -> Path:
    """Fetch the authors' file into a folder.

    Raises
    ------
    SourceError
        If the server does not answer, the file is cut short, or its checksum differs.
    """
    target = folder / "checkpoint.npz"
    total_hash = hashlib.sha256()
    try:
        with (
            urllib.request.urlopen(source.url, timeout=TIMEOUT) as answer,  # noqa: S310 (from the index)
            target.open("wb") as file,
        ):
            length = answer.headers.get("Content-Length")
            total, done = (int(length) if length else None), 0
            while chunk := answer.read(_CHUNK):
                file.write(chunk)
                total_hash.update(chunk)
                done += len(chunk)
                if on_progress:
                    on_progress(Progress("downloading the authors' file", done, total, "bytes"))
    except urllib.error.HTTPError as error:
        raise SourceError(f"the server answered {error.code} {error.reason}") from error
    except urllib.error.URLError as error:
        raise SourceError(f"not reachable ({_reason(error)})") from error
    except (TimeoutError, ConnectionError, ssl.SSLError, HTTPException, ValueError) as error:
        raise SourceError(f"the connection broke ({error})") from error
    if total is not None and done != total:
        raise SourceError(f"the file was cut short at {done} of {total} bytes")
    if source.sha256 and total_hash.hexdigest() != source.sha256:
        raise SourceError(f"the file's sha256 is {total_hash.hexdigest()}, not {source.sha256}")
    return target


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
