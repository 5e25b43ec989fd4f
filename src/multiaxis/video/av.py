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
