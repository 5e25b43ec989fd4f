"""Refiners saved, and opened again."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from multiaxis.errors import ConfigError, WeightsError
from multiaxis.models.maxim.network import Maxim
from multiaxis.models.store import fill, read_safetensors, save_network
from multiaxis.tasks.restore.refine.config import RefinerConfig
from multiaxis.tasks.restore.refine.network import RefinerNet
from multiaxis.weights.contents import read_metadata
from multiaxis.weights.find import find_own, find_published
from multiaxis.weights.purpose import wrong_purpose

_KEY = "refiner"


def stated() -> dict[str, str]:
    """Say in metadata that a file is a refiner's."""
    return {_KEY: "predict and refine"}


def save_refiner(network: RefinerNet, path: str | Path) -> None:
    """Write a file that `load_refiner` reads; errors are those of `save_network`."""
    save_network(network, path, stated())


def find_refiner(weights: str | Path, *, offline: bool = False) -> Path | None:
    """Give the file of weights if they are a refiner's; None for all others.

    Parameters
    ----------
    weights : str or Path
        As of `multiaxis.weights.find.find_own`, or a published checkpoint's name.
    offline : bool

    Raises
    ------
    ConfigError
        If they are neither a known name nor look like a path.
    """
    published = find_published(weights)
    path = published.packaged if published else find_own(weights, offline=offline)
    if path is None or not path.is_file():
        return None
    try:
        return path if _KEY in read_metadata(path) else None
    except WeightsError:  # whoever opens it says why
        return None


def load_refiner(path: Path) -> RefinerNet:
    """Load what a training exported, on the CPU in float32, for evaluation.

    Raises
    ------
    WeightsError
        If the file cannot be read, is of no refiner, or has other tensors than it states.
    """
    config = _read_config(path)
    with torch.device("meta"):
        network = RefinerNet(Maxim(config.predictor), config)
    stored, _ = read_safetensors(path)
    tensors = {n: t.float() if t.is_floating_point() else t for n, t in stored.items()}
    missing = [
        name for name in network.predictor.state_dict() if f"predictor.{name}" not in tensors
    ]
    # A predictor of a published checkpoint may lack the heads of coarse scales.
    scales = {int(name.split(".")[3]) for name in missing if ".heads." in f".{name}"}
    network.predictor.remove_heads(sorted(scales - {0}))
    fill(network, tensors, path, "refiner", assign=True)
    return network.eval()


def _read_config(path: Path) -> RefinerConfig:
    metadata = read_metadata(path)
    if _KEY not in metadata or "config" not in metadata:
        written = "is what a training such as multiaxis train refine-denoise writes"
        raise wrong_purpose(path, "refiner", written)
    try:
        return RefinerConfig.from_fields(json.loads(metadata["config"]))
    except (ValueError, TypeError, ConfigError) as error:
        raise WeightsError(
            f"{path} states a refiner that is unknown to this version ({error}): export it again, "
            "or update multiaxis"
        ) from error
