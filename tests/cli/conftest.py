"""A restorer that costs nothing: the derain variant shrunk, with weights of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import small_maxim
from multiaxis import Restorer


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """File of a tiny model that changes pictures a little."""
    small_maxim.use_small_variant(monkeypatch)
    model = small_maxim.model()
    with torch.no_grad():
        head = model.stages[-1].heads["0"]
        head.weight.mul_(1e-3)
    return small_maxim.write_npz(tmp_path / "tiny.npz", model)


@pytest.fixture
def restorer(weights: Path) -> Restorer:
    return Restorer("derain", weights=weights, device="cpu")
