"""PyAV, or a sentence that says how to get it."""

# pyright: reportMissingImports=false, reportMissingTypeStubs=false, reportUnknownVariableType=false

from __future__ import annotations

from typing import Any

from multiaxis.errors import MissingExtraError


def load() -> Any:
    """Import PyAV.

    Raises
    ------
    MissingExtraError
        If it is not installed.
    """
    try:
        import av
    except ImportError as error:
        raise MissingExtraError(
            "clips need the optional package av: pip install 'multiaxis[video]'"
        ) from error
    return av


def open_container(file: Any, mode: str = "r", **options: Any) -> Any:
    """Open a container, and keep the bytes of texts in it that are not UTF-8.

    Parameters
    ----------
    file, mode, **options
        As of `av.open`. From PyAV 19 on, such bytes are kept always, and it takes no word for it.
    """
    if av_version() < 19:
        options["metadata_errors"] = "surrogateescape"
    return load().open(file, mode, **options)


def av_version() -> int:
    """Give PyAV's major version."""
    return int(load().__version__.split(".")[0])
