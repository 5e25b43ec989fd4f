"""A published variant shrunk to nothing: real names and stage counts, tiny arrays."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from multiaxis.models.maxim import VARIANTS, Maxim, MaximConfig
from multiaxis.models.maxim.names.authors import authors_name

CONFIG = MaximConfig(
    features=4,
    num_stages=2,
    num_supervision_scales=3,
    block_size_hr=(2, 2),
    grid_size_hr=(2, 2),
    block_size_lr=(2, 2),
)
# A fifth of its layers: for tests of all that happens around a model.
LEAST = replace(CONFIG, num_stages=1, depth=2, num_supervision_scales=2, num_bottleneck_blocks=1)


def use_small_variant(monkeypatch: pytest.MonkeyPatch, config: MaximConfig = CONFIG) -> None:
    """Make `maxim_s2` small, so that whole pulls take no time."""
    monkeypatch.setitem(VARIANTS, "maxim_s2", config)


def model(seed: int = 0, config: MaximConfig = CONFIG) -> Maxim:
    torch.manual_seed(seed)
    return Maxim(config).eval()


def to_authors(of: Maxim) -> dict[str, torch.Tensor]:
    """Our parameters under the authors' names and in their layouts."""
    arrays: dict[str, torch.Tensor] = {}
    for name, value in of.state_dict().items():
        foreign = authors_name(name, of.config)
        tensor = value
        if name.endswith(("up.weight", "up_y.weight")):
            tensor = value.permute(2, 3, 0, 1).flip(0, 1)
        elif value.ndim == 4:
            tensor = value.permute(2, 3, 1, 0)
        elif value.ndim == 2:
            tensor = value.T
        assert foreign not in arrays, f"{name} and another parameter are both {foreign}"
        arrays[foreign] = tensor
    return arrays


def write_npz(path: Path, of: Maxim, prefix: str = "opt/target/", **extra: np.ndarray) -> Path:
    """Write a model as the authors would."""
    arrays = {prefix + name: tensor.numpy() for name, tensor in to_authors(of).items()}
    np.savez(path, **extra, **arrays)
    return path
