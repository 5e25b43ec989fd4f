"""What detection needs beside the package: pycocotools and torchvision, of the extra ``detect``."""

from __future__ import annotations

import importlib
from typing import Any

from multiaxis.errors import MissingExtraError


def need(module: str) -> Any:
    """Import a module of the extra ``detect``.

    Parameters
    ----------
    module : str
        Such as ``"pycocotools.mask"``.

    Raises
    ------
    MissingExtraError
        If its package is not installed.
    """
    package = module.partition(".")[0]
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != package:
            raise
        raise MissingExtraError(
            f"detection needs {package}, which is not installed: pip install 'multiaxis[detect]'"
        ) from error
