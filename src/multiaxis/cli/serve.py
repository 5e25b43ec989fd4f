"""``multiaxis serve``."""

from __future__ import annotations

import os
import sys
import threading
import webbrowser
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from multiaxis.cli import console
from multiaxis.cli.options import Flag
from multiaxis.errors import MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Callable

TOKEN_VARIABLE = "MULTIAXIS_TOKEN"  # noqa: S105 (its name)


@Parameter(name="*")
@dataclass(frozen=True)
class LimitOptions:
    """How much the server takes.

    Attributes
    ----------
    models
        Keep this many models in memory in each worker; the least recently used one makes room.
    max_megapixels
        Refuse pictures with more megapixels before they are decoded.
    max_upload
        Refuse uploads of more bytes, such as 500MB.
    memory
        Limit the memory of all workers together, such as 8GB: each gets an equal share, and a
        picture that needs more is refused. By default a picture waits until its memory is free.
    queue
        Let this many pictures wait. Further ones are sent away with a time to come back.
    workers
        Restore this many pictures at once, each in a process of its own. With several GPUs, each
        worker takes the next one.
    """

    models: int = 2
    max_megapixels: float = 400.0
    max_upload: str = "2GB"
    memory: str | None = None
    queue: int = 64
    workers: int = 1


@Parameter(name="*")
@dataclass(frozen=True)
class PlaceOptions:
    """Where it computes, and where files lie.

    Attributes
    ----------
    device
        Where to compute: cpu, cuda, cuda:N, mps, or auto (a GPU if there is one).
    dtype
        Precision: float32, bfloat16, float16 or auto, as for multiaxis restore.
    offline
        Never download weights.
    spool
        Folder for uploads and results. By default one in the cache of multiaxis.
    spool_size
        Let uploads and results take this much of the disk. The oldest results make room.
    keep_hours
        Remove results after so many hours.
    """

    device: str = "auto"
    dtype: str = "float32"
    offline: Flag = False
    spool: Path | None = None
    spool_size: str = "20GB"
    keep_hours: float = 24.0


def serve(
    *,
    host: str = "127.0.0.1",
    port: int = 8460,
    token: str | None = None,
    open_page: Annotated[
        bool, Parameter(name="--open", negative="--no-open", show_default=False)
    ] = True,
    limits: LimitOptions = LimitOptions(),
    places: PlaceOptions = PlaceOptions(),
    quiet: Annotated[Flag, Parameter(alias="-q")] = False,
) -> None:
    """Restore pictures on a page in your browser, and for programs over HTTP.

    Drop a photograph onto the page, look at a preview, restore it, and download it. Nothing leaves
    this machine. Programs find the same at /v1/restore; /docs describes it. Ctrl-C ends the server:
    a picture in work is finished if that takes a few seconds. Otherwise it waits, like those in the
    queue, for the next server on this machine.

    Parameters
    ----------
    host
        Address to listen on. Any other than this machine's own (127.0.0.1, localhost, ::1) needs a
        token.
    port
        Port to listen on; 0 takes a free one.
    token
        What every request must bring, 16 characters or more. The environment variable
        MULTIAXIS_TOKEN does the same, and is not seen in the list of processes.
    open_page
        Open the page in the browser.
    quiet
        Print the address and errors only.
    """
    run, settings_of = _import()
    given = os.environ.get(TOKEN_VARIABLE) if token is None else token
    settings = settings_of(
        host=host, port=port, token=given or None, **asdict(limits), **asdict(places)
    )

    def ready(address: str) -> None:
        console.say(address)
        console.note("Open this address in a browser. Ctrl-C ends the server.", quiet=quiet)
        if open_page and _has_screen():
            # A browser that starts slowly must not keep the page waiting.
            threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()

    run(settings, ready)
    console.note("The server has ended. Pictures that wait are left to the next one.", quiet=quiet)


def _import() -> tuple[Callable[..., None], Callable[..., Any]]:
    """Give what runs a server and what its settings are.

    Raises
    ------
    MissingExtraError
        If the extra is not installed.
    """
    try:
        from multiaxis.serve.server import serve as run
        from multiaxis.serve.settings import Settings
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("multiaxis"):
            raise
        raise MissingExtraError(
            f"serving needs the package {error.name}, which is not installed: run pip install "
            "'multiaxis[serve]'"
        ) from error
    return run, Settings


def _has_screen() -> bool:
    """Tell whether a browser could show a page: one in the terminal would only be in the way."""
    if sys.platform in ("win32", "darwin"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
