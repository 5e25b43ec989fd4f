"""Generators built by name, saved and opened again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import torch

from multiaxis.errors import ConfigError, WeightsError, unknown
from multiaxis.models.store import fill, read_safetensors, save_network
from multiaxis.tasks.generate.config import GENERATORS, GeneratorConfig
from multiaxis.tasks.generate.network import GeneratorNet
from multiaxis.weights.contents import read_metadata
from multiaxis.weights.find import find_own
from multiaxis.weights.purpose import wrong_purpose

_KEY = "generator"


def build_network(
    name: str, config: Mapping[str, Any] | None = None, *, weights: str | Path | None = None
) -> GeneratorNet:
    """Build a generator on the CPU, in training mode.

    Parameters
    ----------
    name : str
        One of `GENERATORS`.
    config : mapping of str to value, optional
        Fields of `GeneratorConfig` that replace the variant's.
    weights : str or Path, optional
        A generator's file, folder or repository to start from; by default it is random.

    Raises
    ------
    ConfigError
        If the name or a field is unknown, or a value cannot work.
    WeightsError
        If the weights do not fit.
    """
    if name not in GENERATORS:
        raise unknown("generator", name, GENERATORS)
    config, known = dict(config or {}), [field.name for field in fields(GeneratorConfig)]
    for field in config:
        if field not in known:
            raise unknown("field of a generator", field, known)
    network = GeneratorNet(replace(GENERATORS[name], **config))
    if weights is not None:
        other = load_network(find_own(weights))
        if replace(other.config, start_weights=network.config.start_weights) != network.config:
            raise WeightsError(
                f"the generator in {weights} has the configuration {other.config}: set "
                "model.config to its fields, or start from nothing (model.weights=none)"
            )
        network.load_state_dict(other.state_dict())
    return network


def load_network(path: Path) -> GeneratorNet:
    """Load what a training exported or `save_generator` wrote, on the CPU, for evaluation.

    Raises
    ------
    WeightsError
        If the file cannot be read, is of no generator, or has other tensors than it states.
    """
    config = _stated(path)
    with torch.device("meta"):
        network = GeneratorNet(config)
    tensors, _ = read_safetensors(path)
    fill(network, tensors, path, "generator", assign=True)
    return network.eval()


def save_generator(network: GeneratorNet, path: str | Path) -> None:
    """Write a file that `load_network` reads; errors are those of `save_network`."""
    save_network(network, path, stated(network.config))


def stated(config: GeneratorConfig) -> dict[str, str]:
    """Say in metadata that a file is a generator's."""
    return {_KEY: f"{config.size} x {config.size} pixels"}


def _stated(path: Path) -> GeneratorConfig:
    metadata = read_metadata(path)
    if _KEY not in metadata or "config" not in metadata:
        written = "is what a training such as multiaxis train generate-folder writes"
        raise wrong_purpose(path, "generator", written)
    try:
        return GeneratorConfig.from_fields(json.loads(metadata["config"]))
    except (ValueError, TypeError, ConfigError) as error:
        raise WeightsError(
            f"{path} states a generator that is unknown to this version ({error}): export it "
            "again, or update multiaxis"
        ) from error
