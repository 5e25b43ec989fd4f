"""The authors' golden MaxViT: its configuration, its variables, and a copy with lively numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from multiaxis.models.maxvit import MaxViT, MaxViTConfig
from multiaxis.models.maxvit.names.authors import from_authors

CONFIG = MaxViTConfig(
    stem_widths=(12, 16),
    depths=(1, 2, 1, 2),
    widths=(16, 24, 32, 40),
    head_dim=8,
    window_size=4,
    grid_size=2,
    num_classes=7,
)


def golden_variables(shared_dir: Path) -> dict[str, torch.Tensor]:
    """The golden's variables under our names."""
    with np.load(shared_dir / "golden/maxvit/A.npz") as file:
        arrays = {k[4:]: torch.from_numpy(file[k]) for k in file.files if k.startswith("var/")}
    tensors, unexpected = from_authors(arrays)
    assert not unexpected
    return tensors


def golden_model(shared_dir: Path, config: MaxViTConfig = CONFIG) -> MaxViT:
    model = MaxViT(config)
    found = model.load_state_dict(golden_variables(shared_dir), strict=False)
    assert not found.unexpected_keys
    assert all(name.endswith("num_batches_tracked") for name in found.missing_keys)
    return model.eval()


def enliven(model: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """Move every number off its start, so that no swap or omission goes unseen."""
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if name.endswith("running_var"):
                tensor.copy_(torch.rand(tensor.shape, generator=random) + 0.5)
            elif tensor.is_floating_point() and (tensor.ndim < 2 or "table" in name):
                tensor.add_(torch.randn(tensor.shape, generator=random) * 0.2)
    return model.eval()


def lively(config: MaxViTConfig = CONFIG, seed: int = 0) -> MaxViT:
    torch.manual_seed(seed)
    model = MaxViT(config)
    enliven(model, seed)
    return model
