"""The file of weights that are given by name or by path."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from multiaxis.errors import WeightsError
from multiaxis.models.hub import FILE, download
from multiaxis.weights.cache import is_offline
from multiaxis.weights.index import Checkpoint, find_checkpoint, is_known

_FILES = (FILE, "weights.safetensors", "pytorch_model.bin")


def find_published(weights: str | Path) -> Checkpoint | None:
    """Give the published checkpoint that weights name; None where they are a path.

    A name comes first: a folder may be called "derain", and timm's names look like files.

    Raises
    ------
    ConfigError
        If it is neither a known name nor looks like a path.
    """
    if isinstance(weights, Path) or _repository(weights):
        return None
    if is_known(weights):
        return find_checkpoint(weights)
    path = Path(weights)
    if len(path.parts) > 1 or path.suffix or path.exists():
        return None
    return find_checkpoint(weights)


def find_file(weights: str | Path, *, fits: str | None = None, **pulling: Any) -> Path:
    """Give the file of weights, which is fetched into the cache if they are published.

    Parameters
    ----------
    weights : str or Path
        A published checkpoint's name, ours or timm's; a file, or the folder of one that
        `save_pretrained` wrote; or ``"hf-hub:me/name"``, a repository of a hub. A `Path` is never
        a name.
    fits : str, optional
        The variant that a published checkpoint must be of.
    **pulling
        `offline` and `on_progress` of `multiaxis.weights.pull`.

    Raises
    ------
    ConfigError
        If the name is unknown.
    WeightsError
        If the weights cannot be fetched, or are another variant's.
    """
    repository = _repository(weights)
    if repository is not None:
        return download(repository, local_files_only=_is_offline(pulling))
    checkpoint = find_published(weights)
    if checkpoint is None:
        return _in_folder(Path(weights))
    if fits is not None and checkpoint.model != fits:
        raise WeightsError(
            f"the weights {weights!r} are those of {checkpoint.model}, not of {fits}: "
            f"use create_model({checkpoint.model!r}, weights={weights!r})"
        )
    from multiaxis.weights.pull import pull

    return pull(checkpoint, **pulling)


def find_own(weights: str | Path, *, offline: bool = False) -> Path:
    """Give the file of weights of which none are published, such as a detector's.

    Parameters
    ----------
    weights : str or Path
        A file, the folder of one that `save_pretrained` wrote, or ``"hf-hub:me/name"``.
    offline : bool
        Whether a hub may not be asked; as MULTIAXIS_OFFLINE says besides.

    Raises
    ------
    WeightsError
        If they cannot be fetched.
    """
    repository = _repository(weights)
    if repository is not None:
        return download(repository, local_files_only=offline or is_offline())
    return _in_folder(Path(weights))


def _is_offline(pulling: Mapping[str, Any]) -> bool:
    return bool(pulling.get("offline")) or is_offline()


def _repository(weights: str | Path) -> str | None:
    """Give the repository of a hub that weights name as timm does, with ``hf-hub:``."""
    if isinstance(weights, Path) or is_known(weights):
        return None
    found = re.fullmatch(r"hf[-_]hub:(.+)", weights)
    return found[1] if found else None


def _in_folder(path: Path) -> Path:
    """Give the file in a folder of `save_pretrained`, a training or a Trainer; else the path."""
    return next((path / name for name in _FILES if (path / name).is_file()), path)
